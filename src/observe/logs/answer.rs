//! Found lines as callers read them.

use curtain_control::mcp::economy::{cost, cut, fit};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Found, Row};
use crate::wire::Source;

/// The answer as JSON.
pub(super) fn answer(found: &Found, took_ms: u128) -> Value {
    let logs: Vec<Value> = found.rows.iter().map(entry).collect();
    json!({"logs": logs, "total": found.total, "tookMs": took_ms})
}

fn entry(row: &Row) -> Value {
    let source = &row.source;
    let mut metadata = Map::new();
    for (name, value) in names(source) {
        metadata.insert(name.to_owned(), value.into());
    }
    let uids = [
        ("componentUid", &source.owner.component_uid),
        ("projectUid", &source.owner.project_uid),
        ("environmentUid", &source.owner.environment_uid),
    ];
    for (name, uid) in uids.into_iter().filter(|(_, uid)| !uid.is_empty()) {
        metadata.insert(name.to_owned(), uid.as_str().into());
    }
    json!({
        "timestamp": timestamp(row).map(|time| time.to_string()).unwrap_or_default(),
        "log": row.text,
        "level": row.level.to_string(),
        "metadata": metadata,
    })
}

fn names(source: &Source) -> [(&'static str, &str); 7] {
    [
        ("componentName", &source.owner.component),
        ("projectName", &source.owner.project),
        ("environmentName", &source.owner.environment),
        ("namespaceName", &source.owner.namespace),
        ("containerName", &source.container),
        ("podName", &source.pod),
        ("podNamespace", &source.pod_namespace),
    ]
}

fn timestamp(row: &Row) -> Option<Timestamp> {
    Timestamp::from_nanosecond(row.time.into()).ok()
}

/// Bytes of a line without its text and names.
const BARE_LINE: usize =
    r#"{"level":"ERROR","log":"","timestamp":"2026-01-01T00:00:00.123Z"},"#.len();

/// The value of each name that all of `rows` have in common.
fn shared(rows: &[&Row]) -> [Option<String>; 7] {
    std::array::from_fn(|name| {
        let first = names(&rows.first()?.source)[name].1;
        let same = rows.iter().all(|row| names(&row.source)[name].1 == first);
        same.then(|| first.to_owned())
    })
}

/// The names that a row has for itself.
fn own<'a>(
    row: &'a Row,
    shared: &'a [Option<String>; 7],
) -> impl Iterator<Item = (&'static str, &'a str)> {
    let names = names(&row.source).into_iter().zip(shared);
    names.filter(|(_, same)| same.is_none()).map(|(name, _)| name)
}

/// The answer for an agent, which pays for every word: what all lines have in common is said once, times end at the
/// millisecond, very long lines are cut, and what does not fit into `budget` bytes is left out with a hint.
pub(super) fn compact(found: &Found, budget: usize) -> Value {
    let mut rows: Vec<&Row> = found.rows.iter().collect();
    let common = shared(&rows);
    let gone = fit(&mut rows, budget, |row| {
        let own =
            own(row, &common).map(|(name, value)| name.len() + cost(value) + r#","":"""#.len());
        cost(&row.text) + BARE_LINE + own.sum::<usize>()
    });
    // Fewer lines may have more in common.
    let shared = shared(&rows);
    let logs: Vec<Value> = rows
        .iter()
        .map(|row| {
            let time = timestamp(row).map(|time| format!("{time:.3}")).unwrap_or_default();
            let mut line =
                json!({"timestamp": time, "level": row.level.to_string(), "log": cut(&row.text)});
            for (name, value) in own(row, &shared) {
                line[name] = value.into();
            }
            line
        })
        .collect();
    let mut answer = json!({"logs": logs, "total": found.total});
    let empty = Source::default();
    let shared = names(&empty).into_iter().zip(shared);
    let shared: Map<String, Value> =
        shared.filter_map(|((name, _), value)| Some((name.to_owned(), value?.into()))).collect();
    if !shared.is_empty() {
        answer["metadata"] = Value::Object(shared);
    }
    let shown = rows.len() as u64;
    if gone > 0 || found.total > shown {
        answer["hint"] = json!(format!(
            "{shown} of {}{} lines; ask with limit, or narrow by component, environment, time, log_levels or search_phrase",
            if found.is_counted() { "" } else { "more than " },
            found.total
        ));
    }
    answer
}

#[cfg(test)]
mod tests {
    use curtain_control::mcp::economy::{MOST, TYPICAL};

    use super::*;
    use crate::level::Level;
    use crate::owner::Owner;

    fn found(texts: &[(&str, &str)], total: u64) -> Found {
        let row = |(pod, text): &(&str, &str)| Row {
            time: 1_767_225_600_123_456_789,
            text: (*text).to_owned(),
            level: Level::Info,
            source: Source {
                pod: (*pod).to_owned(),
                owner: Owner {
                    component: "cart".to_owned(),
                    component_uid: "u".to_owned(),
                    ..Owner::default()
                },
                ..Source::default()
            },
        };
        Found { rows: texts.iter().map(row).collect(), total }
    }

    #[test]
    fn an_agent_is_told_once_what_all_lines_have_in_common() {
        let answer = compact(&found(&[("a", "one"), ("b", "two")], 2), MOST);
        assert_eq!(answer["metadata"]["componentName"], "cart");
        assert!(answer["metadata"].get("podName").is_none(), "{answer}");
        let line = json!({"timestamp": "2026-01-01T00:00:00.123Z", "level": "INFO", "log": "one", "podName": "a"});
        assert_eq!((&answer["logs"][0], answer.get("hint")), (&line, None));
        assert_eq!(compact(&Found::default(), MOST), json!({"logs": [], "total": 0}));
    }

    #[test]
    fn an_agent_is_told_what_was_left_out() {
        let answer = compact(&found(&[("a", "one")], 7), MOST);
        let hint = answer["hint"].as_str().expect("a hint");
        assert!(hint.starts_with("1 of 7 lines; ask with limit, or narrow by component"), "{hint}");
        let long = "x".repeat(5000);
        let many = vec![("a", long.as_str()); 1000];
        let text = compact(&found(&many, 1000), MOST).to_string();
        assert!(text.len() < 40_000 && text.contains("of more than 1000 lines"), "{}", text.len());
    }

    #[test]
    fn what_each_line_says_of_itself_is_paid_for() {
        let row = |number: usize| Row {
            time: 1_767_225_600_123_456_789,
            text: format!("\u{1b}[32mrequest {number} was answered\u{1b}[0m in 12 ms"),
            level: Level::Error,
            source: Source {
                owner: Owner {
                    namespace: "default".to_owned(),
                    project: format!("project-{number}"),
                    component: format!("component-{number}"),
                    environment: format!("environment-{number}"),
                    ..Owner::default()
                },
                container: format!("container-{number}"),
                pod: format!("component-{number}-development-7f9c4d5b6-x2x{number}"),
                pod_namespace: format!("dp-default-project-{number}-development-1a2b3c4d"),
                ..Source::default()
            },
        };
        let found = Found { rows: (0..40).map(row).collect(), total: 40 };
        let answer = compact(&found, TYPICAL);
        let bytes: usize = answer["logs"]
            .as_array()
            .expect("lines")
            .iter()
            .map(|line| line.to_string().len() + 1)
            .sum();
        assert!((TYPICAL / 2..=TYPICAL).contains(&bytes), "{bytes}");
        assert!(
            answer["hint"].as_str().is_some_and(|hint| hint.contains(" of 40 lines")),
            "{answer}"
        );
    }
}
