//! What changed between two objects, as sets of paths.

use std::borrow::Cow;

use curtain_schema::Node;
use serde_json::Value;

use super::items::elements;
use super::set::{Set, is_leaf};

/// The difference between two objects.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    pub(super) added: Set,
    pub(super) removed: Set,
    pub(super) modified: Set,
}

impl Comparison {
    /// Compares two objects.
    pub(super) fn of(old: &Value, new: &Value, node: Node<'_>) -> Comparison {
        let mut walker = Walker { found: Comparison::default(), path: Vec::new() };
        walker.compare(Some(old), Some(new), node);
        walker.found
    }

    pub(super) fn is_same(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.modified.is_empty()
    }

    /// Everything the writer set.
    pub(super) fn written(&self) -> Set {
        self.added.union(&self.modified)
    }
}

/// Objects that exist in every built-in object, set or not: nobody adds them.
const ALWAYS: [&str; 6] = ["metadata", "spec", "status", "template", "strategy", "containers"];

struct Walker<'v> {
    found: Comparison,
    path: Vec<Step<'v>>,
}

enum Step<'v> {
    Field(&'v str),
    Item(String),
}

impl<'v> Walker<'v> {
    fn compare(&mut self, old: Option<&'v Value>, new: Option<&'v Value>, node: Node<'_>) {
        let Some(one) = new.or(old) else { return };
        let same_shape = match (old, new) {
            (Some(old), Some(new)) => {
                old.is_object() == new.is_object() && old.is_array() == new.is_array()
            }
            _ => true,
        };
        let empty = |value: Option<&Value>| match value {
            None | Some(Value::Null) => true,
            Some(Value::Object(fields)) => fields.is_empty(),
            Some(Value::Array(items)) => items.is_empty(),
            Some(_) => false,
        };
        if !same_shape || is_leaf(one, node) || (empty(old) && empty(new)) {
            match (old, new) {
                (None, _) => self.record(|found| &mut found.added),
                (_, None) => self.record(|found| &mut found.removed),
                (Some(old), Some(new)) if old != new => self.record(|found| &mut found.modified),
                _ => {}
            }
            return;
        }
        match one {
            Value::Object(_) => self.fields(old, new, node),
            _ => self.items(old, new, node),
        }
        let builtin = matches!(self.path.last(), Some(Step::Field(name)) if ALWAYS.contains(name))
            && !self.path.iter().any(|step| matches!(step, Step::Item(_)));
        match (old, new) {
            (None, _) if !builtin => self.record(|found| &mut found.added),
            (_, None) => self.record(|found| &mut found.removed),
            _ => {}
        }
    }

    fn fields(&mut self, old: Option<&'v Value>, new: Option<&'v Value>, node: Node<'_>) {
        let old = old.and_then(Value::as_object);
        let new = new.and_then(Value::as_object);
        for (name, value) in new.into_iter().flatten() {
            let before = old.and_then(|fields| fields.get(name));
            if before == Some(value) {
                continue;
            }
            self.descend(Step::Field(name), before, Some(value), node.field(name));
        }
        for (name, value) in old.into_iter().flatten() {
            if new.is_none_or(|fields| !fields.contains_key(name)) {
                self.descend(Step::Field(name), Some(value), None, node.field(name));
            }
        }
    }

    fn items(&mut self, old: Option<&'v Value>, new: Option<&'v Value>, node: Node<'_>) {
        let list = |value: Option<&'v Value>| match value {
            Some(Value::Array(items)) => elements(items, node),
            _ => Vec::new(),
        };
        let (old, new) = (list(old), list(new));
        for (element, value) in &new {
            let before = old.iter().find(|(other, _)| other == element).map(|(_, value)| *value);
            self.descend(Step::Item(element.clone()), before, Some(value), node.item());
        }
        for (element, value) in old {
            if !new.iter().any(|(other, _)| *other == element) {
                self.descend(Step::Item(element), Some(value), None, node.item());
            }
        }
    }

    fn descend(
        &mut self,
        step: Step<'v>,
        old: Option<&'v Value>,
        new: Option<&'v Value>,
        node: Option<Node<'_>>,
    ) {
        self.path.push(step);
        self.compare(old, new, node.unwrap_or_else(Node::untyped));
        self.path.pop();
    }

    fn record(&mut self, which: impl Fn(&mut Comparison) -> &mut Set) {
        let path: Vec<Cow<'_, str>> = self
            .path
            .iter()
            .map(|step| match step {
                Step::Field(name) => Cow::Owned(super::set::field(name)),
                Step::Item(element) => Cow::Borrowed(element.as_str()),
            })
            .collect();
        which(&mut self.found).insert(path.iter().map(|step| step.as_ref()));
    }
}
