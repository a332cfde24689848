//! A webhook as its configuration has it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

use super::super::super::kinds::{ExpressionScope, ValueExt};
use super::super::conditions::Conditions;
use super::super::rules::Interest;

/// Where a hook is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Anywhere.
    Url(String),
    /// Behind a Service.
    Service { namespace: String, name: String, path: String, port: u16 },
}

/// One webhook.
#[derive(Debug)]
pub(super) struct Hook {
    /// Of its configuration and itself, to be told from all others.
    pub(super) id: (String, String),
    pub(super) name: String,
    /// It may change documents: patches of others are not read.
    pub(super) mutates: bool,
    pub(super) place: Place,
    pub(super) interest: Interest,
    pub(super) conditions: Conditions,
    /// The write fails when the hook does.
    pub(super) fails: bool,
    pub(super) timeout: Duration,
    /// It wants to see what others have changed after it.
    pub(super) again: bool,
    /// Version of the reviews that it reads.
    pub(super) version: &'static str,
    bundle: String,
    tls: OnceLock<Result<Arc<ClientConfig>, String>>,
}

impl Hook {
    /// The hooks of a configuration of such that may change documents.
    pub(super) fn mutating(config: &Value) -> Vec<Self> {
        Self::all(config, true)
    }

    /// The hooks of a configuration of such that may only refuse them.
    pub(super) fn validating(config: &Value) -> Vec<Self> {
        Self::all(config, false)
    }

    fn all(config: &Value, mutates: bool) -> Vec<Self> {
        let of = config.text(&["metadata", "name"]);
        config.list(&["webhooks"]).iter().map(|hook| Self::one(of, hook, mutates)).collect()
    }

    fn one(config: &str, hook: &Value, mutates: bool) -> Self {
        let client = &hook["clientConfig"];
        let place = match client.at(&["service"]) {
            Some(service) => Place::Service {
                namespace: service.text(&["namespace"]).into(),
                name: service.text(&["name"]).into(),
                path: service.text(&["path"]).trim_start_matches('/').into(),
                port: service.int(&["port"]).and_then(|p| p.try_into().ok()).unwrap_or(443),
            },
            None => Place::Url(client.text(&["url"]).into()),
        };
        let known = ["v1", "v1beta1"];
        let versions = hook.list(&["admissionReviewVersions"]).iter();
        let version = versions.filter_map(|v| known.into_iter().find(|known| v == known)).next();
        let seconds = hook.int(&["timeoutSeconds"]).and_then(|s| s.try_into().ok()).unwrap_or(10);
        let name = hook.text(&["name"]).to_owned();
        Self {
            id: (config.into(), name.clone()),
            name,
            mutates,
            place,
            interest: Interest::of(hook),
            conditions: Conditions::of(
                hook.list(&["matchConditions"]),
                &ExpressionScope::of_conditions(false),
            ),
            fails: hook["failurePolicy"] != "Ignore",
            timeout: Duration::from_secs(seconds),
            again: hook["reinvocationPolicy"] == "IfNeeded",
            version: version.unwrap_or("v1"),
            bundle: client.text(&["caBundle"]).into(),
            tls: OnceLock::new(),
        }
    }

    /// Where it is asked, as it is told in messages too.
    pub(super) fn url(&self) -> String {
        let seconds = self.timeout.as_secs();
        match &self.place {
            Place::Url(url) => format!("{url}?timeout={seconds}s"),
            Place::Service { namespace, name, path, port } => {
                format!("https://{name}.{namespace}.svc:{port}/{path}?timeout={seconds}s")
            }
        }
    }

    /// Whom it trusts: its own authorities, or those of the machine when it names none. Kept, so that sessions are
    /// taken up again.
    pub(super) fn tls(&self) -> Result<Arc<ClientConfig>, String> {
        self.tls.get_or_init(|| trusting(&self.bundle).map(Arc::new)).clone()
    }
}

fn trusting(bundle: &str) -> Result<ClientConfig, String> {
    if bundle.is_empty() {
        return curtain_role::authorities();
    }
    let wrong = |why: String| format!("unable to load root certificates: {why}");
    let pem = base64::engine::general_purpose::STANDARD.decode(bundle);
    let pem = pem.map_err(|why| wrong(why.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|why| wrong(why.to_string()))?;
        roots.add(certificate).map_err(|why| wrong(why.to_string()))?;
    }
    if roots.is_empty() {
        return Err(wrong("unable to parse bytes as PEM block".into()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|why| wrong(why.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
