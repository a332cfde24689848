//! A model of field managers: a table of who owns which place.
//!
//! An applier owns what it says, an updater what it changes. What an applier says no more goes if nobody owns it, and so
//! does what surrounded it if nobody owns anything in there. Nothing is known here of trees, sets or schemas.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::documents::{Table, around, inside};

/// Who is at odds with an apply, and where.
pub(super) type Odds = BTreeSet<(String, String)>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) live: Table,
    pub(super) owned: BTreeMap<String, BTreeSet<String>>,
}

impl Model {
    fn is_owned(&self, path: &str) -> bool {
        self.owned.values().any(|paths| paths.contains(path))
    }

    fn is_owned_inside(&self, place: &str) -> bool {
        self.owned.values().flatten().any(|path| inside(path, place))
    }

    /// Takes places away from everybody but `manager`.
    fn take(&mut self, manager: &str, places: &BTreeSet<String>) {
        for (other, paths) in &mut self.owned {
            if other != manager {
                paths.retain(|path| !places.contains(path));
            }
        }
    }

    /// Nobody owns what is not there.
    fn forget(&mut self) {
        let live = &self.live;
        for paths in self.owned.values_mut() {
            paths.retain(|path| live.contains_key(path));
        }
        self.owned.retain(|_, paths| !paths.is_empty());
    }

    /// The changed places of a table.
    fn changed(&self, table: &Table) -> BTreeSet<String> {
        let changed = table.iter().filter(|(path, value)| self.live.get(*path) != Some(value));
        changed.map(|(path, _)| path.clone()).collect()
    }

    pub(super) fn apply(&mut self, manager: &str, said: &Table, force: bool) -> Result<(), Odds> {
        let changed = self.changed(said);
        let others = self.owned.iter().filter(|(other, _)| *other != manager);
        let odds: Odds = others
            .flat_map(|(other, paths)| {
                paths.intersection(&changed).map(move |path| (other.clone(), path.clone()))
            })
            .collect();
        if !odds.is_empty() && !force {
            return Err(odds);
        }
        let before = self.owned.remove(manager).unwrap_or_default();
        self.take(manager, &changed);
        self.live.extend(said.clone());
        self.owned.insert(manager.to_owned(), said.keys().cloned().collect());
        for path in before.iter().filter(|path| !said.contains_key(*path)) {
            let emptied = around(path).into_iter().find(|place| !self.is_owned_inside(place));
            if let Some(gone) = emptied {
                self.live.retain(|path, _| !inside(path, gone));
            } else if !self.is_owned(path) {
                self.live.retain(|other, _| !inside(other, path));
            }
        }
        self.forget();
        Ok(())
    }

    /// The document becomes another one.
    pub(super) fn update(&mut self, manager: &str, table: Table) {
        let changed = self.changed(&table);
        self.take(manager, &changed);
        self.owned.entry(manager.to_owned()).or_default().extend(changed);
        self.live = table;
        self.forget();
    }
}

/// Who owns which places, as a document says it. Objects and lists themselves are left out.
pub(super) fn owners(document: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let mut owners: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let entries = document["metadata"]["managedFields"].as_array();
    for entry in entries.into_iter().flatten() {
        let manager = entry["manager"].as_str().expect("a name").to_owned();
        let mut paths = BTreeSet::new();
        collect(&entry["fieldsV1"], String::new(), &mut paths);
        owners.insert(manager, paths);
    }
    owners.retain(|_, paths| !paths.is_empty());
    owners
}

const CONTAINERS: [&str; 11] = [
    ".metadata",
    ".labels",
    ".annotations",
    ".spec",
    ".deep",
    ".inner",
    ".marks",
    ".names",
    ".parts",
    ".ports",
    ".template",
];

fn collect(fields: &Value, path: String, paths: &mut BTreeSet<String>) {
    let fields = fields.as_object().expect("fields");
    let member = fields.is_empty() || fields.contains_key(".");
    if member && !path.is_empty() && !CONTAINERS.iter().any(|name| path.ends_with(name)) {
        paths.insert(path.clone());
    }
    for (element, below) in fields.iter().filter(|(element, _)| *element != ".") {
        let (kind, text) = element.split_at(2);
        let step = match kind {
            "f:" => format!(".{text}"),
            "v:" => format!("[={text}]"),
            _ => {
                let keys: BTreeMap<String, Value> = serde_json::from_str(text).expect("keys");
                let keys: Vec<String> = keys.iter().map(|(k, v)| format!("{k}={v}")).collect();
                format!("[{}]", keys.join(","))
            }
        };
        collect(below, format!("{path}{step}"), paths);
    }
}
