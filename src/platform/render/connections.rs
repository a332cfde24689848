//! The variables through which a component finds what it depends on.

use super::input::Connection;
use crate::types::{EndpointUrl, EnvBindings};
use serde_json::{Value, json};

/// The `env` entries of a dependency, in the order address, host, port, base path; only those
/// that the workload asks for.
pub fn connection_env(bindings: &EnvBindings, url: &EndpointUrl) -> Vec<Value> {
    let port = url.port.map(|port| port.to_string()).unwrap_or_default();
    [
        (&bindings.address, address(url)),
        (&bindings.host, url.host.clone()),
        (&bindings.port, port),
        (&bindings.base_path, url.path.clone().unwrap_or_default()),
    ]
    .into_iter()
    .filter_map(|(name, value)| {
        let name = name.as_deref().filter(|name| !name.is_empty())?;
        Some(json!({"name": name, "value": value}))
    })
    .collect()
}

/// The whole address: with the scheme where clients expect one.
fn address(url: &EndpointUrl) -> String {
    let mut address = String::new();
    if let Some(scheme @ ("http" | "https" | "ws" | "wss" | "tls")) = url.scheme.as_deref() {
        address = format!("{scheme}://");
    }
    address.push_str(&url.host);
    if let Some(port) = url.port {
        address.push_str(&format!(":{port}"));
    }
    match url.path.as_deref().unwrap_or_default() {
        "" => {}
        path if path.starts_with('/') => address.push_str(path),
        path => address.push_str(&format!("/{path}")),
    }
    address
}

/// The context's `dependencies.items[]` entry.
pub(super) fn item(connection: &Connection) -> Value {
    let dependency = &connection.dependency;
    json!({
        "namespace": connection.namespace,
        "project": connection.project,
        "component": dependency.component,
        "endpoint": dependency.name,
        "visibility": dependency.visibility,
        "envVars": connection_env(&dependency.env_bindings, &connection.url),
    })
}

#[cfg(test)]
mod tests {
    use super::connection_env;
    use crate::types::{EndpointUrl, EnvBindings};
    use serde_json::json;

    fn url(scheme: &str, path: &str) -> EndpointUrl {
        EndpointUrl {
            scheme: Some(scheme.to_owned()),
            host: "h.ns.svc.cluster.local".to_owned(),
            port: Some(80),
            path: (!path.is_empty()).then(|| path.to_owned()),
        }
    }

    #[test]
    fn only_the_variables_asked_for_are_set() {
        let bindings = EnvBindings {
            address: Some("URL".to_owned()),
            port: Some("PORT".to_owned()),
            host: Some(String::new()),
            ..EnvBindings::default()
        };
        assert_eq!(
            connection_env(&bindings, &url("http", "/api")),
            [
                json!({"name": "URL", "value": "http://h.ns.svc.cluster.local:80/api"}),
                json!({"name": "PORT", "value": "80"}),
            ]
        );
        assert_eq!(
            connection_env(&bindings, &url("grpc", ""))[0]["value"],
            "h.ns.svc.cluster.local:80"
        );
    }
}
