//! What a change changed, in a line.
//!
//! Invariants: it has a bounded length; a value is shown only if it is a short scalar and nothing about it, its path or its
//! kind speaks of a secret.

use serde_json::Value;

/// Paths that are told at most, and how long all of it may be, in bytes.
const MOST_PATHS: usize = 8;
const MOST_BYTES: usize = 480;
/// The longest value that is shown, in characters.
const LONGEST: usize = 48;
/// Words in a path that tell of a secret.
const SECRET: &[&str] = &[
    "secret",
    "password",
    "passwd",
    "passphrase",
    "token",
    "credential",
    "apikey",
    "api_key",
    "api-key",
    "privatekey",
    "private_key",
    "private-key",
    "routing-key",
    "authorization",
    "auth_",
    "_key",
    "dsn",
];

/// What differs between `before` and `after`: `spec.replicas: 1 → 3; spec.env[LOG_LEVEL].value: info → debug`. Of an object
/// whose values are nobody's business `shows` is false.
pub(crate) fn delta(before: &Value, after: &Value, shows: bool) -> String {
    let mut found = Vec::new();
    compare("", before, after, &mut found);
    let (mut text, mut told) = (String::new(), 0);
    for (path, before, after) in found.iter().take(MOST_PATHS) {
        let change = match shows && is_open(path) {
            true => format!("{path}: {} → {}", shown(before), shown(after)),
            false => format!("{path}: {}", verb(before, after)),
        };
        if text.len() + change.len() > MOST_BYTES {
            break;
        }
        if told > 0 {
            text.push_str("; ");
        }
        text.push_str(&change);
        told += 1;
    }
    match found.len() - told {
        0 => text,
        rest if told == 0 => format!("{rest} fields"),
        rest => format!("{text}; and {rest} more"),
    }
}

/// A path, and what is there before and after, if anything.
type Changed<'a> = (String, Option<&'a Value>, Option<&'a Value>);

fn compare<'a>(path: &str, before: &'a Value, after: &'a Value, found: &mut Vec<Changed<'a>>) {
    if before == after {
        return;
    }
    let (old, new) = (members(before), members(after));
    let (Some(old), Some(new)) = (old, new) else {
        found.push((path.to_owned(), some(before), some(after)));
        return;
    };
    let within = |key: &Key| match key {
        Key::Member(name) if path.is_empty() => (*name).to_owned(),
        Key::Member(name) => format!("{path}.{name}"),
        Key::Item(name) => format!("{path}[{name}]"),
    };
    let one = |all: &[(Key<'a>, &'a Value)], key: &Key| {
        all.iter().find(|(other, _)| other == key).map_or(&Value::Null, |(_, value)| *value)
    };
    for (key, value) in &old {
        compare(&within(key), value, one(&new, key), found);
    }
    for (key, value) in new.iter().filter(|(key, _)| !old.iter().any(|(other, _)| other == key)) {
        compare(&within(key), &Value::Null, value, found);
    }
}

#[derive(PartialEq, Eq)]
enum Key<'a> {
    Member(&'a str),
    Item(String),
}

/// The members of an object, or the items of a list by what names them; what is not there has none.
fn members(value: &Value) -> Option<Vec<(Key<'_>, &Value)>> {
    match value {
        Value::Null => Some(Vec::new()),
        Value::Object(members) => {
            Some(members.iter().map(|(name, value)| (Key::Member(name), value)).collect())
        }
        Value::Array(items) => {
            let name = |(at, item): (usize, &Value)| {
                let named =
                    ["key", "name", "mountPath"].iter().find_map(|member| item[*member].as_str());
                named.map_or_else(|| at.to_string(), str::to_owned)
            };
            Some(
                items
                    .iter()
                    .enumerate()
                    .map(|(at, item)| (Key::Item(name((at, item))), item))
                    .collect(),
            )
        }
        _ => None,
    }
}

fn some(value: &Value) -> Option<&Value> {
    (!value.is_null()).then_some(value)
}

/// Whether what is at `path` may be shown.
fn is_open(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    !SECRET.iter().any(|word| path.contains(word))
}

fn shown(value: &Option<&Value>) -> String {
    match value {
        None => "none".to_owned(),
        Some(Value::String(text)) if is_plain(text) => text.clone(),
        Some(value @ (Value::Bool(_) | Value::Number(_))) => value.to_string(),
        Some(_) => "…".to_owned(),
    }
}

/// Whether `text` is short and looks like no credential: a URL with a user in it, or one long word of letters and digits.
fn is_plain(text: &str) -> bool {
    let has_user = text.split_once("://").is_some_and(|(_, rest)| rest.contains('@'));
    let is_dense = text
        .split(['-', '.', '/', ':', '@', ' ', ','])
        .any(|word| word.len() >= 20 && word.contains(|char: char| char.is_ascii_digit()));
    let is_short = text.chars().count() <= LONGEST && !text.contains(char::is_control);
    is_short && !text.is_empty() && !has_user && !is_dense
}

fn verb(before: &Option<&Value>, after: &Option<&Value>) -> &'static str {
    match (before, after) {
        (None, _) => "set",
        (_, None) => "removed",
        _ => "changed",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_told_with_small_values() {
        let before = json!({"spec": {
            "replicas": 1, "gone": "x",
            "env": [{"key": "LOG_LEVEL", "value": "info"}, {"key": "A", "value": "1"}],
        }});
        let after = json!({"spec": {
            "replicas": 3, "on": true,
            "env": [{"key": "A", "value": "1"}, {"key": "LOG_LEVEL", "value": "debug"}],
        }});
        let said = "spec.env[LOG_LEVEL].value: info → debug; spec.gone: x → none; spec.replicas: 1 → 3; \
                    spec.on: none → true";
        assert_eq!(delta(&before, &after, true), said);
        assert_eq!(delta(&before, &before, true), "");
        let said = "spec.env[LOG_LEVEL].value: changed; spec.gone: removed; spec.replicas: changed; spec.on: set";
        assert_eq!(delta(&before, &after, false), said);
    }

    #[test]
    fn no_value_that_may_be_a_secret_is_told() {
        for (key, value) in [
            ("DB_PASSWORD", "hunter2"),
            ("API_TOKEN", "abc"),
            ("STRIPE_KEY", "sk_live"),
            ("DATABASE_URL", "postgres://shop:hunter2@db/shop"),
            ("SETTING", "ghp_16C7e42F292c6912E7710c838347Ae178B4a"),
            ("CERTIFICATE", "-----BEGIN CERTIFICATE-----\nMII"),
            ("LONG", &"x".repeat(LONGEST + 1)),
        ] {
            let of = |value: &str| json!({"env": [{"key": key, "value": value}]});
            for (before, after) in [(of("old"), of(value)), (of(value), of("old"))] {
                let told = delta(&before, &after, true);
                assert!(
                    told.starts_with(&format!("env[{key}].value: ")) && !told.contains(value),
                    "{told}"
                );
            }
        }
        let reference = |name: &str| json!({"valueFrom": {"secretKeyRef": {"name": name}}});
        let told = delta(&reference("a"), &reference("b"), true);
        assert_eq!(told, "valueFrom.secretKeyRef.name: changed");
    }

    #[test]
    fn it_is_never_long() {
        let many = |value: u32| {
            let members = (0..100).map(|at| (format!("field-{at:03}"), json!(value)));
            Value::Object(members.collect())
        };
        let told = delta(&many(1), &many(2), true);
        assert!(told.ends_with("; and 92 more"), "{told}");
        let wide = |value: u32| json!({"x".repeat(10_000): value, "y".repeat(300): value, "z".repeat(300): value});
        assert_eq!(delta(&wide(1), &wide(2), true), "3 fields");
        assert!(told.len() <= MOST_BYTES + 20);
    }
}
