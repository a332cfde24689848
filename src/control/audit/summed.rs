//! What was only looked at, summed up, so that changes and refusals are seen among it.
//!
//! Invariants: what was changed, refused or failed is never part of a sum; entries have the order of their first records.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Outcome, Record};

/// One record, or what one actor only looked at within a minute and with nothing else of it in between.
#[derive(Debug, Clone, Serialize)]
pub struct Entry<R> {
    /// The record; of several, the first.
    #[serde(flatten)]
    pub record: R,
    /// How many reads these are; none where it is no read, or one that was not done.
    pub reads: u64,
    /// What was read, such as `logs` and `component`.
    pub kinds: Vec<String>,
}

/// The entries of `records`, the oldest first.
pub fn sum_up<R: AsRef<Record>>(records: impl IntoIterator<Item = R>) -> Vec<Entry<R>> {
    let mut entries: Vec<Entry<R>> = Vec::new();
    // The entry that each actor's reads go on in, and its minute.
    let mut open: BTreeMap<String, (usize, i64)> = BTreeMap::new();
    for record in records {
        let told = record.as_ref();
        let (actor, minute) = (told.actor.clone(), told.time.as_second().div_euclid(60));
        if !told.is_read() || told.result != Outcome::Allowed {
            open.remove(&actor);
            entries.push(Entry { record, reads: 0, kinds: Vec::new() });
            continue;
        }
        let kind = told.action.split(':').next().filter(|kind| !kind.is_empty());
        let kind = kind.unwrap_or("other").to_owned();
        let sum = open.get(&actor).filter(|(_, of)| *of == minute);
        match sum.and_then(|(at, _)| entries.get_mut(*at)) {
            Some(sum) => {
                sum.reads += 1;
                if !sum.kinds.contains(&kind) {
                    sum.kinds.push(kind);
                }
            }
            None => {
                open.insert(actor, (entries.len(), minute));
                entries.push(Entry { record, reads: 1, kinds: vec![kind] });
            }
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn record(seconds: u32, more: Value) -> Record {
        let mut record = json!({
            "time": format!("2026-01-02T03:{:02}:{:02}Z", 4 + seconds / 60, seconds % 60), "actor": "one",
            "actorKind": "agent", "via": "mcp", "call": "get_component", "action": "component:view", "result": "allowed",
        });
        for (member, value) in more.as_object().expect("members") {
            record[member] = value.clone();
        }
        serde_json::from_value(record).expect("a record")
    }

    #[test]
    fn what_was_changed_or_not_done_ends_a_sum_and_is_none() {
        let records = [
            record(0, json!({})),
            record(1, json!({"action": "logs:view"})),
            record(2, json!({"actor": "two", "action": "releasebinding:update"})),
            record(3, json!({})),
            record(4, json!({"result": "denied"})),
            record(5, json!({"action": "", "call": "GET /api/v1/agents"})),
            record(6, json!({"result": "failed"})),
            record(59, json!({})),
            record(60, json!({})),
        ];
        let entries = sum_up(&records);
        let told: Vec<_> =
            entries.iter().map(|entry| (entry.reads, entry.kinds.join(" "))).collect();
        let expected = [
            (3, "component logs"),
            (0, ""),
            (0, ""),
            (1, "other"),
            (0, ""),
            (1, "component"),
            (1, "component"),
        ];
        assert_eq!(told, expected.map(|(reads, kinds)| (reads, kinds.to_owned())));
        assert_eq!(entries[0].record, &records[0], "the first of them");
    }
}
