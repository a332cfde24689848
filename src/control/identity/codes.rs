//! One-time codes that carry a sign-in from the command line into a browser.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::Rng as _;

use super::{Secret, secret::SecretDigest};

/// How long a code waits to be used.
pub(super) const CODE_SECONDS: u64 = 60;
/// Codes waiting at once; the oldest goes first.
const WAITING: usize = 64;

/// Codes that were handed out and not used yet. They do not survive a restart, and need not.
#[derive(Debug, Default)]
pub struct LoginCodes(Mutex<Vec<Waiting>>);

#[derive(Debug)]
struct Waiting {
    code: SecretDigest,
    subject: String,
    expires: Instant,
}

impl LoginCodes {
    /// A fresh code of 256 random bits for `subject`.
    pub fn issue(&self, subject: &str, now: Instant) -> Secret {
        let mut bits = [0_u8; 32];
        rand::rng().fill_bytes(&mut bits);
        let code = URL_SAFE_NO_PAD.encode(bits);
        let mut waiting = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        waiting.retain(|entry| entry.expires > now);
        if waiting.len() >= WAITING {
            waiting.remove(0);
        }
        waiting.push(Waiting {
            code: SecretDigest::of(code.as_bytes()),
            subject: subject.to_owned(),
            expires: now + Duration::from_secs(CODE_SECONDS),
        });
        Secret::new(code)
    }

    /// The subject of `code`, once; `None` when it is unknown, used or too old.
    pub fn redeem(&self, code: &str, now: Instant) -> Option<String> {
        let code = SecretDigest::of(code.as_bytes());
        let mut waiting = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let index = waiting.iter().position(|entry| entry.code.matches(&code))?;
        let entry = waiting.remove(index);
        (entry.expires > now).then_some(entry.subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_works_once() {
        let (codes, now) = (LoginCodes::default(), Instant::now());
        let code = codes.issue("admin@openchoreo.dev", now);
        assert_eq!(codes.redeem("something else", now), None);
        assert_eq!(codes.redeem(code.expose(), now).as_deref(), Some("admin@openchoreo.dev"));
        assert_eq!(codes.redeem(code.expose(), now), None);
    }

    #[test]
    fn a_code_gets_too_old() {
        let (codes, now) = (LoginCodes::default(), Instant::now());
        let code = codes.issue("admin", now);
        assert_eq!(codes.redeem(code.expose(), now + Duration::from_secs(CODE_SECONDS)), None);
    }

    #[test]
    fn few_codes_wait_at_once() {
        let (codes, now) = (LoginCodes::default(), Instant::now());
        let first = codes.issue("admin", now);
        for _ in 0..WAITING {
            codes.issue("admin", now);
        }
        assert_eq!(codes.redeem(first.expose(), now), None);
    }
}
