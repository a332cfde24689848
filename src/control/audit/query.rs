//! Asking for records.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{Outcome, Record};
use crate::identity::SubjectKind;

/// Which records somebody wants. What is not given does not count.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// By this subject.
    pub actor: Option<String>,
    /// By subjects of this kind.
    pub actor_kind: Option<SubjectKind>,
    /// With this action; `releasebinding:*` is every action of a resource.
    pub action: Option<String>,
    /// That ended so.
    pub result: Option<Outcome>,
    /// In this namespace.
    pub namespace: Option<String>,
    /// Changes only.
    pub changes: bool,
    /// Not older.
    pub since: Option<Timestamp>,
    /// Not newer.
    pub until: Option<Timestamp>,
    /// With a smaller number.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

impl Query {
    pub(super) fn wants(&self, record: &Record) -> bool {
        let is = |wanted: &Option<String>, value: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == value)
        };
        let action = self.action.as_deref().is_none_or(|wanted| match wanted.strip_suffix('*') {
            Some(start) => record.action.starts_with(start),
            None => record.action == wanted,
        });
        let namespace = self.namespace.as_deref().is_none_or(|wanted| {
            let rest = record.at.strip_prefix("ns/").and_then(|at| at.strip_prefix(wanted));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        is(&self.actor, &record.actor)
            && self.actor_kind.is_none_or(|kind| kind == record.actor_kind)
            && action
            && namespace
            && self.result.is_none_or(|result| result == record.result)
            && !(self.changes && record.is_read())
            && self.until.is_none_or(|until| record.time <= until)
    }
}

/// A record with its number.
#[derive(Debug, Clone, Serialize)]
pub struct Numbered {
    /// Later records have larger ones.
    #[serde(rename = "id")]
    pub number: u64,
    /// The record.
    #[serde(flatten)]
    pub record: Record,
}

impl AsRef<Record> for Numbered {
    fn as_ref(&self) -> &Record {
        &self.record
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// The newest first.
    pub records: Vec<Numbered>,
    /// Whether there are older ones.
    pub more: bool,
}

/// What an agent did, as far as it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// What it looked at.
    pub reads: u64,
    /// What it changed.
    pub writes: u64,
    /// What it was not allowed.
    pub denied: u64,
    /// What did not work for another reason.
    pub failed: u64,
    /// When it was heard of last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
}

impl Counts {
    pub(super) fn count(&mut self, record: &Record, comes: bool) {
        let number = match record.result {
            Outcome::Denied => &mut self.denied,
            Outcome::Failed => &mut self.failed,
            Outcome::Allowed if record.is_read() => &mut self.reads,
            Outcome::Allowed => &mut self.writes,
        };
        if comes {
            *number += 1;
            self.last_seen = self.last_seen.max(Some(record.time));
        } else {
            *number = number.saturating_sub(1);
        }
    }

    pub(super) fn total(&self) -> u64 {
        self.reads + self.writes + self.denied + self.failed
    }
}

/// A time by RFC 3339, or how long before `now`: `90s`, `15m`, `2h`, `7d`.
pub fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Ok(time) = text.parse() {
        return Some(time);
    }
    let last = text.char_indices().next_back()?.0;
    let (number, unit) = text.split_at(last);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let number: i64 = number.parse().ok()?;
    let ago = number.checked_mul(seconds).filter(|ago| *ago >= 0)?;
    now.checked_sub(SignedDuration::from_secs(ago)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_moment_or_so_long_ago() {
        let now: Timestamp = "2026-01-02T00:00:00Z".parse().expect("time");
        let read = |text: &str| moment(text, now).map(|time| time.to_string());
        assert_eq!(read("2026-01-01T00:00:00Z").as_deref(), Some("2026-01-01T00:00:00Z"));
        assert_eq!(read("90s").as_deref(), Some("2026-01-01T23:58:30Z"));
        assert_eq!(read("1d").as_deref(), Some("2026-01-01T00:00:00Z"));
        for bad in ["", "h", "1w", "-1h", "yesterday", "99999999999999999d", "1ä"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
