//! Short hashes for names.

use serde::Serialize;

/// A short hash of what makes an object what it is; `collisions` makes another one when the first is taken.
pub(super) fn hash(of: &impl Serialize, collisions: Option<i32>) -> String {
    // No vowels and no look-alikes, so that a name never spells something.
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let text = serde_json::to_string(of).unwrap_or_default();
    let suffix = collisions.map(|n| n.to_le_bytes());
    let bytes = text.bytes().chain(suffix.into_iter().flatten());
    let hash = bytes
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash.to_string()
        .bytes()
        .map(|digit| char::from(ALPHABET[usize::from(digit) % ALPHABET.len()]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_short_stable_and_differ_by_collision() {
        let short = hash(&["any"], None);
        assert_eq!(short, hash(&["any"], None));
        assert_ne!(short, hash(&["any"], Some(1)));
        assert!(short.len() <= 10 && short.chars().all(|c| c.is_ascii_alphanumeric()), "{short}");
    }
}
