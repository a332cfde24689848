//! When it is whose turn: the most important pod comes first, of equals the oldest one.

use std::fmt;

use k8s_openapi::api::core::v1::Pod;

use super::case::priority;
use crate::controllers::key::Key;
use crate::controllers::queue::Rank;

/// A pod that waits for a decision.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Turn {
    priority: i32,
    /// Seconds since 1970.
    created: i64,
    pub(super) key: Key,
}

impl Turn {
    pub(super) fn of(pod: &Pod) -> Self {
        let created = pod.metadata.creation_timestamp.as_ref();
        let created = created.map_or(0, |time| time.0.as_second());
        Self { priority: priority(pod), created, key: Key::of(pod) }
    }

    pub(super) fn rank(&self) -> Rank {
        (-i64::from(self.priority), self.created)
    }
}

impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::case::tests::pod;
    use super::*;

    #[test]
    fn the_important_and_then_the_old_come_first() {
        let turn = |name: &str, priority: i32, created: &str| {
            Turn::of(&pod(
                json!({"metadata": {"name": name, "creationTimestamp": created}, "spec": {"priority": priority}}),
            ))
        };
        let mut all = [
            turn("low", -1, "2026-01-01T00:00:00Z"),
            turn("young", 0, "2026-01-01T00:00:02Z"),
            turn("old", 0, "2026-01-01T00:00:01Z"),
            turn("high", 2_000_001_000, "2026-01-01T00:00:03Z"),
        ];
        all.sort_by_key(Turn::rank);
        assert_eq!(
            all.map(|turn| turn.to_string()),
            ["default/high", "default/old", "default/young", "default/low"]
        );
    }
}
