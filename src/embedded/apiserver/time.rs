//! Clock readings in the two forms that objects carry.

use jiff::{SignedDuration, Timestamp};

/// `metav1.Time`: whole seconds, `2026-01-02T03:04:05Z`.
pub(super) fn now() -> String {
    seconds(Timestamp::now())
}

/// Whole seconds.
pub(super) fn seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `metav1.MicroTime`.
pub(crate) fn micros(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// `seconds` from now.
pub(super) fn in_seconds(delta: i64) -> String {
    seconds(
        Timestamp::now().checked_add(SignedDuration::from_secs(delta)).unwrap_or(Timestamp::MAX),
    )
}

/// How long ago, as kubectl prints ages: `5s`, `3m20s`, `2d4h`; `<unknown>` for no time.
pub(super) fn age(since: &str, now: Timestamp) -> String {
    let Ok(since) = since.parse::<Timestamp>() else { return "<unknown>".into() };
    human(now.as_second().saturating_sub(since.as_second()))
}

/// A duration in seconds, at the precision kubectl shows.
pub(super) fn human(total: i64) -> String {
    let (s, m, h, d) = (total, total / 60, total / 3600, total / 86400);
    let two = |big: i64, unit: &str, small: i64, small_unit: &str| {
        if small == 0 { format!("{big}{unit}") } else { format!("{big}{unit}{small}{small_unit}") }
    };
    match total {
        i64::MIN..0 => "<invalid>".into(),
        _ if s < 120 => format!("{s}s"),
        _ if m < 10 => two(m, "m", s % 60, "s"),
        _ if h < 3 => format!("{m}m"),
        _ if h < 8 => two(h, "h", m % 60, "m"),
        _ if h < 48 => format!("{h}h"),
        _ if d < 8 => two(d, "d", h % 24, "h"),
        _ if d < 365 * 2 => format!("{d}d"),
        _ if d < 365 * 8 => two(d / 365, "y", d % 365, "d"),
        _ => format!("{}y", d / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_as_kubectl_prints_them() {
        for (seconds, text) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (200, "3m20s"),
            (700, "11m"),
            (10799, "179m"),
            (10800, "3h"),
            (11000, "3h3m"),
            (172_800, "2d"),
            (187_200, "2d4h"),
            (864_000, "10d"),
        ] {
            assert_eq!(human(seconds), text);
        }
        assert_eq!(age("", Timestamp::now()), "<unknown>");
        assert_eq!(seconds("2026-01-02T03:04:05.9Z".parse().unwrap()), "2026-01-02T03:04:05Z");
    }
}
