//! Where an endpoint of a component answers, read off its release binding.

use super::text;
use serde_json::Value;

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
    /// What a port of one's own machine can be forwarded to.
    pub(crate) inner: Option<Inner>,
}

/// A Service of the data plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inner {
    pub(crate) namespace: String,
    pub(crate) service: String,
    pub(crate) port: u16,
}

impl Endpoint {
    pub(super) fn of(status: &Value) -> Endpoint {
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
            inner: Inner::of(&status["serviceURL"]).filter(|_| status["type"] != "UDP"),
        }
    }
}

impl Inner {
    /// Off the address of a Service. It becomes part of a command: what is no name is none.
    fn of(url: &Value) -> Option<Inner> {
        let (service, rest) = url["host"].as_str()?.split_once('.')?;
        let (namespace, behind) = rest.split_once('.')?;
        let label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let is_name =
            |name: &str| name.chars().all(label) && !name.is_empty() && !name.starts_with('-');
        let named = is_name(service) && is_name(namespace);
        if !named || behind.split('.').next() != Some("svc") {
            return None;
        }
        let port = u16::try_from(url["port"].as_u64()?).ok()?;
        Some(Inner { namespace: namespace.to_owned(), service: service.to_owned(), port })
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
    use super::{Endpoint, Inner};
    use serde_json::json;

    #[test]
    fn addresses_have_a_plain_form_below_localhost() {
        let endpoint = Endpoint::of(&json!({
            "name": "http", "type": "HTTP",
            "serviceURL": {"scheme": "http", "host": "g.cell.svc.cluster.local", "port": 80},
            "externalURLs": {"http": {"scheme": "http", "port": 19080, "path": "/greeter-http",
                "host": "development-default.openchoreoapis.localhost"}},
        }));
        let external = "http://development-default.openchoreoapis.localhost:19080/greeter-http";
        assert_eq!(endpoint.external.as_deref(), Some(external));
        let plain = "http://localhost:19080/@development-default/greeter-http";
        assert_eq!(endpoint.plain.as_deref(), Some(plain));
        assert_eq!(endpoint.service.as_deref(), Some("http://g.cell.svc.cluster.local"));
        let inner = Inner { namespace: "cell".into(), service: "g".into(), port: 80 };
        assert_eq!(endpoint.inner, Some(inner));
    }

    #[test]
    fn only_a_service_is_forwarded_to_and_what_is_no_name_is_no_part_of_a_command() {
        for host in ["g.example.com", "$(id).cell.svc", "-n.cell.svc", "g..svc", "localhost"] {
            assert_eq!(Inner::of(&json!({"host": host, "port": 80})), None, "{host}");
        }
        assert_eq!(Inner::of(&json!({"host": "g.cell.svc"})), None);
    }
}
