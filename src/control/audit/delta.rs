//! What a change changed, in a line.
//!
//! Invariants: it has a bounded length; a value is shown only where [`super::open`] lets it be, of everything else there is the
//! path and that it was set, changed or removed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::open::{has_named_items, shown};

/// Paths that are told at most, and how long all of it may be, in bytes.
const MOST_PATHS: usize = 8;
const MOST_BYTES: usize = 480;

/// What differs between `before` and `after`: `spec.replicas: 1 → 3; spec.container.env[LOG_LEVEL].value: changed`.
pub(crate) fn delta(before: &Value, after: &Value) -> String {
    let mut differences = Differences::default();
    differences.compare(&mut Vec::new(), before, after);
    differences.told()
}

/// One step of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key<'a> {
    /// Of an object.
    Member(&'a str),
    /// Of a list whose items have names.
    Item(&'a str),
    /// Of another list.
    Index(usize),
}

/// The differences so far: the first ones in words, and how many there are.
#[derive(Default)]
struct Differences {
    text: String,
    in_words: usize,
    all: usize,
    is_full: bool,
}

impl Differences {
    fn compare<'a>(&mut self, path: &mut Vec<Key<'a>>, before: &'a Value, after: &'a Value) {
        if before == after {
            return;
        }
        let is_named = has_named_items(path);
        let (Some(old), Some(new)) = (members(before, is_named), members(after, is_named)) else {
            return self.note(path, before, after);
        };
        let keys: BTreeSet<Key<'a>> = old.keys().chain(new.keys()).copied().collect();
        // Labels follow from what is asked for: of an object they come last.
        let (last, first): (Vec<_>, Vec<_>) =
            keys.into_iter().partition(|key| path.is_empty() && *key == Key::Member("metadata"));
        for key in first.into_iter().chain(last) {
            let of = |all: &BTreeMap<Key<'a>, &'a Value>| all.get(&key).copied();
            path.push(key);
            self.compare(path, of(&old).unwrap_or(&Value::Null), of(&new).unwrap_or(&Value::Null));
            path.pop();
        }
    }

    fn note(&mut self, path: &[Key<'_>], before: &Value, after: &Value) {
        self.all += 1;
        self.is_full |= self.in_words == MOST_PATHS;
        if self.is_full {
            return;
        }
        let what = match (shown(path, before), shown(path, after)) {
            (Some(before), Some(after)) => format!("{before} → {after}"),
            _ => verb(before, after).to_owned(),
        };
        let change = format!("{}: {what}", written(path));
        self.is_full = self.text.len() + change.len() > MOST_BYTES;
        if self.is_full {
            return;
        }
        if self.in_words > 0 {
            self.text.push_str("; ");
        }
        self.text.push_str(&change);
        self.in_words += 1;
    }

    fn told(self) -> String {
        match self.all - self.in_words {
            0 => self.text,
            rest if self.in_words == 0 => format!("{rest} fields"),
            rest => format!("{}; and {rest} more", self.text),
        }
    }
}

/// The members of an object, or the items of a list: by what names them, if they have names, and those tell one from the
/// other. What is not there has none.
fn members(value: &Value, is_named: bool) -> Option<BTreeMap<Key<'_>, &Value>> {
    match value {
        Value::Null => Some(BTreeMap::new()),
        Value::Object(members) => {
            Some(members.iter().map(|(name, value)| (Key::Member(name), value)).collect())
        }
        Value::Array(items) => {
            let named: Option<BTreeMap<_, _>> =
                items.iter().map(|item| Some((Key::Item(name(item)?), item))).collect();
            let named = named.filter(|named| is_named && named.len() == items.len());
            let counted = || items.iter().enumerate();
            Some(named.unwrap_or_else(|| {
                counted().map(|(index, item)| (Key::Index(index), item)).collect()
            }))
        }
        _ => None,
    }
}

fn name(item: &Value) -> Option<&str> {
    ["key", "name", "mountPath"].iter().find_map(|member| item[*member].as_str())
}

fn written(path: &[Key<'_>]) -> String {
    let mut text = String::new();
    for key in path {
        match key {
            Key::Member(name) if text.is_empty() => text.push_str(name),
            Key::Member(name) => text.push_str(&format!(".{name}")),
            Key::Item(name) => text.push_str(&format!("[{name}]")),
            Key::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

fn verb(before: &Value, after: &Value) -> &'static str {
    match (before, after) {
        (Value::Null, _) => "set",
        (_, Value::Null) => "removed",
        _ => "changed",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_told_with_values_where_they_are_open() {
        let before = json!({"spec": {
            "threshold": 1, "gone": "x",
            "container": {"image": "registry.local/web:1", "env": [
                {"key": "LOG_LEVEL", "value": "info"}, {"key": "A", "value": "1"},
            ]},
        }});
        let after = json!({"spec": {
            "threshold": 3, "on": true,
            "container": {"image": "registry.local/web:2", "env": [
                {"key": "A", "value": "1"}, {"key": "LOG_LEVEL", "value": "debug"},
            ]},
        }});
        assert_eq!(
            delta(&before, &after),
            "spec.container.env[LOG_LEVEL].value: changed; \
             spec.container.image: registry.local/web:1 → registry.local/web:2; \
             spec.gone: removed; spec.on: none → true; spec.threshold: 1 → 3"
        );
        assert_eq!(delta(&before, &before), "");
    }

    #[test]
    fn what_is_asked_for_comes_before_what_is_said_about_it() {
        let of =
            |value: u32| json!({"metadata": {"labels": {"x": value}}, "spec": {"replicas": value}});
        assert_eq!(delta(&of(1), &of(2)), "spec.replicas: 1 → 2; metadata.labels.x: changed");
    }

    #[test]
    fn items_that_share_a_name_are_told_by_number() {
        let two =
            |port: u16| json!({"ports": [{"name": "a", "port": 1}, {"name": "a", "port": port}]});
        assert_eq!(delta(&two(2), &two(3)), "ports[1].port: 2 → 3");
    }

    #[test]
    fn it_is_never_long() {
        let many = |value: u32| {
            let members = (0..100).map(|at| (format!("field-{at:03}"), json!(value)));
            Value::Object(members.collect())
        };
        let told = delta(&many(1), &many(2));
        assert!(told.ends_with("; and 92 more"), "{told}");
        assert!(told.len() <= MOST_BYTES + 20, "{told}");
        let wide = |value: u32| json!({"x".repeat(10_000): value, "y".repeat(300): value, "z".repeat(300): value});
        assert_eq!(delta(&wide(1), &wide(2)), "3 fields");
    }
}
