//! A component in an environment, read off its release binding.

use super::{Endpoint, text};
use serde_json::Value;

/// How far a component's release is deployed in an environment. How what runs is doing is [`crate::health::Health`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    NotDeployed,
    Undeployed,
    Ready,
    Progressing,
    Failed,
}

impl Status {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Status::NotDeployed => "Not deployed",
            Status::Undeployed => "Undeployed",
            Status::Ready => "Deployed",
            Status::Progressing => "Being deployed",
            Status::Failed => "Failed",
        }
    }

    /// The class that colours it.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Status::NotDeployed | Status::Undeployed => "idle",
            Status::Ready => "good",
            Status::Progressing => "busy",
            Status::Failed => "bad",
        }
    }

    /// Read off a ReleaseBinding.
    pub(crate) fn of(binding: &Value) -> Status {
        if text(binding, "/spec/state") == "Undeploy" {
            return Status::Undeployed;
        }
        let Some(ready) = ready(binding) else { return Status::Progressing };
        match (text(ready, "/status"), text(ready, "/reason")) {
            ("True", _) => Status::Ready,
            (
                _,
                "RenderingFailed"
                | "ResourceApplyFailed"
                | "ResourcesDegraded"
                | "JobFailed"
                | "ReleaseUpdateFailed"
                | "ReleaseOwnershipConflict"
                | "ReleaseDeletionFailed"
                | "InvalidReleaseConfiguration",
            ) => Status::Failed,
            (_, reason) if reason.ends_with("NotFound") => Status::Failed,
            _ => Status::Progressing,
        }
    }
}

fn ready(object: &Value) -> Option<&Value> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|condition| condition["type"] == "Ready")
}

/// Why an object is not ready, in the controller's words.
pub(crate) fn reason(object: &Value) -> String {
    let Some(ready) = ready(object) else { return String::new() };
    match (text(ready, "/reason"), text(ready, "/message")) {
        (reason, "") => reason.to_owned(),
        (_, message) => message.to_owned(),
    }
}

/// A component in an environment.
#[derive(Debug, Clone)]
pub(crate) struct Binding {
    pub(crate) name: String,
    pub(crate) release: String,
    pub(crate) status: Status,
    pub(crate) reason: String,
    pub(crate) updated: String,
    pub(crate) endpoints: Vec<Endpoint>,
    /// What is set for this environment alone.
    pub(crate) overrides: Value,
}

impl Binding {
    /// Read off a ReleaseBinding.
    pub(crate) fn of(object: &Value) -> Binding {
        let status = Status::of(object);
        Binding {
            name: text(object, "/metadata/name").to_owned(),
            release: text(object, "/spec/releaseName").to_owned(),
            status,
            reason: if status == Status::Ready { String::new() } else { reason(object) },
            updated: ready(object)
                .map(|ready| text(ready, "/lastTransitionTime"))
                .filter(|time| !time.is_empty())
                .unwrap_or_else(|| text(object, "/metadata/creationTimestamp"))
                .to_owned(),
            endpoints: object["status"]["endpoints"]
                .as_array()
                .into_iter()
                .flatten()
                .map(Endpoint::of)
                .collect(),
            overrides: overrides(object),
        }
    }
}

fn overrides(object: &Value) -> Value {
    let all = ["componentTypeEnvironmentConfigs", "traitEnvironmentConfigs", "workloadOverrides"];
    let set = all.iter().filter_map(|name| {
        let value = object["spec"].get(*name).filter(|value| !value.is_null())?;
        Some(((*name).to_owned(), value.clone()))
    });
    Value::Object(set.collect())
}

#[cfg(test)]
mod tests {
    use super::Status;
    use serde_json::json;

    #[test]
    fn bindings_tell_how_they_are_doing() {
        let binding = |state: &str, status: &str, reason: &str| {
            Status::of(&json!({"spec": {"state": state}, "status": {"conditions": [
                {"type": "Ready", "status": status, "reason": reason},
            ]}}))
        };
        assert_eq!(binding("Active", "True", "Ready"), Status::Ready);
        assert_eq!(binding("Active", "False", "ResourcesProgressing"), Status::Progressing);
        assert_eq!(binding("Active", "False", "RenderingFailed"), Status::Failed);
        assert_eq!(binding("Active", "False", "EnvironmentNotFound"), Status::Failed);
        assert_eq!(binding("Undeploy", "False", "ResourcesUndeployed"), Status::Undeployed);
        assert_eq!(Status::of(&json!({})), Status::Progressing);
    }
}
