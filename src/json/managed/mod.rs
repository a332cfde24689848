//! Server-side apply and field managers.
//!
//! Every write goes through [`apply`] or [`update`], which keep `metadata.managedFields` true: who set
//! which field last. [`apply`] merges a configuration into the live object, refuses to take fields from
//! other managers unless forced, and removes what its manager applied before, applies no more, and nobody
//! else owns. A write that changes nothing leaves the list as it was, times included.
//!
//! Sets are compared at one version: the kinds served here have one each.

mod check;
mod compare;
mod conflict;
mod entries;
mod items;
mod merge;
mod set;
mod times;

use curtain_schema::Node;
use serde_json::{Value, json};

use compare::Comparison;
pub use conflict::{Conflict, Conflicts};
use entries::Entry;
pub use entries::Operation;
pub use items::TypedError;
pub use set::Set;
pub use times::keep_times;

/// Owns what was there before the first apply on an object without managers.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// Who writes, and through which door.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// The field manager's name (`fieldManager`, else the first word of the user agent).
    pub manager: &'a str,
    /// The version written with, such as `apps/v1`.
    pub api_version: &'a str,
    /// "" for the object itself, else `status` or `scale`.
    pub subresource: &'a str,
    /// The time of the write, RFC 3339 in whole seconds.
    pub now: &'a str,
    /// What a write through this door cannot change, and so cannot own.
    pub reset: Reset,
}

/// Fields that a write leaves as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// None: the kind has no status subresource.
    Nothing,
    /// `status`: a write to the object itself.
    Status,
    /// Everything but `status`: a write to the status subresource.
    AllButStatus,
}

impl Reset {
    fn strip(self, set: &mut Set) {
        match self {
            Reset::Nothing => {}
            Reset::Status => set.retain_fields(|field| field != "status"),
            Reset::AllButStatus => set.retain_fields(|field| field == "status"),
        }
    }

    /// What is left of an applied configuration.
    fn restrict(self, applied: &Value) -> Value {
        let mut restricted = applied.clone();
        if let Value::Object(fields) = &mut restricted {
            match self {
                Reset::Nothing => {}
                Reset::Status => drop(fields.remove("status")),
                Reset::AllButStatus => fields.retain(|name, _| name == "status"),
            }
        }
        restricted
    }
}

/// Whether an applied configuration fits the schema: every field is declared and of the right type, and items of
/// lists have identities of their own. Comes before [`apply`], and before anything else that changes the
/// configuration.
///
/// # Errors
/// Everything that does not fit; the text is to be preceded by `failed to create typed patch object (…): `.
pub fn check(applied: &Value, schema: Node<'_>) -> Result<(), TypedError> {
    check::check(applied, schema)
}

/// Why an apply was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Other managers own what would change (409, one cause each).
    #[error("{0}")]
    Conflicts(Conflicts),
    /// An applied configuration may not carry managers (400).
    #[error("metadata.managedFields must be nil")]
    ManagedFields,
}

/// Applies `applied`, which has passed [`check()`], to `live` (`None` creates) and returns the new object with its
/// managers.
///
/// Identity and server-written metadata come from `live`; the caller still sets resourceVersion,
/// generation and the like. When the result equals `live`, nothing changed.
///
/// # Errors
/// [`ApplyError`]; with `force`, never a conflict.
pub fn apply(
    live: Option<&Value>,
    applied: &Value,
    writer: &Writer<'_>,
    force: bool,
    schema: Node<'_>,
) -> Result<Value, ApplyError> {
    let list = applied.get("metadata").and_then(|m| m.get("managedFields"));
    if list.is_some_and(|list| !list.is_null()) {
        return Err(ApplyError::ManagedFields);
    }
    let mut managers = live.and_then(entries::read).unwrap_or_default();
    let before = {
        let mut before = live.cloned().unwrap_or_else(|| identity(applied));
        strip(&mut before);
        before
    };
    if let (Some(_), true) = (live, managers.is_empty()) {
        managers.push(before_first_apply(&before, writer, schema));
    }
    let former = managers.clone();

    let applied = writer.reset.restrict(applied);
    let mut owned = items::fields_of(&applied, schema);
    writer.reset.strip(&mut owned);

    let me = entry(writer, Operation::Apply, owned);
    let place = match managers.iter().position(|other| other.same_manager(&me)) {
        Some(place) => place,
        None => {
            managers.push(Entry { fields: Set::default(), ..me.clone() });
            managers.len() - 1
        }
    };
    let last = std::mem::replace(&mut managers[place].fields, me.fields.clone());
    managers[place].api_version.clone_from(&me.api_version);

    let merged = merge::merge(&before, &applied, schema);
    let mut object = prune(merged, &applied, &managers, &me.fields, &last, schema);
    // Nobody owns identity, but while it is applied `metadata` is not empty and stays, with what others have there.
    managers[place].fields.strip_identity();
    let comparison = Comparison::of(&before, &object, schema);
    settle(&mut managers, place, &comparison, force)?;

    let unchanged = live.is_some() && comparison.is_same() && same_sets(&managers, &former);
    if !unchanged {
        managers[place].time = Some(writer.now.to_owned());
    }
    entries::write(&mut object, managers);
    Ok(object)
}

/// Brings `metadata.managedFields` of `new` up to date with what it changes in `live` (`None`: everything
/// is new). `new` may carry managers itself, which replace the live ones; a single empty entry forgets all.
pub fn update(live: Option<&Value>, new: &mut Value, writer: &Writer<'_>, schema: Node<'_>) {
    if entries::asks_for_reset(new) {
        strip(new);
        return;
    }
    let given = entries::read(new).filter(|entries| !entries.is_empty());
    let mut managers = given.or_else(|| live.and_then(entries::read)).unwrap_or_default();
    strip(new);
    let mut before = live.cloned().unwrap_or_else(|| identity(new));
    strip(&mut before);
    let comparison = Comparison::of(&before, new, schema);
    let mut written = comparison.written();
    written.strip_identity();
    writer.reset.strip(&mut written);

    let mut me = entry(writer, Operation::Update, written);
    me.time = Some(writer.now.to_owned());
    let mine = managers.iter().position(|other| other.same_manager(&me));
    for (place, other) in managers.iter_mut().enumerate() {
        if !comparison.removed.is_empty() {
            other.fields = other.fields.difference(&comparison.removed);
        }
        if Some(place) != mine {
            other.fields = other.fields.difference(&me.fields);
        }
    }
    if !me.fields.is_empty() {
        match mine {
            Some(place) => {
                managers[place].fields.extend(&me.fields);
                managers[place].time = me.time;
            }
            None => managers.push(me),
        }
    }
    entries::write(new, managers);
}

/// Drops `metadata.managedFields`.
pub fn strip(object: &mut Value) {
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        metadata.remove("managedFields");
    }
}

fn entry(writer: &Writer<'_>, operation: Operation, fields: Set) -> Entry {
    Entry {
        manager: writer.manager.to_owned(),
        operation,
        api_version: writer.api_version.to_owned(),
        subresource: writer.subresource.to_owned(),
        time: None,
        fields,
    }
}

/// What an object that does not exist yet already says.
fn identity(object: &Value) -> Value {
    json!({"apiVersion": object.get("apiVersion"), "kind": object.get("kind"), "metadata": {}})
}

fn before_first_apply(live: &Value, writer: &Writer<'_>, schema: Node<'_>) -> Entry {
    let mut fields = Comparison::of(&identity(live), live, schema).written();
    fields.strip_identity();
    let mut entry = entry(writer, Operation::Update, fields);
    entry.manager = BEFORE_FIRST_APPLY.to_owned();
    entry.subresource = String::new();
    entry.time = Some(writer.now.to_owned());
    entry
}

/// Removes what this manager applied last time, does not apply now, and nobody else owns.
fn prune(
    mut merged: Value,
    applied: &Value,
    managers: &[Entry],
    now: &Set,
    last: &Set,
    schema: Node<'_>,
) -> Value {
    if last.is_subset(now) {
        return merged;
    }
    let last = last.with_parents(schema);
    let all = |value: &Value| items::fields_of(value, schema).with_parents(schema);
    let everything = all(&merged);
    let mut pruned = merged.clone();
    merge::remove(&mut pruned, &last, schema);
    let mut managed = Set::default();
    for entry in managers {
        managed.extend(&entry.fields);
    }
    let kept = all(&pruned).union(&managed.with_parents(schema));
    let mut owned = merged.clone();
    merge::remove(&mut owned, &everything.difference(&kept), schema);
    let gone = everything.difference(&all(&owned)).intersection(&last);
    merge::remove(&mut merged, &gone, schema);
    // A list that is applied empty went with its last item, and came back with the next apply.
    merge::merge(&merged, applied, schema)
}

/// Takes what changed away from the other managers, or finds that it may not be taken.
fn settle(
    managers: &mut [Entry],
    me: usize,
    comparison: &Comparison,
    force: bool,
) -> Result<(), ApplyError> {
    let written = comparison.written();
    let mut conflicts = Vec::new();
    for (place, other) in managers.iter_mut().enumerate() {
        if place == me {
            continue;
        }
        let taken = other.fields.intersection(&written);
        if !taken.is_empty() && !force {
            let manager = other.to_string();
            conflicts.extend(
                taken.paths().into_iter().map(|field| Conflict { manager: manager.clone(), field }),
            );
        }
        other.fields = other.fields.difference(&taken).difference(&comparison.removed);
    }
    if conflicts.is_empty() {
        return Ok(());
    }
    conflicts.sort_by(|a, b| (&a.manager, &a.field).cmp(&(&b.manager, &b.field)));
    Err(ApplyError::Conflicts(Conflicts(conflicts)))
}

fn same_sets(a: &[Entry], b: &[Entry]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is_same_but_time(b))
}

#[cfg(test)]
mod tests;
