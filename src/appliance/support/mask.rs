//! The last look at everything: what is known to be a credential, or looks like one, is masked.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use regex::bytes::{Captures, Regex, RegexBuilder};

use super::known::Known;

/// What stands in place of a credential.
pub(super) const MASKED: &str = "[masked]";
/// What every private key in PEM says in its first line.
pub(super) const PRIVATE_KEY: &str = "PRIVATE KEY-----";

/// What looks like a credential wherever it stands; `$1` is kept.
const LOOKS: &[&str] = &[
    // A private key, also one that is cut off or has its lines escaped.
    r"(?s)()-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?:.*?-----END [A-Z0-9 ]*PRIVATE KEY-----|[A-Za-z0-9+/=\s\\]*)",
    // A token in three parts, or the first of them.
    r"()eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+)*",
    // With which a node joins a cluster.
    r"()\b[a-z0-9]{6}\.[a-z0-9]{16}\b",
    r"(?i)(\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/-]{16,}=*",
    r"(?i)(\b(?:set-)?cookie:\s*)[^\r\n]+",
    // A password in a URL, and a code or token in its query.
    r"(://[^/\s:@]*:)[^/\s@]+@",
    r"(?i)([?&](?:code|token|access_token|client_secret|password)=)[^&\s\x22']+",
    // A value with such a name, in a log line or a document; a path is none.
    r#"(?i)((?:password|passwd|client[-_]?secret|access[-_]?token|refresh[-_]?token|id[-_]?token|api[-_]?key|private[-_]?key|client-key-data)\\?["']?\s*[:=]\s*\\?["']?)[^\s"',;&{}\[\]/\\][^\s"',;&{}\[\]\\]{5,}"#,
];

/// The beginning of a PEM block in base64, as kubeconfigs and Secrets have it.
const ENCODED: &str = "LS0tLS1CRUdJTi[A-Za-z0-9+/]{20,}";

/// Masks credentials in text.
pub(super) struct Mask {
    known: Option<Regex>,
    looks: Vec<Regex>,
    encoded: Option<Regex>,
}

impl Mask {
    pub(super) fn of(known: &Known) -> Self {
        let mut values: Vec<&str> = known.values().collect();
        // The first that matches counts, so what contains another comes before it.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        let exact: Vec<String> = values.iter().map(|value| regex::escape(value)).collect();
        let build = |pattern: &str| RegexBuilder::new(pattern).size_limit(256 << 20).build().ok();
        Self {
            known: (!exact.is_empty()).then(|| build(&exact.join("|"))).flatten(),
            looks: LOOKS.iter().filter_map(|pattern| build(pattern)).collect(),
            encoded: build(ENCODED),
        }
    }

    /// `text` without credentials.
    pub(super) fn apply(&self, text: &[u8]) -> Vec<u8> {
        let mut text = Cow::Borrowed(text);
        let mut replace = |regex: &Regex, with: &dyn Fn(&Captures<'_>) -> Vec<u8>| {
            if let Cow::Owned(masked) = regex.replace_all(&text, |found: &Captures<'_>| with(found))
            {
                text = Cow::Owned(masked);
            }
        };
        if let Some(regex) = &self.known {
            replace(regex, &|_| MASKED.into());
        }
        if let Some(regex) = &self.encoded {
            replace(regex, &|found| encoded(&found[0]));
        }
        for regex in &self.looks {
            replace(regex, &|found| [&found[1], MASKED.as_bytes()].concat());
        }
        text.into_owned()
    }
}

/// A certificate stays, a key does not.
fn encoded(text: &[u8]) -> Vec<u8> {
    // The end of a block that was cut off may not be a whole number of bytes.
    let whole = &text[..text.len() / 4 * 4];
    match STANDARD_NO_PAD.decode(whole) {
        Ok(block) if !String::from_utf8_lossy(&block).contains(PRIVATE_KEY) => text.to_vec(),
        _ => MASKED.into(),
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn masked(text: &str) -> String {
        let mut known = Known::default();
        known.add("hunter2hunter2");
        String::from_utf8(Mask::of(&known).apply(text.as_bytes())).unwrap()
    }

    #[test]
    fn every_pattern_is_one() {
        assert_eq!(Mask::of(&Known::default()).looks.len(), LOOKS.len());
        let mut known = Known::default();
        for number in 0..500 {
            known.add(&format!("{number}{}", "x".repeat(200)));
        }
        assert!(Mask::of(&known).known.is_some());
    }

    #[test]
    fn what_is_known_or_looks_like_a_credential_is_masked() {
        let key = "-----BEGIN EC PRIVATE KEY-----\nMIGHAgEA\n-----END EC PRIVATE KEY-----";
        let certificate = "-----BEGIN CERTIFICATE-----\nMIIBszCC\n-----END CERTIFICATE-----\n";
        let cases = [
            ("a hunter2hunter2 b", "a [masked] b"),
            ("in base64: aHVudGVyMmh1bnRlcjI=", "in base64: [masked]="),
            (key, "[masked]"),
            (&key.replace('\n', "\\n"), "[masked]"),
            ("-----BEGIN PRIVATE KEY-----\nMIGHAgEA", "[masked]"),
            ("t=eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln end", "t=[masked] end"),
            ("Authorization: Bearer abcdefghijklmnop012", "Authorization: Bearer [masked]"),
            ("Cookie: curtain_x=1; other=2\nnext", "Cookie: [masked]\nnext"),
            ("postgres://me:s3cret@db/x", "postgres://me:[masked]db/x"),
            ("GET /login?code=abc123&x=1", "GET /login?code=[masked]&x=1"),
            (r#"{"client_secret":"abcdef1"}"#, r#"{"client_secret":"[masked]"}"#),
            (r#"{"log":"{\"password\":\"abcdef1\"}"}"#, r#"{"log":"{\"password\":\"[masked]\"}"}"#),
            (&format!("key: {}", STANDARD.encode(key)), "key: [masked]"),
        ];
        for (text, expected) in cases {
            assert_eq!(
                masked(text).trim_end_matches('='),
                expected.trim_end_matches('='),
                "{text}"
            );
        }
        for harmless in [
            certificate,
            &STANDARD.encode(certificate),
            "bearer authentication is required",
            "secretName: control-plane-ca, key: password",
            "--token-file /var/run/secrets/token",
            r#"{"password": {"valueFrom": 1}}"#,
        ] {
            assert_eq!(masked(harmless), harmless);
        }
    }
}
