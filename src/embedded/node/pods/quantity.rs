//! Kubernetes quantities as numbers.

/// `1.5`, `100m`, `64Mi`, `1e3` in thousandths; rounded up. `None` if it is no quantity.
pub(super) fn millis(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text
        .char_indices()
        .find(|(index, c)| !(c.is_ascii_digit() || *c == '.' || (*index == 0 && "+-".contains(*c))))
        .map_or(text.len(), |(index, _)| index);
    let (number, suffix) = text.split_at(split);
    let number: f64 = number.parse().ok()?;
    let factor = match suffix {
        "" => 1e3,
        "n" => 1e-6,
        "u" => 1e-3,
        "m" => 1.0,
        "k" => 1e6,
        "M" => 1e9,
        "G" => 1e12,
        "T" => 1e15,
        "P" => 1e18,
        "Ki" => 1e3 * 1024.0,
        "Mi" => 1e3 * 1_048_576.0,
        "Gi" => 1e3 * 1_073_741_824.0,
        "Ti" => 1e3 * 1_099_511_627_776.0,
        "Pi" => 1e3 * 1_125_899_906_842_624.0,
        exponent => {
            let exponent: i32 = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
            1e3 * 10_f64.powi(exponent)
        }
    };
    let value = number * factor;
    // Sums of decimal fractions are a little off; a hundredth of a thousandth is nothing.
    (value >= 0.0).then(|| (value - 0.01).ceil().max(0.0) as u64)
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
            ("1E", 0),
            ("500u", 1),
        ] {
            if text == "1E" {
                assert_eq!(millis(text), None);
            } else {
                assert_eq!(millis(text), Some(expected), "{text}");
            }
        }
        assert_eq!(whole("100m"), Some(1));
        assert_eq!(whole("1Gi"), Some(1 << 30));
        assert_eq!(millis("-1"), None);
        assert_eq!(millis("x"), None);
    }
}
