//! What goes on in a project now: traffic, incidents and agents, from REST and the observer.

use crate::backend::User;
use crate::diagram::graph::{Graph, Member, Node};
use crate::error::{BackendError, softly};
use crate::health::{self, Health, Open, SECONDS};
use crate::incidents;
use crate::login::encode;
use crate::model::{self, ComponentRow, ProjectView, Status, text};
use crate::pages::project::href;
use crate::related::{Related, relate};
use futures::future::join_all;
use serde_json::Value;

/// A project now. What one may not see or what does not answer is a sentence instead.
pub(crate) struct Overview {
    pub(crate) project: ProjectView,
    /// Which of the project's environments is shown.
    pub(crate) environment: usize,
    pub(crate) graph: Graph,
    /// How each component is doing in each environment, in the order of the project's.
    pub(crate) health: Vec<Vec<Health>>,
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
        let runs = |index: usize| {
            let statuses = project.components.iter().filter_map(|row| row.status.get(index));
            statuses.into_iter().any(|one| !matches!(one, Status::NotDeployed | Status::Undeployed))
        };
        // Of the others, those where something runs: how it is doing stands beside each.
        let traffic = join_all(project.environments.iter().enumerate().map(
            |(index, (shown, _))| async move {
                if index != environment && !runs(index) {
                    return Ok(Value::Null);
                }
                health::traffic(user, (namespace, name), shown).await
            },
        ));
        let related = async {
            match softly(incidents::all(user, namespace, name).await)? {
                Ok(mut incidents) => {
                    incidents.retain(incidents::is_open);
                    let open = Open::of(&incidents);
                    Ok((open, relate(user, (namespace, name), incidents).await.map(Ok)?))
                }
                Err(reason) => Ok((Open::default(), Err(reason))),
            }
        };
        let (traffic, related, agents) = tokio::join!(traffic, related, user.get("/audit/summary"));
        let (open, incidents) = related?;
        let mut graphs = Vec::new();
        let mut quiet = None;
        for (index, traffic) in traffic.into_iter().enumerate() {
            let (traffic, why) = seen(softly(traffic)?);
            if index == environment {
                quiet = why;
            }
            let members = members(&project, (namespace, name), index, &open);
            graphs.push(Graph::read(&traffic, SECONDS as f64, &members));
        }
        let doing = |component: &Value| {
            let component = text(component, "/metadata/name");
            let health = |graph: &Graph| graph.component(component).map(Node::health);
            graphs.iter().map(|graph| health(graph).unwrap_or(Health::NotDeployed)).collect()
        };
        Ok(Overview {
            health: project.components.iter().map(|row| doing(&row.component)).collect(),
            graph: if graphs.is_empty() {
                Graph::default()
            } else {
                graphs.swap_remove(environment)
            },
            quiet,
            incidents,
            agents: softly(agents)?.map(|mut answer| model::taken(&mut answer["items"])),
            project,
            environment,
        })
    }
}

/// What was seen of a project's traffic, and why there is none to show.
fn seen(traffic: Result<Value, String>) -> (Value, Option<String>) {
    match traffic {
        Ok(traffic) => {
            let none = traffic["edges"].as_array().is_none_or(Vec::is_empty);
            (traffic, none.then(|| "No requests were seen in the last minute.".to_owned()))
        }
        Err(reason) => (Value::Null, Some(format!("There is no traffic to show: {reason}."))),
    }
}

/// A project's components as they are in one of its environments.
fn members(
    project: &ProjectView,
    (namespace, name): (&str, &str),
    environment: usize,
    open: &Open,
) -> Vec<Member> {
    let shown = project.environments.get(environment).map_or("", |(name, _)| name.as_str());
    let member = |row: &ComponentRow| {
        let component = text(&row.component, "/metadata/name").to_owned();
        Member {
            href: format!("{}/components/{}", href(namespace, name), encode(&component)),
            incident: open.is_at(&component, shown),
            status: row.status.get(environment).copied().unwrap_or(Status::NotDeployed),
            name: component,
        }
    };
    project.components.iter().map(member).collect()
}
