//! Durations as rules write them: `5m`, `1m30s`.

use std::time::Duration;

/// Reads one. The error is a sentence for whoever wrote the rule.
pub(super) fn parse(name: &str, text: &str) -> Result<Duration, String> {
    let wrong = || format!("condition.{name} is {text:?}; it must be a duration such as 30s or 5m");
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
        let unit = units.iter().find(|(unit, _)| rest.starts_with(unit)).ok_or_else(wrong)?;
        let part = number.checked_mul(unit.1).map(Duration::from_millis).ok_or_else(wrong)?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = &rest[unit.0.len()..];
    }
    if total.is_zero() { Err(wrong()) } else { Ok(total) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_writes_is_read_and_the_rest_is_refused() {
        for (text, seconds) in [("30s", 30), ("5m", 300), ("1h", 3600), ("1m30s", 90)] {
            assert_eq!(parse("window", text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse("window", "500ms"), Ok(Duration::from_millis(500)));
        for text in ["", "5", "m", "-5m", "0s", "5 m", "1d", "99999999999999999999h"] {
            let error = parse("window", text).expect_err("wrong");
            assert!(error.starts_with("condition.window is"), "{text}: {error}");
        }
    }
}
