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
        // A stranger must not have this machine ask itself, or its cloud about its keys. Only what is written is looked at:
        // a name that resolves to such an address passes, and then TLS wants a certificate for it.
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

#[cfg(test)]
mod tests {
    use curtain_role::Web;

    use super::*;
    use crate::Registries;
    use crate::node::registry::credential::Keyring;

    #[tokio::test]
    async fn a_stranger_leads_neither_to_this_machine_nor_past_tls() {
        let (web, keyring) = (Web::default(), Keyring::default());
        let registries =
            Registries { insecure: ["plain.example".to_owned()].into(), ..Default::default() };
        // Nothing is asked yet.
        let open = Session::open(&web, &registries, &keyring, "reg.example", "a/b").await;
        let session = open.unwrap();
        for (place, why) in [
            ("https://127.0.0.1/x", "to this machine itself"),
            ("https://127.9.9.9:5000/x", "to this machine itself"),
            ("https://localhost:5000/x", "to this machine itself"),
            ("https://a.localhost./x", "to this machine itself"),
            ("https://[::1]/x", "to this machine itself"),
            ("https://[::ffff:127.0.0.1]:1/x", "to this machine itself"),
            ("https://0.0.0.0/x", "to this machine itself"),
            ("https://[::]/x", "to this machine itself"),
            ("https://169.254.169.254/x", "to a link-local address"),
            ("https://[fe80::1]/x", "to a link-local address"),
            ("https://u:p@cdn.example/x", "to a URL without a plain host"),
            ("http://cdn.example/x", "out of TLS"),
            ("http://plain.example/x", "out of TLS"),
        ] {
            match session.allowed(place) {
                Err(PullError::Refused { host, why: said }) => {
                    assert_eq!((&*host, said), ("reg.example", why), "{place}");
                }
                other => panic!("{place}: {other:?}"),
            }
        }
        session.allowed("https://cdn.example/x").unwrap();
    }

    #[tokio::test]
    async fn offline_nobody_beyond_this_machine_is_asked() {
        let (web, keyring) = (Web::default(), Keyring::default());
        let registries = Registries { offline: true, ..Default::default() };
        // A registry of this machine that leads elsewhere.
        let session = Session::open(&web, &registries, &keyring, "localhost:1", "a/b").await;
        let session = session.unwrap();
        for (place, expected) in [
            ("https://cdn.example/x", "cdn.example"),
            ("http://10.0.0.1:5000/v2/", "10.0.0.1:5000"),
        ] {
            let asked = session.once(&place.parse().unwrap(), None, None).await;
            assert!(
                matches!(&asked, Err(PullError::Offline { host }) if host == expected),
                "{place}"
            );
        }
        let own = session.once(&"http://127.0.0.1:1/v2/".parse().unwrap(), None, None).await;
        assert!(matches!(own, Err(PullError::Unreachable { .. })), "nobody listens there");
    }
}
