//! Found events as callers read them.

use curtain_control::mcp::economy::{cost, cut, fit};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Found;
use super::wire::Event;

/// The answer as JSON.
pub(super) fn answer(found: &Found, took_ms: u128) -> Value {
    let events: Vec<Value> = found.events.iter().map(entry).collect();
    json!({"events": events, "total": found.total, "tookMs": took_ms})
}

fn entry(event: &Event) -> Value {
    let owner = &event.owner;
    let names = common(event).into_iter().chain([
        ("objectKind", event.object_kind.as_str()),
        ("objectName", &event.object_name),
        ("componentUid", &owner.component_uid),
        ("projectUid", &owner.project_uid),
        ("environmentUid", &owner.environment_uid),
    ]);
    let metadata: Map<String, Value> = names
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    json!({
        "timestamp": time(event.last).map(|time| time.to_string()).unwrap_or_default(),
        "message": event.message,
        "type": event.r#type,
        "reason": event.reason,
        "count": event.count,
        "metadata": metadata,
    })
}

/// The names that many events have in common.
fn common(event: &Event) -> [(&'static str, &str); 5] {
    let owner = &event.owner;
    [
        ("componentName", &owner.component),
        ("projectName", &owner.project),
        ("environmentName", &owner.environment),
        ("namespaceName", &owner.namespace),
        ("objectNamespace", &event.object_namespace),
    ]
}

fn time(nanoseconds: i64) -> Option<Timestamp> {
    Timestamp::from_nanosecond(nanoseconds.into()).ok()
}

/// The same happening to objects of one kind.
struct Group<'a> {
    event: &'a Event,
    last: i64,
    count: i64,
    objects: Vec<&'a str>,
}

/// Like with like, in the order of the first of each.
fn groups(events: &[Event]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for event in events {
        let same = |group: &&mut Group<'_>| {
            let other = group.event;
            (&other.r#type, &other.reason, &other.message, &other.object_kind)
                == (&event.r#type, &event.reason, &event.message, &event.object_kind)
                && common(other) == common(event)
        };
        match groups.iter_mut().find(same) {
            Some(group) => {
                group.last = group.last.max(event.last);
                group.count += event.count;
                if !group.objects.contains(&event.object_name.as_str()) {
                    group.objects.push(&event.object_name);
                }
            }
            None => groups.push(Group {
                event,
                last: event.last,
                count: event.count,
                objects: vec![&event.object_name],
            }),
        }
    }
    groups
}

impl Group<'_> {
    fn object(&self) -> String {
        let first = self.objects.first().copied().unwrap_or_default();
        let more = self.objects.len().saturating_sub(1);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}/{first}{more}", self.event.object_kind)
    }

    /// As an agent reads it, without the names in `shared`.
    fn row(&self, shared: &Map<String, Value>) -> Value {
        let event = self.event;
        let last = time(self.last).map(|time| format!("{time:.0}")).unwrap_or_default();
        let mut row = json!({"last": last, "type": event.r#type, "reason": event.reason,
            "object": self.object(), "message": cut(&event.message)});
        if self.count > 1 {
            row["count"] = self.count.into();
        }
        for (name, value) in common(event) {
            if !shared.contains_key(name) && !value.is_empty() {
                row[name] = value.into();
            }
        }
        row
    }
}

/// What all of `events` have in common.
fn shared(events: &[&Event]) -> Map<String, Value> {
    let Some((first, rest)) = events.split_first() else { return Map::new() };
    let names = common(first).into_iter().enumerate();
    names
        .filter(|(at, (_, value))| {
            !value.is_empty() && rest.iter().all(|event| common(event)[*at].1 == *value)
        })
        .map(|(_, (name, value))| (name.to_owned(), value.into()))
        .collect()
}

/// The answer for an agent, which pays for every word: the same message of several objects or times is one row, and
/// what all have in common is said once. What does not fit into `budget` bytes is left out with a hint.
pub(super) fn compact(found: &Found, budget: usize) -> Value {
    let mut groups = groups(&found.events);
    let all = groups.len();
    let before = shared(&groups.iter().map(|group| group.event).collect::<Vec<_>>());
    let bare = r#"{"count":100,"last":"2026-01-01T00:00:00Z","message":"","object":"","reason":"","type":"Warning"},"#;
    let gone = fit(&mut groups, budget, |group| {
        let own = common(group.event).into_iter().filter(|(name, _)| !before.contains_key(*name));
        let own: usize =
            own.map(|(name, value)| name.len() + cost(value) + r#","":"""#.len()).sum();
        bare.len()
            + cost(&group.event.message)
            + group.object().len()
            + group.event.reason.len()
            + own
    });
    // Fewer rows may have more in common.
    let shared = shared(&groups.iter().map(|group| group.event).collect::<Vec<_>>());
    let rows: Vec<Value> = groups.iter().map(|group| group.row(&shared)).collect();
    let mut answer = json!({"events": rows, "total": found.total});
    if !shared.is_empty() {
        answer["metadata"] = Value::Object(shared);
    }
    let read = found.events.len() as u64;
    if gone > 0 || found.total > read {
        let more = if found.is_counted() { "" } else { "more than " };
        answer["hint"] = json!(format!(
            "{} of {all} different ones among {read} of {more}{} events; ask with limit, or narrow by component, environment or time",
            rows.len(),
            found.total
        ));
    }
    answer
}
