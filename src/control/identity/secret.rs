//! What is stored of a secret.

use sha2::{Digest as _, Sha256};

/// SHA-256 of a secret. Stored instead of it, so that a memory dump does not hold it.
///
/// A fast hash is enough: the secrets are 256 random bits, not words a person chose.
#[derive(Clone, Copy)]
pub(crate) struct SecretDigest([u8; 32]);

impl SecretDigest {
    pub(crate) fn of(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// Compares every byte, whatever the first ones say.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        let differing = self.0.iter().zip(&other.0).fold(0, |seen, (a, b)| seen | (a ^ b));
        std::hint::black_box(differing) == 0
    }
}

impl std::fmt::Debug for SecretDigest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("[digest]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_never_shown() {
        assert_eq!(format!("{:?}", SecretDigest::of(b"hunter2")), "[digest]");
    }

    #[test]
    fn digests_match_only_the_same_secret() {
        let stored = SecretDigest::of(b"hunter2");
        assert!(stored.matches(&SecretDigest::of(b"hunter2")));
        assert!(!stored.matches(&SecretDigest::of(b"hunter3")));
        assert!(!stored.matches(&SecretDigest::of(b"")));
    }
}
