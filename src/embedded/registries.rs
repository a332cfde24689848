//! Which hosts stand for an image's registry. By default the registry itself, and TLS everywhere but on loopback.

use std::collections::{BTreeMap, BTreeSet};

use http::uri::Authority;
use serde::{Deserialize, Serialize};

/// How registries are asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Registries {
    /// Hosts that are asked before a registry, which is named as in images: `{"docker.io": ["mirror.example:5000"]}`.
    /// They get no credentials but those for their own name.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// Hosts that may be spoken to without TLS where they have none. Those on loopback always may.
    pub insecure: BTreeSet<String>,
    /// Whether only hosts on loopback are asked: as the cluster's settings have it when they are read, whatever a file of
    /// an earlier build says here.
    #[serde(skip_serializing)]
    pub offline: bool,
}

impl Registries {
    /// Whether every host is one: a name or an address, maybe with a port.
    ///
    /// # Errors
    /// A sentence that names the first that is none.
    pub fn check(&self) -> Result<(), String> {
        let mirrors =
            self.mirrors.iter().flat_map(|(registry, hosts)| hosts.iter().chain([registry]));
        let is_host = |host: &str| host.parse::<Authority>().is_ok() && !host.contains('@');
        match mirrors.chain(&self.insecure).find(|host| !is_host(host)) {
            Some(other) => Err(format!(
                "{other:?} is no host; write a name or an address, maybe with a port, such as \"mirror.example:5000\""
            )),
            None => Ok(()),
        }
    }

    /// The hosts that are asked before `registry`, in their order.
    pub(crate) fn mirrors(&self, registry: &str) -> impl Iterator<Item = &str> {
        self.mirrors.get(registry).into_iter().flatten().map(String::as_str)
    }

    /// Whether `host`, maybe with a port, may be spoken to without TLS.
    pub(crate) fn is_plain(&self, host: &str) -> bool {
        self.insecure.contains(host) || is_loopback(host)
    }

    /// Whether `host`, maybe with a port, may be asked at all.
    pub(crate) fn may_ask(&self, host: &str) -> bool {
        !self.offline || is_loopback(host)
    }
}

/// Whether a host, maybe with a port, is this machine, whatever a name server says.
pub(crate) fn is_loopback(host: &str) -> bool {
    let host = host.rsplit_once(':').map_or(host, |(name, port)| match port.parse::<u16>() {
        Ok(_) => name,
        Err(_) => host,
    });
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    match name.trim_matches(['[', ']']).parse::<std::net::IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => name == "localhost" || name.ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_what_is_configured_goes_without_tls() {
        let text = r#"{"mirrors": {"docker.io": ["near:5000"]}, "insecure": ["near:5000"]}"#;
        let registries: Registries = serde_json::from_str(text).unwrap();
        for plain in ["localhost", "localhost:5000", "127.0.0.9:1", "[::1]:5000", "near:5000"] {
            assert!(registries.is_plain(plain), "{plain}");
        }
        for secure in ["near", "ghcr.io", "localhost.example:80", "10.0.0.1:5000", "127.example"] {
            assert!(!registries.is_plain(secure), "{secure}");
        }
        assert!(registries.mirrors("docker.io").eq(["near:5000"]));
        assert_eq!(registries.mirrors("ghcr.io").count(), 0);
        assert!(serde_json::from_str::<Registries>(r#"{"insecur": []}"#).is_err());
    }

    #[test]
    fn offline_only_this_machine_is_asked() {
        let mut registries =
            Registries { insecure: ["near:5000".into()].into(), ..Default::default() };
        assert!(registries.may_ask("ghcr.io") && registries.may_ask("near:5000"));
        registries.offline = true;
        for (host, may) in [
            ("ghcr.io", false),
            ("near:5000", false),
            ("10.0.0.1:5000", false),
            ("localhost:5000", true),
            ("127.0.0.1:5000", true),
        ] {
            assert_eq!(registries.may_ask(host), may, "{host}");
        }
    }

    #[test]
    fn what_is_no_host_is_named() {
        let check = |text| serde_json::from_str::<Registries>(text).unwrap().check();
        check(r#"{"mirrors": {"docker.io": ["a:1", "[::1]:5000"]}, "insecure": ["10.0.0.1"]}"#)
            .unwrap();
        for (bad, named) in [
            (r#"{"mirrors": {"docker.io": ["https://a"]}}"#, "https://a"),
            (r#"{"mirrors": {"https://docker.io": []}}"#, "https://docker.io"),
            (r#"{"insecure": ["a/b"]}"#, "a/b"),
            (r#"{"insecure": ["u:p@a"]}"#, "u:p@a"),
            (r#"{"insecure": [""]}"#, "\"\""),
        ] {
            let said = check(bad).unwrap_err();
            assert!(said.contains(named), "{said}");
        }
    }
}
