//! When a manager wrote last: not when nothing came of it.

use serde_json::{Map, Value};

use super::entries::{self, Entry};

/// Takes the managers of `old`, times included, when `new` differs in nothing else from it: what a writer changed has
/// been undone since, by defaults for example.
pub fn keep_times(new: &mut Value, old: &Value) {
    if !same_but_managers(new, old) {
        return;
    }
    let (Some(now), Some(before)) = (entries::read(new), entries::read(old)) else { return };
    // They are in the order of their times.
    let is_there = |a: &Entry| before.iter().any(|b| a.is_same_but_time(b));
    if now.len() == before.len() && now.iter().all(is_there) {
        new["metadata"]["managedFields"] = old["metadata"]["managedFields"].clone();
    }
}

fn same_but_managers(a: &Value, b: &Value) -> bool {
    let equal_but = |a: &Value, b: &Value, name: &str| match (a.as_object(), b.as_object()) {
        (Some(a), Some(b)) => {
            let rest = |map| Map::iter(map).filter(|(field, _)| *field != name);
            rest(a).count() == rest(b).count() && rest(a).all(|(f, value)| b.get(f) == Some(value))
        }
        _ => a == b,
    };
    equal_but(a, b, "metadata") && equal_but(&a["metadata"], &b["metadata"], "managedFields")
}
