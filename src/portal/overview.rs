//! What goes on in a project now: traffic, incidents and agents, from REST and the observer.

use crate::ask::{Window, scope};
use crate::backend::User;
use crate::diagram::graph::{Graph, Member};
use crate::error::{BackendError, softly};
use crate::incidents;
use crate::login::encode;
use crate::model::{self, ProjectView, text};
use crate::pages::project::href;
use crate::related::{Related, relate};
use serde_json::Value;

/// Traffic of so many seconds is shown.
const SECONDS: i64 = 60;

/// A project now. What one may not see or what does not answer is a sentence instead.
pub(crate) struct Overview {
    pub(crate) project: ProjectView,
    /// Which of the project's environments is shown.
    pub(crate) environment: usize,
    pub(crate) graph: Graph,
    /// Why there is no traffic to show.
    pub(crate) quiet: Option<String>,
    /// Those that are not resolved, newest first, by their cause.
    pub(crate) incidents: Result<Related, String>,
    pub(crate) agents: Result<Vec<Value>, String>,
}

impl Overview {
    /// Reads what goes on in a project, of namespace and name, in the environment of that name or else the first.
    pub(crate) async fn of(
        project: ProjectView,
        user: &User<'_>,
        (namespace, name): (&str, &str),
        environment: Option<&str>,
    ) -> Result<Overview, BackendError> {
        let known = project.environments.iter();
        let environment =
            known.enumerate().find(|(_, (name, _))| Some(name.as_str()) == environment);
        let environment = environment.map_or(0, |(index, _)| index);
        let shown = project.environments.get(environment).map_or("", |(name, _)| name.as_str());
        let traffic = Window::last(SECONDS).ask(scope(namespace, name, "", shown), 1);
        let related = async {
            match softly(incidents::all(user, namespace, name).await)? {
                Ok(mut incidents) => {
                    incidents.retain(|incident| text(incident, "/status") != "resolved");
                    relate(user, (namespace, name), incidents).await.map(Ok)
                }
                Err(reason) => Ok(Err(reason)),
            }
        };
        let (traffic, incidents, agents) = tokio::join!(
            user.observed("/api/v1alpha1/metrics/runtime-topology", &traffic),
            related,
            user.get("/audit/summary"),
        );
        let (traffic, quiet) = match softly(traffic)? {
            Ok(traffic) => {
                let none = traffic["edges"].as_array().is_none_or(Vec::is_empty);
                let quiet = "No requests were seen in the last minute.";
                (traffic, none.then(|| quiet.to_owned()))
            }
            Err(reason) => (Value::Null, Some(format!("There is no traffic to show: {reason}."))),
        };
        let members: Vec<Member> = project
            .components
            .iter()
            .map(|row| {
                let component = text(&row.component, "/metadata/name").to_owned();
                Member {
                    href: format!("{}/components/{}", href(namespace, name), encode(&component)),
                    name: component,
                    status: row
                        .status
                        .get(environment)
                        .copied()
                        .unwrap_or(model::Status::NotDeployed),
                }
            })
            .collect();
        Ok(Overview {
            graph: Graph::read(&traffic, SECONDS as f64, &members),
            quiet,
            incidents: incidents?,
            agents: softly(agents)?.map(|mut answer| model::taken(&mut answer["items"])),
            project,
            environment,
        })
    }
}
