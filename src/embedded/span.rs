//! Times as Go writes them, which is how clients know them from events and `metav1.Duration`.

use std::time::Duration;

/// To the millisecond: `1m2.5s`, `340ms`.
pub(crate) fn span(time: Duration) -> String {
    let millis = time.as_millis();
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    let seconds = format!("{}.{:03}", rest / 1000, rest % 1000);
    let seconds = seconds.trim_end_matches('0').trim_end_matches('.');
    match (minutes, millis) {
        (0, 0) => "0s".to_owned(),
        (0, 1..1000) => format!("{millis}ms"),
        (0, _) => format!("{seconds}s"),
        (1..60, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{}h{}m{seconds}s", minutes / 60, minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_go_tells_them() {
        for (millis, expected) in [
            (0, "0s"),
            (340, "340ms"),
            (1000, "1s"),
            (1234, "1.234s"),
            (10_000, "10s"),
            (15_020, "15.02s"),
            (60_000, "1m0s"),
            (62_500, "1m2.5s"),
            (3_600_000, "1h0m0s"),
            (3_661_500, "1h1m1.5s"),
        ] {
            assert_eq!(span(Duration::from_millis(millis)), expected);
        }
    }
}
