//! A set of field paths, in the shape of `FieldsV1`.
//!
//! A path element is kept as the text it has there, in canonical form: `f:name` a field,
//! `k:{"name":"a"}` a list item by its keys, `v:"x"` a set item by its value. So equality and order are
//! those of strings, and writing a set is walking it.

use std::collections::BTreeMap;
use std::fmt::Write;

use curtain_schema::{Kind, Node};
use serde_json::{Map, Value};

/// Paths, as a tree: an element, whether the path that ends in it is a member, and what is below.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set(BTreeMap<String, Entry>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Entry {
    member: bool,
    below: Set,
}

impl Set {
    /// True when no path is a member.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads `FieldsV1`; `None` when it is malformed.
    pub fn from_fields_v1(value: &Value) -> Option<Set> {
        let mut set: BTreeMap<String, Entry> = BTreeMap::new();
        for (element, below) in value.as_object()? {
            if element == "." {
                continue;
            }
            let element = canonical(element)?;
            let fields = below.as_object()?;
            let member = fields.is_empty() || fields.contains_key(".");
            // Two spellings of an element are one.
            let entry = set.entry(element).or_default();
            entry.member |= member;
            entry.below.extend(&Set::from_fields_v1(below)?);
        }
        Some(Set(set))
    }

    /// Writes `FieldsV1`.
    pub fn to_fields_v1(&self) -> Value {
        let mut fields = Map::new();
        for (element, entry) in &self.0 {
            let mut below = entry.below.to_fields_v1();
            if let (true, false, Value::Object(below)) =
                (entry.member, entry.below.is_empty(), &mut below)
            {
                below.insert(".".into(), Value::Object(Map::new()));
            }
            fields.insert(element.clone(), below);
        }
        Value::Object(fields)
    }

    /// Adds the path; the empty path is never a member.
    pub(super) fn insert<'p>(&mut self, path: impl IntoIterator<Item = &'p str>) {
        let mut set = self;
        let mut steps = path.into_iter().peekable();
        while let Some(step) = steps.next() {
            if !set.0.contains_key(step) {
                set.0.insert(step.to_owned(), Entry::default());
            }
            let Some(entry) = set.0.get_mut(step) else { return };
            if steps.peek().is_none() {
                entry.member = true;
            }
            set = &mut entry.below;
        }
    }

    /// Puts `below` under `element`, and makes `element` a member when asked to.
    pub(super) fn graft(&mut self, element: String, member: bool, below: Set) {
        if member || !below.is_empty() {
            self.0.insert(element, Entry { member, below });
        }
    }

    pub(super) fn has(&self, element: &str) -> bool {
        self.0.get(element).is_some_and(|entry| entry.member)
    }

    pub(super) fn below(&self, element: &str) -> Option<&Set> {
        self.0.get(element).map(|entry| &entry.below).filter(|set| !set.is_empty())
    }

    /// Members of either.
    pub fn union(&self, other: &Set) -> Set {
        let mut result = self.clone();
        result.extend(other);
        result
    }

    pub(super) fn extend(&mut self, other: &Set) {
        for (element, theirs) in &other.0 {
            match self.0.get_mut(element) {
                Some(ours) => {
                    ours.member |= theirs.member;
                    ours.below.extend(&theirs.below);
                }
                None => {
                    self.0.insert(element.clone(), theirs.clone());
                }
            }
        }
    }

    /// Members of both.
    pub fn intersection(&self, other: &Set) -> Set {
        let mut result = Set::default();
        for (element, ours) in &self.0 {
            if let Some(theirs) = other.0.get(element) {
                let below = ours.below.intersection(&theirs.below);
                result.graft(element.clone(), ours.member && theirs.member, below);
            }
        }
        result
    }

    /// Members of this set that are not in `other`.
    pub fn difference(&self, other: &Set) -> Set {
        let mut result = Set::default();
        for (element, ours) in &self.0 {
            match other.0.get(element) {
                Some(theirs) => {
                    let below = ours.below.difference(&theirs.below);
                    result.graft(element.clone(), ours.member && !theirs.member, below);
                }
                None => {
                    result.0.insert(element.clone(), ours.clone());
                }
            }
        }
        result
    }

    /// True when every member of this set is one of `other`.
    pub(super) fn is_subset(&self, other: &Set) -> bool {
        self.0.iter().all(|(element, ours)| {
            let theirs = other.0.get(element);
            (!ours.member || theirs.is_some_and(|t| t.member))
                && match theirs {
                    Some(theirs) => ours.below.is_subset(&theirs.below),
                    None => ours.below.is_empty(),
                }
        })
    }

    /// Keeps or drops whole subtrees by their first field.
    pub(super) fn retain_fields(&mut self, keep: impl Fn(&str) -> bool) {
        self.0.retain(|element, _| keep(element.strip_prefix("f:").unwrap_or(element)));
    }

    /// Drops what nobody owns: identity and what the server writes.
    pub(super) fn strip_identity(&mut self) {
        for field in ["f:apiVersion", "f:kind"] {
            self.0.remove(field);
        }
        let Some(metadata) = self.0.get_mut("f:metadata") else { return };
        metadata.member = false;
        for field in [
            "name",
            "namespace",
            "creationTimestamp",
            "selfLink",
            "uid",
            "clusterName",
            "generation",
            "managedFields",
            "resourceVersion",
        ] {
            metadata.below.0.remove(&format!("f:{field}"));
        }
        if metadata.below.is_empty() {
            self.0.remove("f:metadata");
        }
    }

    /// Declared fields with members below them become members: an object that loses all its fields goes
    /// with them.
    pub(super) fn with_parents(&self, node: Node<'_>) -> Set {
        let mut result = Set::default();
        for (element, entry) in &self.0 {
            let (declared, below) = match element.strip_prefix("f:") {
                Some(name) => (node.declared(name).is_some(), node.field(name)),
                None => (false, node.item()),
            };
            let member = entry.member || (declared && !entry.below.is_empty());
            let below = entry.below.with_parents(below.unwrap_or_else(Node::untyped));
            result.graft(element.clone(), member, below);
        }
        result
    }

    /// The members as printed paths, such as `.spec.containers[name="a"].image`, in order.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect(&mut String::new(), &mut paths);
        paths
    }

    fn collect(&self, prefix: &mut String, paths: &mut Vec<String>) {
        for (element, entry) in &self.0 {
            let length = prefix.len();
            print(element, prefix);
            if entry.member {
                paths.push(prefix.clone());
            }
            entry.below.collect(prefix, paths);
            prefix.truncate(length);
        }
    }
}

/// `f:a` → `.a`, `k:{"name":"x"}` → `[name="x"]`, `v:"x"` → `[="x"]`, `i:0` → `[0]`.
fn print(element: &str, out: &mut String) {
    let Some((kind, text)) = element.split_at_checked(2) else { return };
    let _ = match kind {
        "f:" => write!(out, ".{text}"),
        "v:" => write!(out, "[={text}]"),
        "k:" => {
            let keys: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
            let keys: Vec<String> =
                keys.iter().map(|(name, value)| format!("{name}={value}")).collect();
            write!(out, "[{}]", keys.join(","))
        }
        _ => write!(out, "[{text}]"),
    };
}

/// An element as paths print it.
pub(super) fn printed(element: &str) -> String {
    let mut out = String::new();
    print(element, &mut out);
    out
}

/// An element with its JSON rewritten as [`key`] and [`item_value`] write it; `None` when malformed.
fn canonical(element: &str) -> Option<String> {
    let (kind, text) = (element.get(..2)?, element.get(2..)?);
    match kind {
        "f:" | "i:" => Some(element.to_owned()),
        "v:" => serde_json::from_str(text).ok().map(|value: Value| item_value(&value)),
        "k:" => {
            let keys: BTreeMap<String, Value> = serde_json::from_str(text).ok()?;
            Some(key(keys.iter().map(|(name, value)| (name.as_str(), value))))
        }
        _ => None,
    }
}

/// The element of a set's item.
pub(super) fn item_value(value: &Value) -> String {
    format!("v:{value}")
}

/// The element of a list-map's item; `pairs` sorted by name.
pub(super) fn key<'a>(pairs: impl Iterator<Item = (&'a str, &'a Value)>) -> String {
    let mut text = String::from("k:{");
    for (at, (name, value)) in pairs.enumerate() {
        let comma = if at > 0 { "," } else { "" };
        let _ = write!(text, "{comma}{}:{value}", Value::from(name));
    }
    text.push('}');
    text
}

/// The element of a field.
pub(super) fn field(name: &str) -> String {
    format!("f:{name}")
}

/// True when a value at `node` is owned as a whole.
pub(super) fn is_leaf(value: &Value, node: Node<'_>) -> bool {
    match value {
        Value::Object(_) => node.is_atomic() || !matches!(node.kind(), Kind::Object | Kind::Any),
        Value::Array(_) => {
            node.is_atomic() || matches!(node.list_type(), curtain_schema::ListType::Atomic)
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(value: Value) -> Set {
        Set::from_fields_v1(&value).expect("well-formed")
    }

    #[test]
    fn fields_v1_round_trips_in_canonical_form() {
        let value = json!({"f:metadata":{"f:labels":{".":{},"f:a":{}}},
            "f:spec":{"f:ports":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:name":{}}},"f:set":{"v:\"x\"":{}}}});
        assert_eq!(set(value.clone()).to_fields_v1(), value);
        assert_eq!(
            set(json!({"k:{ \"b\" : 1, \"a\" : 2 }":{}})),
            set(json!({"k:{\"a\":2,\"b\":1}":{}}))
        );
        assert_eq!(Set::from_fields_v1(&json!({"x":{}})), None);
        assert_eq!(
            set(value).paths(),
            [
                ".metadata.labels",
                ".metadata.labels.a",
                ".spec.ports[port=80,protocol=\"TCP\"]",
                ".spec.ports[port=80,protocol=\"TCP\"].name",
                ".spec.set[=\"x\"]"
            ]
        );
    }

    #[test]
    fn algebra_holds_on_small_sets() {
        // All sets over the paths a, a.b, c.
        let all: Vec<Set> = (0..8u8)
            .map(|bits| {
                let mut set = Set::default();
                for (bit, path) in
                    [vec!["f:a"], vec!["f:a", "f:b"], vec!["f:c"]].into_iter().enumerate()
                {
                    if bits & (1 << bit) != 0 {
                        set.insert(path);
                    }
                }
                set
            })
            .collect();
        for (x, a) in all.iter().enumerate() {
            for (y, b) in all.iter().enumerate() {
                assert_eq!(a.union(b), all[x | y]);
                assert_eq!(a.intersection(b), all[x & y]);
                assert_eq!(a.difference(b), all[x & !y]);
                assert_eq!(a.is_subset(b), x & y == x);
            }
            assert_eq!(&set(a.to_fields_v1()), a);
        }
    }
}
