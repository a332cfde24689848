//! What goes on in a project now: traffic, incidents and agents, from REST and the observer.

use crate::backend::User;
use crate::diagram::graph::{Graph, Member};
use crate::error::BackendError;
use crate::login::encode;
use crate::model::{self, ProjectView, text};
use crate::pages::project::href;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// Traffic of so many seconds is shown.
const SECONDS: i64 = 60;
/// Open incidents are looked for in so many days, fewer than the observer answers for at once.
const DAYS: i64 = 29;
/// Incidents asked for.
const MOST_INCIDENTS: usize = 200;

/// A project now. What one may not see or what does not answer is a sentence instead.
pub(crate) struct Overview {
    pub(crate) project: ProjectView,
    /// Which of the project's environments is shown.
    pub(crate) environment: usize,
    pub(crate) graph: Graph,
    /// Why there is no traffic to show.
    pub(crate) quiet: Option<String>,
    /// Those that are not resolved, newest first.
    pub(crate) incidents: Result<Vec<Value>, String>,
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
        let now = Timestamp::now();
        let asked = [
            question(now, SignedDuration::from_secs(SECONDS), scope(namespace, name, shown)),
            question(now, SignedDuration::from_hours(24 * DAYS), scope(namespace, name, "")),
        ];
        let (traffic, incidents, agents) = tokio::join!(
            user.observed("/api/v1alpha1/metrics/runtime-topology", &asked[0]),
            user.observed("/api/v1alpha1/incidents/query", &asked[1]),
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
        let open = |incident: &Value| text(incident, "/status") != "resolved";
        Ok(Overview {
            graph: Graph::read(&traffic, SECONDS as f64, &members),
            quiet,
            incidents: softly(incidents)?.map(|mut answer| {
                let mut incidents = taken(&mut answer["incidents"]);
                incidents.retain(open);
                incidents
            }),
            agents: softly(agents)?.map(|mut answer| taken(&mut answer["items"])),
            project,
            environment,
        })
    }
}

fn scope(namespace: &str, project: &str, environment: &str) -> Value {
    let mut scope = json!({"namespace": namespace, "project": project});
    if !environment.is_empty() {
        scope["environment"] = environment.into();
    }
    scope
}

fn question(now: Timestamp, back: SignedDuration, scope: Value) -> Value {
    let since = now.checked_sub(back).unwrap_or(Timestamp::UNIX_EPOCH);
    json!({
        "startTime": since.to_string(), "endTime": now.to_string(), "searchScope": scope,
        "limit": MOST_INCIDENTS, "sortOrder": "desc",
    })
}

/// What goes without, except for a session that is over.
fn softly(answer: Result<Value, BackendError>) -> Result<Result<Value, String>, BackendError> {
    match answer {
        Err(BackendError::SignedOut) => Err(BackendError::SignedOut),
        Err(error) => Ok(Err(error.to_string())),
        Ok(answer) => Ok(Ok(answer)),
    }
}

fn taken(list: &mut Value) -> Vec<Value> {
    match list.take() {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}
