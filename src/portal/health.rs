//! How a component is doing in an environment: one ladder of words, the same on every page.
//!
//! What runs comes first: whether it answers, whether an incident about it is open. That its release is deployed is
//! another thing and stands beside it.

use crate::ask::{Window, scope};
use crate::backend::User;
use crate::diagram::graph::{Graph, Member};
use crate::error::{BackendError, softly};
use crate::incidents;
use crate::model::{ComponentView, Status, text};
use crate::pages::component::Place;
use futures::future::join_all;
use serde_json::Value;
use std::collections::BTreeSet;

/// Requests of so many seconds say how it is doing.
pub(crate) const SECONDS: i64 = 60;

/// The ladder, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Health {
    NotDeployed,
    Undeployed,
    Healthy,
    Progressing,
    /// It runs, and an incident about it is open.
    Degraded,
    /// It does not run, or too many of its requests fail.
    Failing,
}

impl Health {
    /// Of what is deployed like this: whether its requests `fail`, and whether an `incident` is open there.
    pub(crate) fn of(status: Status, fail: bool, incident: bool) -> Health {
        match status {
            Status::NotDeployed => Health::NotDeployed,
            Status::Undeployed => Health::Undeployed,
            Status::Failed => Health::Failing,
            _ if fail => Health::Failing,
            _ if incident => Health::Degraded,
            Status::Progressing => Health::Progressing,
            Status::Ready => Health::Healthy,
        }
    }

    pub(crate) fn label(self) -> &'static str {
        match self {
            Health::NotDeployed => "Not deployed",
            Health::Undeployed => "Undeployed",
            Health::Healthy => "Healthy",
            Health::Progressing => "Progressing",
            Health::Degraded => "Degraded",
            Health::Failing => "Failing",
        }
    }

    /// Within a sentence.
    pub(crate) fn word(self) -> String {
        self.label().to_lowercase()
    }

    /// The class that colours it.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Health::NotDeployed | Health::Undeployed => "idle",
            Health::Healthy => "good",
            Health::Progressing => "busy",
            Health::Degraded | Health::Failing => "bad",
        }
    }

    /// Class and words for several: so many of the worst; nothing where none runs.
    pub(crate) fn worst(all: &[Health]) -> Option<(&'static str, String)> {
        let worst = *all.iter().max().filter(|worst| **worst >= Health::Healthy)?;
        let count = all.iter().filter(|one| **one == worst).count();
        Some((worst.class(), format!("{count} {}", worst.word())))
    }
}

/// Where incidents are open: components and environments.
#[derive(Debug, Default)]
pub(crate) struct Open(BTreeSet<(String, String)>);

impl Open {
    pub(crate) fn of<'v>(incidents: impl IntoIterator<Item = &'v Value>) -> Open {
        let open = incidents.into_iter().filter(|one| incidents::is_open(one)).map(|one| {
            let place = ["/labels/componentName", "/labels/environmentName"];
            let [component, environment] = place.map(|pointer| text(one, pointer).to_owned());
            (component, environment)
        });
        Open(open.collect())
    }

    pub(crate) fn is_at(&self, component: &str, environment: &str) -> bool {
        self.0.contains(&(component.to_owned(), environment.to_owned()))
    }
}

/// Who calls whom in a project's environment, now.
pub(crate) async fn traffic(
    user: &User<'_>,
    (namespace, project): (&str, &str),
    environment: &str,
) -> Result<Value, BackendError> {
    let question = Window::last(SECONDS).ask(scope(namespace, project, "", environment), 1);
    user.observed("/api/v1alpha1/metrics/runtime-topology", &question).await
}

/// Says at each lane of a component how it is doing there, as far as the observer tells; and which incidents are open.
pub(crate) async fn observe(
    user: &User<'_>,
    place: &Place,
    view: &mut ComponentView,
) -> Result<Result<Vec<Value>, String>, BackendError> {
    let project = (place.namespace.as_str(), place.project.as_str());
    let seen = join_all(view.environments.iter().map(|lane| async {
        match lane.status() {
            Status::NotDeployed | Status::Undeployed => Ok(Value::Null),
            _ => traffic(user, project, &lane.name).await,
        }
    }));
    let (incidents, seen) = tokio::join!(incidents::of(user, project, &place.component), seen);
    let incidents = softly(incidents)?.map(|mut all| {
        all.retain(incidents::is_open);
        all
    });
    let open = Open::of(incidents.iter().flatten());
    for (lane, seen) in view.environments.iter_mut().zip(seen) {
        let seen = softly(seen)?.unwrap_or_default();
        let own = Member {
            name: place.component.clone(),
            href: place.href(),
            status: lane.status(),
            incident: open.is_at(&place.component, &lane.name),
        };
        let graph = Graph::read(&seen, SECONDS as f64, &[own]);
        if let Some(node) = graph.component(&place.component) {
            (lane.health, lane.complaint) = (node.health(), node.complaint());
        }
    }
    Ok(incidents)
}

#[cfg(test)]
mod tests {
    use super::{Health, Open};
    use crate::model::Status;
    use serde_json::json;

    #[test]
    fn what_runs_comes_before_how_it_was_deployed() {
        let of = |status, fail, incident| Health::of(status, fail, incident).label();
        assert_eq!(of(Status::Ready, false, false), "Healthy");
        assert_eq!(of(Status::Ready, false, true), "Degraded");
        assert_eq!(of(Status::Ready, true, true), "Failing");
        assert_eq!(of(Status::Progressing, false, false), "Progressing");
        assert_eq!(of(Status::Progressing, false, true), "Degraded");
        assert_eq!(of(Status::Failed, false, false), "Failing");
        assert_eq!(of(Status::Undeployed, true, true), "Undeployed");
        assert_eq!(of(Status::NotDeployed, false, true), "Not deployed");
    }

    #[test]
    fn of_several_the_worst_is_counted() {
        let words = |all: &[Health]| Health::worst(all).map(|(_, words)| words);
        let all = [Health::Healthy, Health::Degraded, Health::Progressing, Health::Degraded];
        assert_eq!(words(&all).as_deref(), Some("2 degraded"));
        assert_eq!(words(&all[..1]).as_deref(), Some("1 healthy"));
        assert_eq!(words(&[Health::NotDeployed, Health::Undeployed]), None);
    }

    #[test]
    fn an_incident_counts_where_it_is_open() {
        let incident = |status: &str, environment: &str| {
            json!({"status": status,
                "labels": {"componentName": "cart", "environmentName": environment}})
        };
        let open = Open::of(&[incident("acknowledged", "staging"), incident("resolved", "prod")]);
        assert!(open.is_at("cart", "staging"));
        assert!(!open.is_at("cart", "prod") && !open.is_at("web", "staging"));
    }
}
