//! The credentials an instance is known to have: what an archive must not contain.

use std::{collections::BTreeSet, fs, io, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use regex::Regex;

use super::mask::PRIVATE_KEY;

/// Values that are to be masked wherever they stand. Never shown.
pub(super) struct Known {
    values: BTreeSet<String>,
    named: Regex,
}

/// Shorter values are words that stand everywhere, and no secret of this platform is that short.
const SHORTEST: usize = 8;
/// Lines of a key that are shorter say nothing.
const SHORTEST_LINE: usize = 24;
/// Files of an instance that are longer are images and volumes.
const LONGEST_FILE: u64 = 1 << 20;
/// How many files of an instance are looked at.
const MOST_FILES: usize = 5_000;

/// What is beside a credential in a Secret, and public.
const PUBLIC: &[&str] = &[
    "ca.crt",
    "tls.crt",
    "namespace",
    "username",
    "client-id",
    "groups",
    "name",
    "email",
    "display-name",
    "kid",
    "type",
    "url",
    "host",
    "port",
];

/// Credentials in a kubeconfig.
const NAMED: &str = r#"(?m)^[\s-]*(?:client-key-data|token|password):\s*"?([^\s"]+)"?\s*$"#;

impl Known {
    /// Nothing that is known yet.
    ///
    /// # Errors
    /// Something that cannot be looked for in files.
    pub(super) fn none() -> io::Result<Self> {
        let named = Regex::new(NAMED).map_err(|error| {
            io::Error::other(format!("cannot look for credentials in kubeconfigs: {error}"))
        })?;
        Ok(Self { values: BTreeSet::new(), named })
    }

    /// Every known value.
    pub(super) fn values(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(String::as_str)
    }

    /// Adds a credential in every form in which it may stand somewhere.
    pub(super) fn add(&mut self, value: &str) {
        let value = value.trim();
        if value.len() < SHORTEST {
            return;
        }
        let encoded = STANDARD.encode(value);
        self.values.insert(encoded.trim_end_matches('=').to_owned());
        self.values.insert(value.to_owned());
        if let Ok(quoted) = serde_json::to_string(value) {
            self.values.insert(quoted.trim_matches('"').to_owned());
        }
        let percent: String = value.bytes().map(percent).collect();
        self.values.insert(percent);
        if value.contains(PRIVATE_KEY) {
            let body: Vec<&str> = value.lines().filter(|line| !line.starts_with("-----")).collect();
            let whole = body.concat();
            // Of a key that is cut off there may be nothing.
            if whole.len() >= SHORTEST {
                self.values.insert(whole);
            }
            let lines = body.iter().filter(|line| line.len() >= SHORTEST_LINE);
            self.values.extend(lines.map(|line| (*line).to_owned()));
        }
    }

    /// Adds what a Secret of the cluster holds.
    pub(super) fn add_secret(&mut self, secret: &Secret) {
        for (key, ByteString(value)) in secret.data.iter().flatten() {
            if PUBLIC.contains(&key.as_str()) {
                continue;
            }
            if let Ok(text) = std::str::from_utf8(value) {
                self.add(text);
            }
        }
    }

    /// Adds the credentials in the files below `folder`, as far as they can be read.
    pub(super) fn read(&mut self, folder: &Path) {
        let mut left = MOST_FILES;
        self.walk(folder, &mut left);
    }

    fn walk(&mut self, folder: &Path, left: &mut usize) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let (path, Ok(kind)) = (entry.path(), entry.file_type()) else { continue };
            // Images are nobody's secret, and what a program logs says nothing about what is one.
            let log = path.extension().is_some_and(|end| end == "log");
            if kind.is_dir() && entry.file_name() != "images" {
                self.walk(&path, left);
            } else if kind.is_file() && !log && *left > 0 {
                *left -= 1;
                let short = entry.metadata().is_ok_and(|found| found.len() <= LONGEST_FILE);
                if let Some(text) = short.then(|| fs::read_to_string(&path).ok()).flatten() {
                    self.scan(&text);
                }
            }
        }
    }

    /// Adds the credentials in the text of a file.
    fn scan(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) = rest.find("-----BEGIN ") {
            let block = &rest[at..];
            let end = block.find("-----END ").map_or(block.len(), |end| end);
            if block[..end].contains(PRIVATE_KEY) {
                self.add(&block[..end]);
                // A Secret or a kubeconfig has the whole block, with its last line.
                let whole = block[end..].find('\n').map_or(block.len(), |line| end + line + 1);
                let encoded = STANDARD.encode(&block[..whole]);
                self.values.insert(encoded.trim_end_matches('=').to_owned());
            }
            rest = &block[end.max(1)..];
        }
        let found: Vec<&str> = self
            .named
            .captures_iter(text)
            .filter_map(|found| Some(found.get(1)?.as_str()))
            .collect();
        for value in found {
            self.add(value);
            if let Some(key) =
                STANDARD.decode(value).ok().and_then(|key| String::from_utf8(key).ok())
            {
                self.add(&key);
            }
        }
    }
}

fn percent(byte: u8) -> String {
    match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIB\n-----END PRIVATE KEY-----\n";

    fn has(known: &Known, value: &str) -> bool {
        known.values().any(|one| one == value)
    }

    #[test]
    fn files_of_an_instance_give_their_keys_and_passwords() {
        let dir = tempfile::tempdir().unwrap();
        let below = dir.path().join("cluster/pki");
        fs::create_dir_all(&below).unwrap();
        fs::write(below.join("ca.key"), KEY).unwrap();
        let encoded = STANDARD.encode(KEY);
        let kubeconfig =
            format!("users:\n- user:\n    client-key-data: {encoded}\n    token: abcdefgh1\n");
        fs::write(dir.path().join("kubeconfig"), kubeconfig).unwrap();
        fs::write(dir.path().join("ports"), "portal: 8080\n").unwrap();
        let mut known = Known::none().unwrap();
        known.read(dir.path());
        let body = KEY.lines().nth(1).unwrap();
        for value in [body, encoded.trim_end_matches('='), "abcdefgh1"] {
            assert!(has(&known, value), "{value}");
        }
        assert!(!known.values().any(|value| value.contains("8080")));
    }

    #[test]
    fn a_secret_gives_its_values_in_every_form_and_not_what_is_public() {
        let data =
            [("password", "p&ss\"word1"), ("username", "admin@openchoreo.dev"), ("x", "short")];
        let data = data.map(|(key, value)| (key.to_owned(), ByteString(value.into())));
        let mut known = Known::none().unwrap();
        known.add_secret(&Secret { data: Some(data.into()), ..Secret::default() });
        for value in ["p&ss\"word1", "p&ss\\\"word1", "p%26ss%22word1", "cCZzcyJ3b3JkMQ"] {
            assert!(has(&known, value), "{value}");
        }
        assert!(!known.values().any(|value| value.contains("admin") || value == "short"));
    }
}
