//! What differs between two objects, value by value.

use maud::{Markup, html};
use serde_json::Value;

/// More differences are not listed.
const MOST: usize = 200;
/// Members by which the items of a list are known, rather than by where they stand.
const NAMES: [&str; 4] = ["key", "name", "id", "instanceName"];

/// A value that differs; absent on one side where it was added or removed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// As people write it: `container.env[LOG_LEVEL].value`.
    pub(crate) path: String,
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
}

/// All values that differ, in the order of their paths.
pub(crate) fn diff(before: &Value, after: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    compare(String::new(), Some(before), Some(after), &mut changes);
    changes
}

fn compare(path: String, before: Option<&Value>, after: Option<&Value>, into: &mut Vec<Change>) {
    if before == after {
        return;
    }
    let names = |side: Option<&Value>| side.map(members).unwrap_or_default();
    let (old, new) = (names(before), names(after));
    if old.is_empty() && new.is_empty() {
        let shown = |side: Option<&Value>| side.map(leaf);
        into.push(Change { path, before: shown(before), after: shown(after) });
        return;
    }
    // What was a plain value and has parts now is both gone and new.
    if old.is_empty() && before.is_some_and(is_plain) {
        into.push(Change { path: path.clone(), before: before.map(leaf), after: None });
    }
    let added = new.iter().filter(|(name, _)| !old.iter().any(|(known, _)| known == name));
    let all = old.iter().map(|(name, _)| name).chain(added.map(|(name, _)| name));
    let find = |side: &[(String, Value)], name: &str| {
        side.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    };
    for name in all {
        let joint = if path.is_empty() || name.starts_with('[') { "" } else { "." };
        let path = format!("{path}{joint}{name}");
        compare(path, find(&old, name).as_ref(), find(&new, name).as_ref(), into);
    }
    if new.is_empty() && after.is_some_and(is_plain) {
        into.push(Change { path, before: None, after: after.map(leaf) });
    }
}

fn is_plain(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Object(_) | Value::Array(_))
}

/// Members of an object or items of a list, by name; none of a plain or empty value.
fn members(value: &Value) -> Vec<(String, Value)> {
    match value {
        Value::Object(map) => {
            map.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
        }
        Value::Array(items) => {
            let name = NAMES.iter().find(|name| items.iter().all(|item| item[**name].is_string()));
            let named = |(index, item): (usize, &Value)| {
                let mut item = item.clone();
                let name = name.and_then(|name| item.as_object_mut()?.remove(*name));
                let name = name.as_ref().and_then(Value::as_str).map(str::to_owned);
                (format!("[{}]", name.unwrap_or_else(|| index.to_string())), item)
            };
            items.iter().enumerate().map(named).collect()
        }
        _ => Vec::new(),
    }
}

fn leaf(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The differences as a table. Old and new differ by a sign, too, not by colour alone.
pub(crate) fn show(label: &str, changes: &[Change]) -> Markup {
    if changes.is_empty() {
        return html! { p.dim { "Nothing differs." } };
    }
    html! {
        div.scroll tabindex="0" role="region" aria-label=(label) { table.diff {
            thead { tr { th scope="col" { "What" } th scope="col" { "Before" } th scope="col" { "After" } } }
            tbody { @for change in changes.iter().take(MOST) { tr {
                th scope="row" { code { (change.path) } }
                td data-label="Before" { @match &change.before { Some(value) => del { (value) }, None => span.dim { "not set" } } }
                td data-label="After" { @match &change.after { Some(value) => ins { (value) }, None => span.dim { "not set" } } }
            } } }
        } }
        @if changes.len() > MOST { p.dim { (changes.len() - MOST) " more differences are not shown." } }
    }
}

#[cfg(test)]
mod tests {
    use super::{diff, show};
    use serde_json::json;

    #[test]
    fn items_are_known_by_their_names() {
        let before = json!({"image": "a:1", "env": [{"key": "A", "value": "1"}, {"key": "B", "value": "2"}]});
        let after = json!({"image": "a:2", "env": [{"key": "B", "value": "2"}, {"key": "C", "value": "<3>"}]});
        let told: Vec<String> = diff(&before, &after)
            .iter()
            .map(|change| format!("{}: {:?} {:?}", change.path, change.before, change.after))
            .collect();
        assert_eq!(
            told,
            [
                "env[A].value: Some(\"1\") None",
                "env[C].value: None Some(\"<3>\")",
                "image: Some(\"a:1\") Some(\"a:2\")",
            ]
        );
        let shown = show("x", &diff(&before, &after)).into_string();
        assert!(shown.contains("<ins>&lt;3&gt;</ins>"), "{shown}");
    }

    #[test]
    fn values_that_come_go_or_become_parts_are_said() {
        let changes = diff(&json!({"a": 1, "b": {}}), &json!({"a": {"c": 2}, "b": {"d": null}}));
        let paths: Vec<&str> = changes.iter().map(|change| change.path.as_str()).collect();
        assert_eq!(paths, ["a", "a.c", "b.d"]);
        assert!(diff(&json!({"a": [1]}), &json!({"a": [1]})).is_empty());
        assert!(show("x", &[]).into_string().contains("Nothing differs"));
    }
}
