//! Kubernetes quantities as numbers.

use crate::quantity::Quantity;

/// `1.5`, `100m`, `64Mi`, `1e3` in thousandths; rounded up. `None` if it is no quantity.
pub(super) fn millis(text: &str) -> Option<u64> {
    Quantity::parse(text.trim())?.millis()
}

/// A quantity as a whole number; rounded up.
pub(super) fn whole(text: &str) -> Option<u64> {
    millis(text).map(|value| value.div_ceil(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read() {
        for (text, expected) in [
            ("1", 1000),
            ("100m", 100),
            ("0.1", 100),
            ("1.5", 1500),
            ("64Mi", 64 * 1_048_576_000),
            ("1e3", 1_000_000),
            ("500u", 1),
        ] {
            assert_eq!(millis(text), Some(expected), "{text}");
        }
        assert_eq!(whole("100m"), Some(1));
        assert_eq!(whole("1Gi"), Some(1 << 30));
        assert_eq!(millis("-1"), None);
        assert_eq!(millis("x"), None);
    }
}
