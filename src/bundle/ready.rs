//! When a bundle is ready: its Deployments are available and its conditions true.

use std::time::Duration;

use futures::TryStreamExt;
use kube::{
    Client,
    api::DynamicObject,
    runtime::{WatchStreamExt, watcher},
};
use serde_json::Value;

use crate::{Bundle, discovery::Resources, document::Identity};

/// One thing that must be true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Goal {
    pub(crate) identity: Identity,
    /// The condition that must be true; for a Deployment, none: its numbers count.
    condition: Option<String>,
}

/// Everything that must be true for `bundle`.
pub(crate) fn goals(bundle: &Bundle) -> Vec<Goal> {
    let deployments = bundle.deployments().into_iter().map(|(namespace, name)| Goal {
        identity: Identity {
            api_version: "apps/v1".to_owned(),
            kind: "Deployment".to_owned(),
            namespace: Some(namespace),
            name,
        },
        condition: None,
    });
    let conditions = bundle.manifest.ready.iter().map(|ready| Goal {
        identity: Identity {
            api_version: ready.api_version.clone(),
            kind: ready.kind.clone(),
            namespace: ready.namespace.clone(),
            name: ready.name.clone(),
        },
        condition: Some(ready.condition.clone()),
    });
    deployments.chain(conditions).collect()
}

impl Goal {
    /// Watches until it is true (`None`), or says how far it is after `timeout`.
    pub(crate) async fn wait(
        &self,
        client: &Client,
        resources: &Resources,
        timeout: Duration,
    ) -> Result<Option<String>, kube::Error> {
        let Some(api) = resources.api(client, &self.identity) else {
            return Ok(Some(format!("the cluster does not serve {}", self.identity.api_version)));
        };
        let mut last = "it does not exist".to_owned();
        let config =
            watcher::Config::default().fields(&format!("metadata.name={}", self.identity.name));
        let changes = watcher(api, config).default_backoff().touched_objects();
        let watch = async {
            let mut changes = std::pin::pin!(changes);
            loop {
                match changes.try_next().await {
                    Ok(Some(object)) => match self.state(Some(&object)) {
                        None => return,
                        Some(state) => last = state,
                    },
                    // The watcher tries again by itself, with growing pauses.
                    Err(error) => last = error.to_string(),
                    // It does not end; if it did, nothing would say any more that the goal is reached.
                    Ok(None) => std::future::pending().await,
                }
            }
        };
        match tokio::time::timeout(timeout, watch).await {
            Ok(()) => Ok(None),
            Err(_) => Ok(Some(last)),
        }
    }

    /// What is missing, in words; `None` when it is true.
    pub(crate) fn state(&self, object: Option<&DynamicObject>) -> Option<String> {
        let Some(object) = object else { return Some("it does not exist".to_owned()) };
        match &self.condition {
            Some(condition) => condition_state(&object.data, condition),
            None => deployment_state(object.metadata.generation, &object.data),
        }
    }
}

fn deployment_state(generation: Option<i64>, data: &Value) -> Option<String> {
    let (spec, status) = (&data["spec"], &data["status"]);
    let number = |value: &Value| value.as_i64().unwrap_or_default();
    let wanted = spec["replicas"].as_i64().unwrap_or(1);
    if number(&status["observedGeneration"]) < generation.unwrap_or_default() {
        return Some("no controller has seen it yet".to_owned());
    }
    let (updated, available, all) = (
        number(&status["updatedReplicas"]),
        number(&status["availableReplicas"]),
        number(&status["replicas"]),
    );
    if updated >= wanted && available >= wanted && all == updated {
        return None;
    }
    Some(format!("{available} of {wanted} pods available, {updated} up to date"))
}

fn condition_state(data: &Value, condition: &str) -> Option<String> {
    let conditions = data["status"]["conditions"].as_array();
    let found = conditions.and_then(|all| all.iter().find(|entry| entry["type"] == condition));
    match found {
        Some(entry) if entry["status"] == "True" => None,
        Some(entry) => {
            let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
            Some(format!(
                "{condition} is {}: {} {}",
                text("status"),
                text("reason"),
                text("message")
            ))
        }
        None => Some(format!("it has no condition {condition}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_deployment_is_ready_when_the_new_pods_are_available_and_the_old_are_gone() {
        let data = |status: Value| json!({ "spec": { "replicas": 1 }, "status": status });
        let ready = json!({ "observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1 });
        assert_eq!(deployment_state(Some(2), &data(ready.clone())), None);
        assert!(deployment_state(Some(3), &data(ready)).unwrap().contains("no controller"));
        let old = json!({ "observedGeneration": 2, "replicas": 2, "updatedReplicas": 1, "availableReplicas": 1 });
        assert!(deployment_state(Some(2), &data(old)).is_some());
        assert_eq!(
            deployment_state(Some(1), &data(json!({}))).unwrap(),
            "no controller has seen it yet"
        );
    }

    #[test]
    fn a_condition_says_why_it_is_not_true() {
        let with = |status: &str| {
            json!({ "status": { "conditions": [
            { "type": "Ready", "status": status, "reason": "NoAgent", "message": "no agent is connected" }] } })
        };
        assert_eq!(condition_state(&with("True"), "Ready"), None);
        assert_eq!(
            condition_state(&with("False"), "Ready").unwrap(),
            "Ready is False: NoAgent no agent is connected"
        );
        assert!(condition_state(&json!({}), "Ready").is_some());
    }
}
