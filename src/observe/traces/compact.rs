//! Found traces and spans as agents read them, who pay for every word.

use curtain_control::mcp::economy::{cost, cut, fit};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::answer;
use super::tree::{lines, milliseconds};
use super::wire::{Status, TraceId};
use super::{COUNTED, Listed, Row, Spans, Summary};
use crate::owner::Owner;

/// What two owners have not in common, for a row of its own.
fn place(owner: &Owner, first: &Owner) -> Vec<(&'static str, String)> {
    let names = [
        ("project", &owner.project, &first.project),
        ("component", &owner.component, &first.component),
        ("environment", &owner.environment, &first.environment),
    ];
    names
        .into_iter()
        .filter(|(_, mine, firsts)| mine != firsts)
        .map(|(name, mine, _)| (name, mine.clone()))
        .collect()
}

/// Traces for an agent: a row each, without what the first one has said already.
pub(super) fn traces(found: &Listed, budget: usize) -> Value {
    let mut rows: Vec<&Summary> = found.traces.iter().collect();
    let same = |name: fn(&Owner) -> &String| {
        rows.first().is_some_and(|one| rows.iter().all(|row| name(&row.owner) == name(&one.owner)))
    };
    // What is not the same everywhere is said in each row.
    let said = [
        ("project", same(|owner| &owner.project)),
        ("component", same(|owner| &owner.component)),
        ("environment", same(|owner| &owner.environment)),
    ];
    let own = |row: &Summary| {
        let names = place(&row.owner, &Owner::default()).into_iter();
        names
            .filter(|(name, _)| said.iter().any(|(one, same)| one == name && !same))
            .collect::<Vec<_>>()
    };
    let bare = r#"{"errors":1,"ms":12.3,"root":"","spans":10,"start":"2026-01-01T00:00:00.123Z","trace":"4bf92f3577b34da6a3ce929d0e0e4736"},"#;
    let all = rows.len();
    let gone = fit(&mut rows, budget, |row| {
        let own: usize =
            own(row).iter().map(|(name, value)| name.len() + value.len() + r#","":"""#.len()).sum();
        bare.len() + cost(&row.name) + own
    });
    let traces: Vec<Value> = rows
        .iter()
        .map(|row| {
            let start = Timestamp::from_nanosecond(row.start.into());
            let start = start.map(|time| format!("{time:.3}")).unwrap_or_default();
            let mut line = json!({"trace": row.trace.to_string(), "root": cut(&row.name), "start": start,
                "ms": number(&milliseconds(row.end - row.start)), "spans": row.spans});
            if row.errors > 0 {
                line["errors"] = row.errors.into();
            }
            for (name, value) in own(row) {
                line[name] = value.into();
            }
            line
        })
        .collect();
    let mut answer = json!({"traces": traces, "total": found.total});
    if let Some(first) = rows.first() {
        let shared = place(&first.owner, &Owner::default()).into_iter();
        let shared: Map<String, Value> = shared
            .filter(|(name, _)| said.iter().any(|(one, same)| one == name && *same))
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        if !shared.is_empty() {
            answer["metadata"] = Value::Object(shared);
        }
    }
    if gone > 0 || found.total > all {
        answer["hint"] = json!(format!(
            "{} of {}{} traces; ask with limit, or narrow by component, environment or time",
            rows.len(),
            if found.total < COUNTED { "" } else { "more than " },
            found.total
        ));
    }
    answer
}

/// A text of digits as a number, with the digits it has.
fn number(digits: &str) -> Value {
    serde_json::from_str(digits).unwrap_or_default()
}

/// Failed spans that are shown at most.
const FAILED: usize = 20;

/// A trace for an agent: what failed first, then all spans as an indented tree of at most `limit` lines.
pub(super) fn spans(trace: TraceId, found: &Spans, limit: usize, budget: usize) -> Value {
    let failed: Vec<&Row> = found.spans.iter().filter(|row| row.status == Status::ERROR).collect();
    let mut errors = failed.clone();
    // Where it began is deepest, and so started last.
    errors.sort_by_key(|row| std::cmp::Reverse(row.start));
    errors.truncate(FAILED);
    let bare = r#"{"component":"","message":"","name":"","span":"00f067aa0ba902b7"},"#.len();
    let cost_of =
        |row: &&Row| bare + cost(&row.name) + cost(&row.message) + row.owner.component.len();
    fit(&mut errors, budget / 3, cost_of);
    let used: usize = errors.iter().map(cost_of).sum();
    let errors: Vec<Value> = errors
        .into_iter()
        .map(|row| {
            let mut line = json!({"span": row.span.to_string(), "name": cut(&row.name), "component": row.owner.component});
            if !row.message.is_empty() {
                line["message"] = cut(&row.message).into();
            }
            line
        })
        .collect();

    let all = lines(&found.spans);
    let mut rows: Vec<String> = all.iter().map(|line| cut(&line.indented())).collect();
    rows.truncate(limit);
    fit(&mut rows, budget.saturating_sub(used), |row| cost(row) + r#""","#.len());
    let shown = rows.len();
    let mut answer = json!({"spans": rows, "total": found.total, "trace": trace.to_string()});
    if !errors.is_empty() {
        answer["errors"] = errors.into();
    }
    let mut hints = Vec::new();
    if shown < all.len() || found.total > found.spans.len() {
        let more = if found.total < COUNTED { "" } else { "more than " };
        hints.push(format!(
            "{shown} lines of {} for {more}{} spans; ask with limit, or narrow by component",
            all.len(),
            found.total
        ));
    }
    if failed.len() > answer["errors"].as_array().map_or(0, Vec::len) {
        hints.push(format!("{} spans failed", failed.len()));
    }
    if !hints.is_empty() {
        answer["hint"] = hints.join("; ").into();
    }
    answer
}

/// A span for an agent: long values are cut.
pub(super) fn details(row: &Row, budget: usize) -> Value {
    let mut span = answer::details(row);
    for part in ["attributes", "resourceAttributes"] {
        let Some(map) = span[part].as_object_mut() else { continue };
        for value in map.values_mut() {
            if let Some(text) = value.as_str() {
                *value = cut(text).into();
            }
        }
    }
    let events = span["events"].as_array_mut().map(std::mem::take).unwrap_or_default();
    let room = budget.saturating_sub(span.to_string().len());
    let mut kept: Vec<Value> = events;
    let gone = fit(&mut kept, room, |event| event.to_string().len());
    if let Some(map) = span.as_object_mut() {
        if kept.is_empty() {
            map.remove("events");
        } else {
            map.insert("events".into(), kept.into());
        }
        if gone > 0 {
            map.insert("hint".into(), format!("{gone} more events were left out").into());
        }
    }
    span
}
