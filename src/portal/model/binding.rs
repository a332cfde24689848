//! A component in an environment, read off its release binding.

use super::text;
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

/// Where an endpoint answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) name: String,
    pub(crate) kind: String,
    /// Open to the browser.
    pub(crate) external: Option<String>,
    /// The same without a name below `localhost`, which some systems do not resolve.
    pub(crate) plain: Option<String>,
    /// Within the data plane.
    pub(crate) service: Option<String>,
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

impl Endpoint {
    fn of(status: &Value) -> Endpoint {
        let external = ["https", "http", "tls"]
            .iter()
            .map(|listener| &status["externalURLs"][*listener])
            .find(|url| url["host"].is_string());
        Endpoint {
            name: text(status, "/name").to_owned(),
            kind: text(status, "/type").to_owned(),
            external: external.map(address),
            plain: external.and_then(plain),
            service: Some(&status["serviceURL"]).filter(|url| url["host"].is_string()).map(address),
        }
    }
}

fn address(url: &Value) -> String {
    let mut address = String::new();
    if let Some(scheme) = url["scheme"].as_str().filter(|scheme| !scheme.is_empty()) {
        address.push_str(&format!("{scheme}://"));
    }
    address.push_str(url["host"].as_str().unwrap_or_default());
    let usual = matches!(
        (url["scheme"].as_str(), url["port"].as_i64()),
        (Some("http"), Some(80)) | (Some("https"), Some(443))
    );
    if let Some(port) = url["port"].as_i64().filter(|_| !usual) {
        address.push_str(&format!(":{port}"));
    }
    address.push_str(url["path"].as_str().unwrap_or_default());
    address
}

/// `http://localhost:19080/@first-label/path` for a host below `.localhost`.
fn plain(url: &Value) -> Option<String> {
    let host = url["host"].as_str()?.strip_suffix(".localhost")?;
    if url["scheme"].as_str()? != "http" {
        return None;
    }
    let label = host.split('.').next()?;
    let (port, path) = (url["port"].as_i64()?, url["path"].as_str().unwrap_or_default());
    Some(format!("http://localhost:{port}/@{label}{path}"))
}

#[cfg(test)]
mod tests {
    use super::{Binding, Status};
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

    #[test]
    fn addresses_have_a_plain_form_below_localhost() {
        let binding = Binding::of(&json!({"metadata": {"name": "b"}, "status": {"endpoints": [{
            "name": "http", "type": "HTTP",
            "serviceURL": {"scheme": "http", "host": "g.cell.svc.cluster.local", "port": 80},
            "externalURLs": {"http": {"scheme": "http", "port": 19080, "path": "/greeter-http",
                "host": "development-default.openchoreoapis.localhost"}},
        }]}}));
        let endpoint = &binding.endpoints[0];
        let external = "http://development-default.openchoreoapis.localhost:19080/greeter-http";
        assert_eq!(endpoint.external.as_deref(), Some(external));
        let plain = "http://localhost:19080/@development-default/greeter-http";
        assert_eq!(endpoint.plain.as_deref(), Some(plain));
        assert_eq!(endpoint.service.as_deref(), Some("http://g.cell.svc.cluster.local"));
    }
}
