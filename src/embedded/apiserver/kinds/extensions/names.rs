//! The names of definitions: which of them are whose.
//!
//! - In a group, plurals, singulars and short names are names of one sort, and kinds and list kinds of another: none is
//!   accepted for two definitions. Who has a name keeps it; a definition that wants it, too, is told so.
//! - A definition is established once all its names have been accepted, and stays it.
//! - A write and what follows from it for others are one commit: a name that is given back goes to who waits for it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::super::Api;
use super::super::super::store::{Key, Object, Write};
use super::super::ValueExt;
use super::conditions::{self, ACCEPTED, ESTABLISHED, holds, is_established};
use super::{TABLE, strings};

/// What has been read of definitions. Reading a large one costs more than everything else here.
#[derive(Default)]
pub(crate) struct Names(Mutex<HashMap<Key, Known>>);

/// Of one version of a definition.
#[derive(Clone)]
struct Known {
    rv: u64,
    accepted: Value,
    /// Not all names that it wants.
    waits: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Head {
    status: Value,
}

impl Known {
    fn read(object: &Object) -> Self {
        let head: Head = serde_json::from_slice(&object.bytes).unwrap_or_default();
        let accepted = head.status.at(&["acceptedNames"]).cloned().unwrap_or_default();
        Self { rv: object.rv, accepted, waits: !holds(&head.status, ACCEPTED) }
    }
}

/// Gives the definition that is written the names that it can have, and others those that it no longer has.
pub(super) fn along(api: &Api, write: &mut Write) -> Vec<Write> {
    let group = format!(".{}", write.value.text(&["spec", "group"]));
    let in_group = |key: &Key| {
        let plural = key.name.strip_suffix(group.as_str());
        *key != write.key && plural.is_some_and(|plural| !plural.contains('.'))
    };
    let mut others = api.store.latest_in(&TABLE.into(), "");
    others.retain(|object| in_group(&object.key));
    let mut accepted = BTreeMap::new();
    {
        let mut known = api.names.0.lock().unwrap_or_else(PoisonError::into_inner);
        others.retain(|object| {
            if known.get(&object.key).is_none_or(|known| known.rv != object.rv) {
                known.insert(object.key.clone(), Known::read(object));
            }
            let known = &known[&object.key];
            accepted.insert(object.key.clone(), known.accepted.clone());
            known.waits
        });
        known.remove(&write.key);
    }
    if !write.delete {
        decide(&mut write.value, &accepted);
        accepted.insert(write.key.clone(), write.value["status"]["acceptedNames"].clone());
    }
    let mut changed: BTreeMap<Key, Write> = BTreeMap::new();
    // Whose names change gives others back. Each change brings a name nearer to what is wanted, so there is an end.
    loop {
        let mut more = false;
        for object in &others {
            let known = changed.get(&object.key).map(|write| write.value.clone());
            let mut value = known.unwrap_or_else(|| object.value());
            if decide(&mut value, &accepted) {
                more = true;
                let (table, key) = (TABLE.into(), object.key.clone());
                accepted.insert(key.clone(), value["status"]["acceptedNames"].clone());
                let write = Write { table, key, expected: Some(object.rv), value, delete: false };
                changed.insert(object.key.clone(), write);
            }
        }
        if !more {
            return changed.into_values().collect();
        }
    }
}

/// Writes into the definition's status which of its names are accepted, given those of its group that are taken. Tells
/// whether that has changed it.
fn decide(definition: &mut Value, taken: &BTreeMap<Key, Value>) -> bool {
    let before = definition["status"].clone();
    let wanted = definition["spec"]["names"].clone();
    let had = before.at(&["acceptedNames"]).cloned().unwrap_or_else(|| json!({}));
    let (mut words, mut kinds) = (BTreeSet::new(), BTreeSet::new());
    for names in taken.values().chain([&had]) {
        words.extend([names.text(&["plural"]), names.text(&["singular"])]);
        words.extend(names.list(&["shortNames"]).iter().filter_map(Value::as_str));
        kinds.extend([names.text(&["kind"]), names.text(&["listKind"])]);
    }
    let mut names = had.clone();
    let mut conflict = None;
    for (field, reason, used) in [
        ("plural", "PluralConflict", &words),
        ("singular", "SingularConflict", &words),
        ("shortNames", "ShortNamesConflict", &words),
        ("kind", "KindConflict", &kinds),
        ("listKind", "ListKindConflict", &kinds),
    ] {
        let (mine, asked) = (all(&had[field]), all(&wanted[field]));
        let clashes: BTreeSet<&String> = asked
            .iter()
            .filter(|name| !mine.contains(name) && used.contains(name.as_str()))
            .collect();
        if clashes.is_empty() {
            take(&mut names, &wanted, field);
        } else {
            conflict = Some((reason, in_use(clashes)));
        }
    }
    take(&mut names, &wanted, "categories");
    for field in ["kind", "plural"] {
        names.default_to(field, "");
    }
    definition.sub("status")["acceptedNames"] = names;
    let (status, reason, message) = match &conflict {
        None => ("True", "NoConflicts", "no conflicts found"),
        Some((reason, message)) => ("False", *reason, message.as_str()),
    };
    conditions::set(definition, ACCEPTED, status, reason, message);
    if !is_established(definition) {
        let (status, reason, message) = match conflict {
            None => ("True", "InitialNamesAccepted", "the initial names have been accepted"),
            Some(_) => ("False", "NotAccepted", "not all names are accepted"),
        };
        conditions::set(definition, ESTABLISHED, status, reason, message);
    }
    definition["status"] != before
}

/// The names in a field that holds one or many.
fn all(field: &Value) -> Vec<String> {
    match field {
        Value::String(name) => vec![name.clone()],
        other => strings(other.as_array().map(Vec::as_slice).unwrap_or_default()),
    }
}

fn in_use(names: BTreeSet<&String>) -> String {
    let each: Vec<_> = names.iter().map(|name| format!("{name:?} is already in use")).collect();
    if each.len() == 1 { each.concat() } else { format!("[{}]", each.join(", ")) }
}

fn take(names: &mut Value, wanted: &Value, field: &str) {
    match wanted.at(&[field]) {
        Some(value) => names[field] = value.clone(),
        None => drop(names.drop_field(field)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(names: Value) -> Value {
        json!({"spec": {"names": names}})
    }

    fn taken(names: Value) -> BTreeMap<Key, Value> {
        BTreeMap::from([(Key::new("", "others.example.dev"), names)])
    }

    fn told(definition: &Value) -> Vec<(&str, &str, &str)> {
        let list = definition.list(&["status", "conditions"]).iter();
        list.map(|c| (c.text(&["status"]), c.text(&["reason"]), c.text(&["message"]))).collect()
    }

    #[test]
    fn the_last_conflict_is_told_and_the_other_names_are_accepted() {
        let others = taken(json!({"plural": "widgets", "singular": "widget", "kind": "Widget",
            "listKind": "WidgetList", "shortNames": ["wd", "wg"]}));
        let not_established = ("False", "NotAccepted", "not all names are accepted");
        for (field, name, reason, message) in [
            ("plural", json!("wd"), "PluralConflict", "\"wd\" is already in use"),
            ("singular", json!("widgets"), "SingularConflict", "\"widgets\" is already in use"),
            ("kind", json!("WidgetList"), "KindConflict", "\"WidgetList\" is already in use"),
            ("listKind", json!("Widget"), "ListKindConflict", "\"Widget\" is already in use"),
            ("shortNames", json!(["a", "wd"]), "ShortNamesConflict", "\"wd\" is already in use"),
            (
                "shortNames",
                json!(["wd", "wd", "widget"]),
                "ShortNamesConflict",
                "[\"wd\" is already in use, \"widget\" is already in use]",
            ),
        ] {
            let mut names = json!({"plural": "apples", "singular": "apple", "kind": "Apple",
                "listKind": "AppleList", "shortNames": ["ap"], "categories": ["all"]});
            names[field] = name;
            let mut given = definition(names.clone());
            assert!(decide(&mut given, &others), "{field}");
            assert_eq!(told(&given), [("False", reason, message), not_established], "{field}");
            match field {
                "plural" | "kind" => names[field] = "".into(),
                _ => drop(names.drop_field(field)),
            }
            assert_eq!(given["status"]["acceptedNames"], names, "{field}");
            assert!(!decide(&mut given, &others), "{field}: nothing has changed");
        }
        let both =
            json!({"plural": "apples", "singular": "widget", "kind": "Widget", "listKind": "L"});
        let mut given = definition(both);
        decide(&mut given, &others);
        assert_eq!(told(&given)[0], ("False", "KindConflict", "\"Widget\" is already in use"));
    }

    #[test]
    fn what_is_established_stays_it_and_keeps_the_names_that_it_had() {
        let names = json!({"plural": "apples", "singular": "apple", "kind": "Apple",
            "listKind": "AppleList", "shortNames": ["ap"]});
        let mut given = definition(names.clone());
        decide(&mut given, &BTreeMap::new());
        let established = ("True", "InitialNamesAccepted", "the initial names have been accepted");
        let accepted = ("True", "NoConflicts", "no conflicts found");
        assert_eq!(told(&given), [accepted, established]);
        let since = given["status"]["conditions"][1]["lastTransitionTime"].clone();
        assert!(since.is_string());

        let others = taken(json!({"plural": "pears", "kind": "Pear", "shortNames": ["p"]}));
        given["spec"]["names"]["shortNames"] = json!(["ap", "p"]);
        assert!(decide(&mut given, &others));
        let conflict = ("False", "ShortNamesConflict", "\"p\" is already in use");
        assert_eq!(told(&given), [conflict, established]);
        assert_eq!(given["status"]["acceptedNames"], names);
        assert_eq!(given["status"]["conditions"][1]["lastTransitionTime"], since);

        assert!(decide(&mut given, &BTreeMap::new()), "the name has become free");
        assert_eq!(told(&given), [accepted, established]);
        assert_eq!(given["status"]["acceptedNames"], given["spec"]["names"]);
    }
}
