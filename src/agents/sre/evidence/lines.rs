//! What a component wrote and what happened to its objects, alike with alike.

use std::sync::LazyLock;

use jiff::Timestamp;
use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest text that is kept of a line or an event, in characters.
const LONGEST: usize = 400;
/// As many kinds of lines and events of a component are kept.
const MOST: usize = 8;

/// Lines that differ in numbers and ids only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lines {
    /// `ERROR` or `WARN`.
    pub level: String,
    /// What the newest says.
    pub text: String,
    /// How many were seen.
    pub count: usize,
    /// When the first of those seen was written.
    pub first: Timestamp,
    /// When the newest was written.
    pub last: Timestamp,
    /// The trace of the newest, if it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

/// Something that happened to an object of a component.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Whether it is a warning.
    pub warning: bool,
    /// Such as `BackOff`.
    pub reason: String,
    /// In words.
    pub message: String,
    /// `Kind/name`.
    pub object: String,
    /// How often.
    pub count: u64,
    /// When it happened last.
    pub last: Option<Timestamp>,
}

/// Lines of an answer of `query_component_logs`, the most frequent kind first.
pub(super) fn lines(answer: &Value) -> Vec<Lines> {
    let mut kinds: Vec<(String, Lines)> = Vec::new();
    for entry in answer["logs"].as_array().into_iter().flatten() {
        let Some(time) = entry["timestamp"].as_str().and_then(|time| time.parse().ok()) else {
            continue;
        };
        let (text, trace) = said(entry["log"].as_str().unwrap_or_default());
        let level = entry["level"].as_str().unwrap_or("UNDEFINED").to_owned();
        let kind = pattern(&text);
        match kinds.iter_mut().find(|(known, lines)| *known == kind && lines.level == level) {
            Some((_, lines)) => {
                lines.count += usize::try_from(entry["count"].as_u64().unwrap_or(1)).unwrap_or(1);
                lines.first = lines.first.min(time);
                if time > lines.last {
                    (lines.last, lines.text, lines.trace) = (time, text, trace);
                }
            }
            None => {
                let count = usize::try_from(entry["count"].as_u64().unwrap_or(1)).unwrap_or(1);
                let lines = Lines { level, text, count, first: time, last: time, trace };
                kinds.push((kind, lines));
            }
        }
    }
    let mut all: Vec<Lines> = kinds.into_iter().map(|(_, lines)| lines).collect();
    all.sort_by_key(|lines| std::cmp::Reverse((lines.level == "ERROR", lines.count)));
    all.truncate(MOST);
    all
}

/// What a line says, and in which trace. A line of JSON says it in a member of one of the usual names.
fn said(line: &str) -> (String, Option<String>) {
    let Ok(Value::Object(members)) = serde_json::from_str::<Value>(line) else {
        return (cut(line), None);
    };
    let first = |names: &[&str]| {
        let found = names.iter().find_map(|name| members.get(*name)?.as_str());
        found.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let text = first(&["error", "err", "exception", "message", "msg"]);
    let trace = first(&["trace_id", "traceId", "trace.id"]);
    (cut(&text.unwrap_or_else(|| line.to_owned())), trace)
}

/// The same for lines that differ in numbers and ids.
fn pattern(text: &str) -> String {
    static VARIABLE: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9]+").ok());
    VARIABLE
        .as_ref()
        .map_or_else(|| text.to_owned(), |variable| variable.replace_all(text, "#").into_owned())
}

/// Warnings and the fate of pods of an answer of `query_component_events`, the newest first.
pub(super) fn events(answer: &Value) -> Vec<Event> {
    let text = |event: &Value, name: &str| cut(event[name].as_str().unwrap_or_default());
    let mut all: Vec<Event> = answer["events"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|event| event["type"] == "Warning")
        .map(|event| Event {
            warning: true,
            reason: text(event, "reason"),
            message: text(event, "message"),
            object: text(event, "object"),
            count: event["count"].as_u64().unwrap_or(1),
            last: event["last"].as_str().and_then(|time| time.parse().ok()),
        })
        .collect();
    all.truncate(MOST);
    all
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_of_one_kind_are_counted_and_the_newest_speaks_for_them() {
        let line = |second: u32, number: u32| {
            let log = json!({"error": format!("order {number} failed"), "trace_id": format!("t{number}"),
                "message": "POST /orders 500"});
            json!({"level": "ERROR", "log": log.to_string(),
                "timestamp": format!("2026-01-01T00:00:{second:02}Z")})
        };
        let warning = json!({"level": "WARN", "log": "slow", "timestamp": "2026-01-01T00:00:01Z"});
        let found = lines(&json!({"logs": [warning, line(9, 7), line(3, 1)]}));
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].count, found[0].text.as_str()), (2, "order 7 failed"));
        assert_eq!(found[0].trace.as_deref(), Some("t7"));
        assert_eq!(found[0].first.to_string(), "2026-01-01T00:00:03Z");
        assert_eq!(found[1].text, "slow");
    }

    #[test]
    fn warnings_are_kept_and_other_events_are_not() {
        let found = events(&json!({"events": [
            {"type": "Normal", "reason": "Started", "message": "x"},
            {"type": "Warning", "reason": "BackOff", "message": "restarting", "count": 3,
             "object": "Pod/a", "last": "2026-01-01T00:00:01Z"},
        ]}));
        assert_eq!((found.len(), found[0].reason.as_str(), found[0].count), (1, "BackOff", 3));
    }
}
