//! Reads the table's text.
//!
//! ```text
//! =GROUP/VERSION/KIND DEFINITION      a kind and the definition of its objects
//! @DEFINITION [atomic]                a definition; its fields follow, one a line, sorted
//! NAME[!] TYPE ATTRIBUTE…             a field; ! = required
//! ```
//!
//! TYPE is `string bytes time microtime int32 int64 number bool intstr quantity`, `any` (one opaque
//! value), `raw` (an opaque object), `open` (an object of unknown fields), `&DEFINITION`, `[TYPE]` (list)
//! or `{TYPE}` (map). ATTRIBUTE is `atomic`, `set`, `map:KEY,…` (list type), `merge=[KEY]`, `retainKeys`
//! (patch strategy) or `default=JSON`.
//!
//! The text is part of the program: a malformed line is a bug that the tests of this module find, so
//! parsing skips what it does not understand instead of carrying errors nobody could meet.

use std::collections::BTreeMap;

use super::Table;
use crate::node::{Arena, Id, Kind, Listing, Shape, Target};

struct Parser {
    arena: Arena,
    definitions: BTreeMap<&'static str, Id>,
    /// Shapes without attributes are shared.
    plain: BTreeMap<&'static str, Id>,
}

pub(super) fn table(text: &'static str) -> Table {
    let mut parser =
        Parser { arena: Arena::default(), definitions: BTreeMap::new(), plain: BTreeMap::new() };
    for line in text.lines() {
        if let Some(header) = line.strip_prefix('@') {
            let mut words = header.split(' ');
            let name = words.next().unwrap_or_default();
            let mut shape = Shape::new(Kind::Object);
            shape.name = Some(name);
            shape.atomic = words.next() == Some("atomic");
            let id = parser.arena.push(shape);
            parser.definitions.insert(name, id);
        }
    }
    let mut kinds = BTreeMap::new();
    let mut current = None;
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix('=') {
            if let Some((gvk, name)) = kind.split_once(' ') {
                let mut parts = gvk.split('/');
                if let (Some(group), Some(version), Some(kind), Some(id)) =
                    (parts.next(), parts.next(), parts.next(), parser.definitions.get(name))
                {
                    kinds.insert((group, version, kind), *id);
                }
            }
        } else if let Some(header) = line.strip_prefix('@') {
            current =
                header.split(' ').next().and_then(|name| parser.definitions.get(name)).copied();
        } else if let (false, Some(owner)) = (line.starts_with('#'), current) {
            parser.field(owner, line);
        }
    }
    Table { arena: parser.arena, kinds, definitions: parser.definitions, untyped: 0 }
}

impl Parser {
    fn field(&mut self, owner: Id, line: &'static str) {
        let Some((name, rest)) = line.split_once(' ') else { return };
        let (kind, attributes) = rest.split_once(' ').unwrap_or((rest, ""));
        let (name, required) = match name.strip_suffix('!') {
            Some(name) => (name, true),
            None => (name, false),
        };
        let id = if attributes.is_empty() { self.plain(kind) } else { self.with(kind, attributes) };
        let shape = &mut self.arena.shapes[owner as usize];
        shape.fields.push((name.into(), id));
        if required {
            shape.required.push(name.into());
        }
    }

    fn plain(&mut self, kind: &'static str) -> Id {
        if let Some(id) = kind.strip_prefix('&').and_then(|name| self.definitions.get(name)) {
            return *id;
        }
        if let Some(id) = self.plain.get(kind) {
            return *id;
        }
        let shape = self.shape(kind);
        let id = self.arena.push(shape);
        self.plain.insert(kind, id);
        id
    }

    fn with(&mut self, kind: &'static str, attributes: &'static str) -> Id {
        let mut shape = self.shape(kind);
        for attribute in attributes.split(' ') {
            if attribute == "atomic" {
                shape.atomic = true;
            } else if attribute == "set" {
                shape.listing = Listing::Set;
            } else if attribute == "retainKeys" {
                shape.retain_keys = true;
            } else if let Some(keys) = attribute.strip_prefix("map:") {
                shape.listing = Listing::Map;
                shape.keys = keys.split(',').map(Into::into).collect();
            } else if let Some(key) = attribute.strip_prefix("merge=") {
                shape.merge = true;
                shape.merge_key = (!key.is_empty()).then(|| key.into());
            } else if let Some(json) = attribute.strip_prefix("default=") {
                shape.default = serde_json::from_str(json).ok();
            }
        }
        self.arena.push(shape)
    }

    fn shape(&mut self, kind: &'static str) -> Shape {
        let inside =
            |open, close| kind.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        if let Some(item) = inside('[', ']') {
            let mut shape = Shape::new(Kind::Array);
            shape.items = Some(self.plain(item));
            return shape;
        }
        if let Some(value) = inside('{', '}') {
            let mut shape = Shape::new(Kind::Object);
            shape.values = Some(self.plain(value));
            return shape;
        }
        if let Some(id) = kind.strip_prefix('&').and_then(|name| self.definitions.get(name)) {
            let mut shape = Shape::new(Kind::Object);
            shape.target = Target::Same(*id);
            return shape;
        }
        let mut shape = Shape::new(match kind {
            "string" => Kind::String,
            "bytes" => Kind::Bytes,
            "time" | "microtime" => Kind::Time,
            "int32" => Kind::Int32,
            "int64" => Kind::Int64,
            "number" => Kind::Number,
            "bool" => Kind::Boolean,
            "intstr" => Kind::IntOrString,
            "quantity" => Kind::Quantity,
            "raw" | "open" => Kind::Object,
            _ => Kind::Any,
        });
        shape.open = matches!(kind, "raw" | "open" | "any");
        shape.atomic = matches!(kind, "raw" | "any");
        shape
    }
}

#[cfg(test)]
mod tests {
    use crate::{Kind, ListType, Node, builtin};

    fn at(kind: (&str, &str, &str), path: &str) -> Node<'static> {
        let mut node = builtin::root(kind.0, kind.1, kind.2).expect("kind");
        for step in path.split('.').filter(|s| !s.is_empty()) {
            node = if step == "[]" { node.item() } else { node.field(step) }.expect(step);
        }
        node
    }

    const POD: (&str, &str, &str) = ("", "v1", "Pod");

    #[test]
    fn every_line_is_understood() {
        let text = include_str!("table.txt");
        let table = builtin::table();
        let fields: usize = text.lines().filter(|l| !l.starts_with(['=', '@', '#'])).count();
        let parsed: usize = table
            .definitions
            .values()
            .map(|id| table.arena.shapes[*id as usize].fields.len())
            .sum();
        assert_eq!(parsed, fields);
        assert_eq!(table.kinds.len(), text.lines().filter(|l| l.starts_with('=')).count());
        for line in text.lines().filter(|l| !l.starts_with(['=', '@', '#'])) {
            let kind = line.split(' ').nth(1).expect(line).trim_matches(['[', ']', '{', '}']);
            match kind.strip_prefix('&') {
                Some(name) => assert!(table.definitions.contains_key(name), "{line}"),
                None => assert!(
                    "string bytes time microtime int32 int64 number bool intstr quantity any raw open"
                        .split(' ')
                        .any(|k| k == kind),
                    "{line}"
                ),
            }
        }
    }

    #[test]
    fn fields_are_found_by_binary_search() {
        let table = builtin::table();
        for id in table.definitions.values() {
            let shape = &table.arena.shapes[*id as usize];
            assert!(shape.fields.is_sorted_by(|a, b| a.0 < b.0), "{:?}", shape.name);
        }
    }

    #[test]
    fn knows_list_keys_defaults_and_strategies() {
        let containers = at(POD, "spec.containers");
        let ListType::Map(keys) = containers.list_type() else { panic!("{containers:?}") };
        assert_eq!(keys.iter().collect::<Vec<_>>(), ["name"]);
        assert_eq!(containers.patch().merge_key, Some("name"));
        let ports = at(POD, "spec.containers.[].ports");
        let ListType::Map(keys) = ports.list_type() else { panic!("{ports:?}") };
        assert_eq!(keys.iter().collect::<Vec<_>>(), ["containerPort", "protocol"]);
        assert_eq!(
            ports.item().and_then(|i| i.field("protocol")).and_then(Node::default),
            Some(&"TCP".into())
        );
        assert_eq!(at(POD, "metadata.finalizers").list_type(), ListType::Set);
        assert_eq!(at(POD, "spec.containers.[].command").list_type(), ListType::Atomic);
        assert!(at(POD, "spec.volumes").patch().retain_keys);
        assert!(at(("apps", "v1", "Deployment"), "spec.strategy").patch().retain_keys);
        assert!(at(("apps", "v1", "Deployment"), "spec.selector").is_atomic());
        assert_eq!(at(POD, "metadata.labels.any").kind(), Kind::String);
        assert_eq!(
            at(("apps", "v1", "Deployment"), "spec.template.spec.containers.[].name").kind(),
            Kind::String
        );
        assert!(at(POD, "spec").field("nonsense").is_none());
    }
}
