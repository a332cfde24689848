//! The last look at everything: what is known to be a credential, or looks like one, is masked.

use std::{borrow::Cow, io};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use regex::bytes::{Captures, Regex};

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
    known: AhoCorasick,
    looks: Vec<Regex>,
    encoded: Regex,
}

impl Mask {
    /// What masks every value of `known` and whatever looks like a credential.
    ///
    /// # Errors
    /// Something that cannot be looked for: a mask without it would let it through.
    pub(super) fn of(known: &Known) -> io::Result<Self> {
        Self::with(known, LOOKS)
    }

    fn with(known: &Known, looks: &[&str]) -> io::Result<Self> {
        let pattern = |pattern: &str| {
            Regex::new(pattern).map_err(|error| {
                let what = "cannot look for what looks like a credential";
                io::Error::other(format!("{what}: {error}"))
            })
        };
        let values = AhoCorasick::builder()
            // What contains another value goes as a whole.
            .match_kind(MatchKind::LeftmostLongest)
            // Its size grows with that of the values, and with nothing else.
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(known.values());
        Ok(Self {
            // The cause says how many there are or how long one is, and no value.
            known: values.map_err(|error| {
                io::Error::other(format!("cannot look for the instance's credentials: {error}"))
            })?,
            looks: looks.iter().map(|look| pattern(look)).collect::<io::Result<_>>()?,
            encoded: pattern(ENCODED)?,
        })
    }

    /// `text` without credentials.
    pub(super) fn apply(&self, text: &[u8]) -> Vec<u8> {
        let mut known = Vec::with_capacity(text.len());
        self.known.replace_all_with_bytes(text, &mut known, |_, _, masked| {
            masked.extend_from_slice(MASKED.as_bytes());
            true
        });
        let mut text = Cow::Owned(known);
        let mut replace = |regex: &Regex, with: &dyn Fn(&Captures<'_>) -> Vec<u8>| {
            if let Cow::Owned(masked) = regex.replace_all(&text, |found: &Captures<'_>| with(found))
            {
                text = Cow::Owned(masked);
            }
        };
        replace(&self.encoded, &|found| encoded(&found[0]));
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
        let mut known = Known::none().unwrap();
        known.add("hunter2hunter2");
        String::from_utf8(Mask::of(&known).unwrap().apply(text.as_bytes())).unwrap()
    }

    #[test]
    fn what_cannot_be_looked_for_is_an_error() {
        let known = Known::none().unwrap();
        assert_eq!(Mask::of(&known).unwrap().looks.len(), LOOKS.len());
        let refused = Mask::with(&known, &["()fine", "(broken"]).err().unwrap().to_string();
        assert!(refused.contains("cannot look for") && refused.contains("(broken"), "{refused}");
    }

    #[test]
    fn no_number_of_credentials_is_too_large_to_be_masked() {
        // As random as keys are: they have no beginning in common.
        let mut seed = 1_u64;
        let mut line = || {
            let letters = (0..1_000).map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                char::from(b'a' + u8::try_from((seed >> 33) % 26).unwrap())
            });
            letters.collect::<String>()
        };
        let secrets: Vec<String> = (0..1_000).map(|_| line()).collect();
        let mut known = Known::none().unwrap();
        secrets.iter().for_each(|secret| known.add(secret));
        assert!(known.values().map(str::len).sum::<usize>() > 2 << 20);
        let mask = Mask::of(&known).unwrap();
        let text = secrets.join(" and ");
        let masked = String::from_utf8(mask.apply(text.as_bytes())).unwrap();
        assert_eq!(masked, vec![MASKED; secrets.len()].join(" and "));
        // The whole goes, also where it contains another.
        known.add(&format!("{}0123", &secrets[0]));
        let text = format!("<{}0123>", &secrets[0]);
        let masked = Mask::of(&known).unwrap().apply(text.as_bytes());
        assert_eq!(String::from_utf8(masked).unwrap(), format!("<{MASKED}>"));
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
