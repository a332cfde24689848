//! Which `Host` and `Origin` a server answers to.
//!
//! A web page anywhere can make a browser send requests to loopback. Two headers tell such requests apart: after DNS
//! rebinding the `Host` is the page's own name, and a cross-site request carries the page's `Origin`. So a server
//! answers only to names that cannot be rebound (address literals, `localhost` and below, cluster names and the ones
//! it was given), and a request with an `Origin` must come from one of these names too.

use std::{
    future::Future,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderMap, Request, Response, StatusCode, Uri, header};
use tower::{Layer, Service};

/// The names a server answers to; a tower layer and a plain function over the same rule.
#[derive(Debug, Clone, Default)]
pub struct AllowedHosts(Arc<[String]>);

/// Why a request was turned away. The text is safe to send.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// HTTP/1.1 asks for one and only one.
    #[error("the request must carry one Host header")]
    NoHost,
    /// The name is not one of ours.
    #[error("this server does not answer to the host {0:?}; allow it with --allow-host")]
    Host(String),
    /// A page of another site sent the request.
    #[error("requests from pages of {0:?} are refused; allow the host with --allow-host")]
    Origin(String),
}

impl OriginError {
    /// 400 for a malformed request, 403 for a refused name.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoHost => StatusCode::BAD_REQUEST,
            Self::Host(_) | Self::Origin(_) => StatusCode::FORBIDDEN,
        }
    }
}

impl AllowedHosts {
    /// Names beside the ones that are always safe, without port; `*.example.org` covers every name below.
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(names.into_iter().map(|name| name.into().to_ascii_lowercase()).collect())
    }

    /// Judges the `Host` (or HTTP/2 authority) and the `Origin` of a request.
    ///
    /// # Errors
    /// [`OriginError`] names the offending value.
    pub fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), OriginError> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = match (hosts.next(), hosts.next(), uri.authority()) {
            (Some(host), None, _) => String::from_utf8_lossy(host.as_bytes()).into_owned(),
            (None, None, Some(authority)) => authority.to_string(),
            _ => return Err(OriginError::NoHost),
        };
        if !self.covers(&host) {
            return Err(OriginError::Host(host));
        }
        for origin in headers.get_all(header::ORIGIN) {
            let origin = String::from_utf8_lossy(origin.as_bytes());
            let name = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            if !name.is_some_and(|name| self.covers(name)) {
                return Err(OriginError::Origin(origin.into_owned()));
            }
        }
        Ok(())
    }

    /// Whether `authority` (`name`, `name:port`, `1.2.3.4:port`, `[::1]:port`) is one we answer to.
    fn covers(&self, authority: &str) -> bool {
        let Ok(authority) = authority.parse::<http::uri::Authority>() else { return false };
        if authority.as_str().contains('@') {
            return false;
        }
        let host = authority.host().trim_end_matches('.').to_ascii_lowercase();
        if host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
            return true;
        }
        let below = |name: &str, zone: &str| {
            name.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        below(&host, "localhost")
            || below(&host, "svc.cluster.local")
            || below(&host, "svc")
            || self.0.iter().any(|allowed| match allowed.strip_prefix("*.") {
                Some(zone) => below(&host, zone),
                None => host == *allowed,
            })
    }
}

impl<S> Layer<S> for AllowedHosts {
    type Service = Checked<S>;

    fn layer(&self, inner: S) -> Checked<S> {
        Checked { allowed: self.clone(), inner }
    }
}

/// A service behind [`AllowedHosts`].
#[derive(Debug, Clone)]
pub struct Checked<S> {
    allowed: AllowedHosts,
    inner: S,
}

impl<S, B, Answer> Service<Request<B>> for Checked<S>
where
    S: Service<Request<B>, Response = Response<Answer>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    Answer: From<String> + Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.allowed.check(request.uri(), request.headers()) {
            Ok(()) => Box::pin(self.inner.call(request)),
            Err(refused) => {
                tracing::warn!(%refused, path = request.uri().path(), "request refused");
                let mut response = Response::new(Answer::from(format!("{refused}\n")));
                *response.status_mut() = refused.status();
                Box::pin(std::future::ready(Ok(response)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, origin: Option<&str>) -> Result<(), OriginError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().expect("host"));
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().expect("origin"));
        }
        AllowedHosts::new(["portal.example.org", "*.dev.example.org"])
            .check(&Uri::from_static("/"), &headers)
    }

    #[test]
    fn names_that_cannot_be_rebound_pass() {
        for host in [
            "localhost:8080",
            "api.openchoreo.localhost",
            "127.0.0.1:8081",
            "[::1]:80",
            "10.96.0.12:8080",
            "openchoreo-api.openchoreo-control-plane.svc:8080",
            "openchoreo-api.openchoreo-control-plane.svc.cluster.local",
            "Portal.example.org",
            "one.dev.example.org",
        ] {
            assert_eq!(check(host, None), Ok(()), "{host}");
        }
    }

    #[test]
    fn a_rebound_name_is_refused() {
        for host in [
            "evil.example",
            "localhost.evil.example",
            "notlocalhost",
            "127.0.0.1.nip.io",
            "a@localhost",
        ] {
            assert_eq!(check(host, None), Err(OriginError::Host(host.into())), "{host}");
        }
    }

    #[test]
    fn a_page_of_another_site_is_refused() {
        assert_eq!(check("localhost", Some("http://localhost:8080")), Ok(()));
        assert_eq!(check("localhost", Some("https://portal.example.org")), Ok(()));
        for origin in ["https://evil.example", "null", "file://", "http://localhost@evil.example"] {
            let refused = check("localhost", Some(origin));
            assert_eq!(refused, Err(OriginError::Origin(origin.into())), "{origin}");
        }
    }

    #[test]
    fn the_host_header_must_be_there_once() {
        let mut headers = HeaderMap::new();
        let allowed = AllowedHosts::default();
        assert_eq!(allowed.check(&Uri::from_static("/"), &headers), Err(OriginError::NoHost));
        headers.append(header::HOST, header::HeaderValue::from_static("localhost"));
        headers.append(header::HOST, header::HeaderValue::from_static("evil.example"));
        assert_eq!(allowed.check(&Uri::from_static("/"), &headers), Err(OriginError::NoHost));
    }
}
