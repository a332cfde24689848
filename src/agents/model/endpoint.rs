//! Which model, where, with which key.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use curtain_role::{Secret, Web};
use http::Uri;

use super::Limits;

/// The shape of a provider's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Chat completions, as OpenAI and many gateways and servers of open models have them.
    OpenAi,
    /// The Messages API.
    Anthropic,
}

/// A model that can be asked. Clones share connections.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The shape of the API.
    pub kind: Kind,
    /// Where requests are posted to, path included.
    pub url: Uri,
    /// The model's name, without the provider.
    pub model: String,
    /// The key; empty for an endpoint that asks for none.
    pub key: Secret,
    /// How long one answer may take.
    pub timeout: Duration,
    /// What a run may take.
    pub limits: Limits,
    pub(super) web: Arc<Web>,
}

/// Why an endpoint is none. The words never hold the URL, in which there may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not `provider:model`.
    #[error("{0:?} names no model: write provider:model with the provider openai or anthropic")]
    Model(String),
    /// Not a URL that can be asked.
    #[error("the model's base URL cannot be used: {0}")]
    Url(&'static str),
    /// Key and evidence would go over a network in the clear.
    #[error(
        "{0} is to be asked over plain HTTP, which is for this machine and the cluster: use https, or its name NAME.NAMESPACE.svc"
    )]
    Plain(String),
    /// Not a key that fits a header.
    #[error(
        "the model's key has characters that no key has; is it a file with more than one line?"
    )]
    Key,
}

impl Endpoint {
    /// The model `provider:model`, such as `openai:gpt-5.1` or `anthropic:claude-sonnet-4-5`, with default limits. For the
    /// best-known names the provider may be left out.
    ///
    /// `base` is a compatible endpoint instead of the provider's own, as its SDK takes it: for OpenAI with `/v1` at the
    /// end, for Anthropic without (but with does as well).
    ///
    /// # Errors
    /// [`EndpointError`] says what to change.
    pub fn parse(name: &str, base: Option<&str>, key: Secret) -> Result<Endpoint, EndpointError> {
        let (kind, model) = named(name).ok_or_else(|| EndpointError::Model(name.to_owned()))?;
        let key = Secret::new(key.expose().trim());
        if !key.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(EndpointError::Key);
        }
        let base = base.map(str::trim).filter(|base| !base.is_empty());
        let url = match kind {
            Kind::OpenAi => url(base.unwrap_or("https://api.openai.com/v1"), "/chat/completions")?,
            Kind::Anthropic => {
                let base = base.unwrap_or("https://api.anthropic.com").trim_end_matches('/');
                url(base.strip_suffix("/v1").unwrap_or(base), "/v1/messages")?
            }
        };
        Ok(Endpoint {
            kind,
            url,
            model: model.to_owned(),
            key,
            timeout: Duration::from_secs(180),
            limits: Limits::default(),
            web: Arc::default(),
        })
    }

    /// The name to show.
    pub(super) fn host(&self) -> &str {
        self.url.host().unwrap_or_default()
    }
}

fn named(name: &str) -> Option<(Kind, &str)> {
    let name = name.trim();
    let (kind, model) = match name.split_once(':') {
        Some(("openai", model)) => (Kind::OpenAi, model),
        Some(("anthropic", model)) => (Kind::Anthropic, model),
        Some(_) => return None,
        None if name.starts_with("claude") => (Kind::Anthropic, name),
        None if ["gpt-", "o1", "o3", "o4"].iter().any(|start| name.starts_with(start)) => {
            (Kind::OpenAi, name)
        }
        None => return None,
    };
    (!model.is_empty()).then_some((kind, model))
}

fn url(base: &str, path: &str) -> Result<Uri, EndpointError> {
    let unfit = EndpointError::Url;
    if base.contains(['?', '#']) {
        return Err(unfit("it has a query or fragment"));
    }
    let url = format!("{}{path}", base.trim_end_matches('/'));
    let url: Uri = url.parse().map_err(|_| unfit("it is no URL"))?;
    let authority = url.authority().ok_or(unfit("it has no host; begin with https://"))?;
    if authority.as_str().contains('@') {
        return Err(unfit("it holds a user or password; give the key as key"));
    }
    match url.scheme_str() {
        Some("https") => Ok(url),
        Some("http") if is_near(authority.host()) => Ok(url),
        Some("http") => Err(EndpointError::Plain(authority.host().to_owned())),
        _ => Err(unfit("it must begin with https://")),
    }
}

/// Whether `host` is this machine or a Service of the cluster, also by its short name.
fn is_near(host: &str) -> bool {
    if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        return address.is_loopback();
    }
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    !host.contains('.')
        || [".localhost", ".svc", ".svc.cluster.local"].iter().any(|end| host.ends_with(end))
        || host == "host.docker.internal"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str, base: Option<&str>) -> Result<Endpoint, EndpointError> {
        Endpoint::parse(name, base, Secret::new("sk-hidden\n"))
    }

    #[test]
    fn a_name_says_provider_and_model() {
        for (name, base, kind, model, url) in [
            (
                "openai:gpt-5.1",
                None,
                Kind::OpenAi,
                "gpt-5.1",
                "https://api.openai.com/v1/chat/completions",
            ),
            (
                "gpt-5.1",
                Some(" "),
                Kind::OpenAi,
                "gpt-5.1",
                "https://api.openai.com/v1/chat/completions",
            ),
            (
                "openai:llama3:8b",
                Some("http://ollama.models.svc:11434/v1/"),
                Kind::OpenAi,
                "llama3:8b",
                "http://ollama.models.svc:11434/v1/chat/completions",
            ),
            (
                "claude-x",
                None,
                Kind::Anthropic,
                "claude-x",
                "https://api.anthropic.com/v1/messages",
            ),
            (
                "anthropic:m",
                Some("https://gateway.test/a/v1"),
                Kind::Anthropic,
                "m",
                "https://gateway.test/a/v1/messages",
            ),
        ] {
            let endpoint = parse(name, base).unwrap();
            assert_eq!((endpoint.kind, endpoint.model.as_str()), (kind, model), "{name}");
            assert_eq!(endpoint.url.to_string(), url);
            assert_eq!(endpoint.key.expose(), "sk-hidden");
        }
        for name in ["", "openai:", "llama3:8b", "azure:gpt-4", "mystery"] {
            assert_eq!(parse(name, None).unwrap_err(), EndpointError::Model(name.to_owned()));
        }
    }

    #[test]
    fn plain_http_is_for_this_machine_and_the_cluster() {
        for near in ["127.0.0.1:9", "[::1]:9", "localhost", "llm", "llm.ai.svc.cluster.local"] {
            parse("openai:m", Some(&format!("http://{near}/v1"))).unwrap();
        }
        for far in ["example.org", "8.8.8.8", "svc.example.org", "127.0.0.1.example.org"] {
            let error = parse("openai:m", Some(&format!("http://{far}/v1"))).unwrap_err();
            assert_eq!(error, EndpointError::Plain(far.to_owned()));
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_without_being_shown() {
        for base in [
            "ftp://x/v1",
            "x.test/v1",
            "https://me:hidden@x.test",
            "https://x.test/?key=hidden",
            "::",
        ] {
            let error = parse("openai:m", Some(base)).unwrap_err();
            assert!(matches!(error, EndpointError::Url(_)), "{base}: {error}");
            assert!(!error.to_string().contains("hidden"), "{error}");
        }
        let two_lines = Endpoint::parse("openai:m", None, Secret::new("a\nb"));
        assert_eq!(two_lines.unwrap_err(), EndpointError::Key);
    }

    #[test]
    fn the_key_is_not_shown() {
        let shown = format!("{:?}", parse("openai:m", None).unwrap());
        assert!(shown.contains("[secret]") && !shown.contains("hidden"), "{shown}");
    }
}
