//! Where a host may lead to.

use std::net::IpAddr;

use http::header::LOCATION;
use http::uri::Authority;
use http::{HeaderMap, Uri};

use super::error::PullError;
use super::session::Session;
use crate::registries::is_loopback;

impl Session<'_> {
    /// Where a redirect leads.
    pub(super) fn next(&self, from: &Uri, headers: &HeaderMap) -> Result<Uri, PullError> {
        let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let location = location.ok_or_else(|| self.answer("redirects to nowhere"))?;
        match location.strip_prefix('/') {
            Some(rest) if !rest.starts_with('/') => {
                let (scheme, host) = (from.scheme_str(), from.authority().map(Authority::as_str));
                let (scheme, host) = (scheme.unwrap_or_default(), host.unwrap_or_default());
                self.allowed(&format!("{scheme}://{host}{location}"))
            }
            _ => self.allowed(location),
        }
    }

    /// A place that the host has named, if it may be asked.
    pub(super) fn allowed(&self, text: &str) -> Result<Uri, PullError> {
        let refuse = |why| Err(PullError::Refused { host: self.host.clone(), why });
        let Ok(uri) = text.parse::<Uri>() else {
            return refuse("to something that is no URL");
        };
        let host = uri.authority().map(Authority::as_str).unwrap_or_default();
        if host.is_empty() || host.contains('@') {
            return refuse("to a URL without a plain host");
        }
        // A stranger must not have this machine ask itself, or its cloud about its keys.
        let address = uri.host().unwrap_or_default().trim_matches(['[', ']']).parse::<IpAddr>();
        let address = address.ok().map(|address| address.to_canonical());
        if (is_loopback(host) || address.is_some_and(|one| one.is_unspecified()))
            && !is_loopback(&self.host)
        {
            return refuse("to this machine itself");
        }
        if address.is_some_and(|one| match one {
            IpAddr::V4(one) => one.is_link_local(),
            IpAddr::V6(one) => one.is_unicast_link_local(),
        }) {
            return refuse("to a link-local address");
        }
        match uri.scheme_str() {
            Some("https") => Ok(uri),
            Some("http") if self.scheme == "http" && self.registries.is_plain(host) => Ok(uri),
            _ => refuse("out of TLS"),
        }
    }
}
