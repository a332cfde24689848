//! When a binding ends by itself.

use jiff::Timestamp;

use super::Effect;

/// The annotation of a binding with the time from which on it allows nothing, by RFC 3339.
pub const EXPIRES_AT: &str = "curtain.dev/expires-at";
/// The annotation of a binding with the subject that made it or changed it last. The API server writes it.
pub const GRANTED_BY: &str = "curtain.dev/granted-by";

/// When a binding ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ends {
    /// When somebody removes it.
    #[default]
    Never,
    /// At this time.
    At(Timestamp),
    /// The annotation is no time. Whoever wrote it wanted an end, so nothing is allowed, and what is forbidden stays so.
    Unreadable,
}

impl Ends {
    /// What the annotation [`EXPIRES_AT`] says.
    pub fn read(annotation: Option<&str>) -> Self {
        match annotation.map(|text| text.trim().parse()) {
            None => Self::Never,
            Some(Ok(time)) => Self::At(time),
            Some(Err(_)) => Self::Unreadable,
        }
    }

    /// Whether a binding with this end and `effect` counts no more at `now`.
    pub fn is_over(self, effect: Effect, now: Timestamp) -> bool {
        match self {
            Self::Never => false,
            Self::At(time) => time <= now,
            Self::Unreadable => effect == Effect::Allow,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_that_nobody_can_read_helps_nobody() {
        let now = Timestamp::UNIX_EPOCH;
        for (text, allow_is_over, deny_is_over) in [
            (None, false, false),
            (Some("1970-01-01T00:00:00Z"), true, true),
            (Some("1970-01-01T00:00:01+00:00"), false, false),
            (Some("1970-01-01T01:00:00+02:00"), true, true),
            (Some("tomorrow"), true, false),
            (Some(""), true, false),
            (Some("1970-01-02T00:00:00"), true, false),
        ] {
            let ends = Ends::read(text);
            let over = [Effect::Allow, Effect::Deny].map(|effect| ends.is_over(effect, now));
            assert_eq!(over, [allow_is_over, deny_is_over], "{text:?}");
        }
    }
}
