//! Who asks a registry: what Secrets of the types `kubernetes.io/dockerconfigjson` and `kubernetes.io/dockercfg` hold.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// A user and a password. Its `Debug` shows neither.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Credential {
    user: String,
    password: String,
}

impl Credential {
    /// The value of an `Authorization` header.
    pub(super) fn basic(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("{}:{}", self.user, self.password)))
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential")
    }
}

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
}

impl Entry {
    fn credential(self) -> Option<Credential> {
        if self.auth.is_empty() {
            let known = !self.username.is_empty();
            return known.then_some(Credential { user: self.username, password: self.password });
        }
        let text = String::from_utf8(STANDARD.decode(self.auth.trim()).ok()?).ok()?;
        let (user, password) = text.split_once(':')?;
        Some(Credential { user: user.to_owned(), password: password.to_owned() })
    }
}

/// Credentials by what they are for: a host, maybe with the beginning of a repository's name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Keyring(Vec<(String, Credential)>);

impl Keyring {
    /// Adds what is in the value of `.dockerconfigjson`.
    ///
    /// # Errors
    /// A sentence that quotes nothing of it.
    pub fn add_config_json(&mut self, json: &[u8]) -> Result<(), String> {
        let config: DockerConfig = serde_json::from_slice(json)
            .map_err(|_| "it is no JSON object with \"auths\"".to_owned())?;
        self.add(config.auths);
        Ok(())
    }

    /// Adds what is in the value of `.dockercfg`.
    ///
    /// # Errors
    /// A sentence that quotes nothing of it.
    pub fn add_config(&mut self, json: &[u8]) -> Result<(), String> {
        let auths = serde_json::from_slice(json)
            .map_err(|_| "it is no JSON object of credentials by host".to_owned())?;
        self.add(auths);
        Ok(())
    }

    fn add(&mut self, auths: BTreeMap<String, Entry>) {
        let entries = auths.into_iter();
        self.0.extend(entries.filter_map(|(key, entry)| Some((place(&key), entry.credential()?))));
    }

    /// The credentials for a repository, those with the longest matching name first, and then as they were added.
    pub(super) fn of<'a>(&'a self, host: &str, repository: &str) -> Vec<&'a Credential> {
        let wanted = format!("{host}/{repository}");
        let matches = |place: &str| {
            wanted.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                || wildcard(place, host)
        };
        let mut found: Vec<_> = self.0.iter().filter(|(place, _)| matches(place)).collect();
        found.sort_by_key(|(place, _)| std::cmp::Reverse(place.len()));
        let mut credentials: Vec<&Credential> = Vec::new();
        for (_, credential) in found {
            if !credentials.contains(&credential) {
                credentials.push(credential);
            }
        }
        credentials
    }
}

/// `https://index.docker.io/v1/` → `docker.io`; `https://a.example/b/` → `a.example/b`.
fn place(key: &str) -> String {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let bare = bare.trim_end_matches('/');
    let bare = bare.strip_suffix("/v1").or_else(|| bare.strip_suffix("/v2")).unwrap_or(bare);
    let (host, rest) = bare.split_once('/').map_or((bare, ""), |(host, rest)| (host, rest));
    let host = match host {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        host => host,
    };
    if rest.is_empty() { host.to_owned() } else { format!("{host}/{rest}") }
}

/// Whether `*.example.com` is meant for `host`: a star stands for one label.
fn wildcard(place: &str, host: &str) -> bool {
    let (labels, wanted): (Vec<_>, Vec<_>) =
        (place.split('.').collect(), host.split('.').collect());
    place.contains('*')
        && labels.len() == wanted.len()
        && labels.iter().zip(wanted).all(|(label, wanted)| *label == "*" || *label == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyring() -> Keyring {
        let mut keyring = Keyring::default();
        let auth = STANDARD.encode("hub:pass:word");
        let json = format!(
            r#"{{"auths": {{"https://index.docker.io/v1/": {{"auth": "{auth}"}},
                "a.example": {{"username": "all", "password": "1"}},
                "a.example/team": {{"username": "team", "password": "2"}},
                "*.b.example": {{"username": "star", "password": "3"}},
                "c.example": {{"auth": "?"}}}}}}"#
        );
        keyring.add_config_json(json.as_bytes()).unwrap();
        keyring.add_config(br#"{"d.example": {"username": "old", "password": "4"}}"#).unwrap();
        keyring
    }

    #[test]
    fn credentials_are_for_a_host_and_the_longest_name() {
        let keyring = keyring();
        let users = |host, repository| {
            let found = keyring.of(host, repository);
            found.iter().map(|one| one.user.clone()).collect::<Vec<_>>()
        };
        assert_eq!(users("docker.io", "library/x"), ["hub"]);
        assert_eq!(users("a.example", "team/x"), ["team", "all"]);
        assert_eq!(users("a.example", "teams/x"), ["all"]);
        assert_eq!(users("x.b.example", "y"), ["star"]);
        assert_eq!(users("d.example", "y"), ["old"]);
        for none in ["a.example.com", "y.x.b.example", "b.example", "c.example", "a.example:5000"] {
            assert_eq!(users(none, "team/x"), [""; 0], "{none}");
        }
        let hub = keyring.of("docker.io", "x")[0];
        assert_eq!(hub.basic(), format!("Basic {}", STANDARD.encode("hub:pass:word")));
    }

    #[test]
    fn nothing_of_them_is_shown() {
        let shown = format!("{:?}", keyring());
        assert!(!shown.contains("hub") && !shown.contains("pass"), "{shown}");
        let bad = br#"{"auths": {"a": {"password": 12345}}}"#;
        let said = Keyring::default().add_config_json(bad).unwrap_err();
        assert!(!said.contains("12345"), "{said}");
    }
}
