//! Schemas: definitions of the built-in table, and custom resources as they were declared.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Resource, gvk};
use crate::builtin;
use crate::node::{Kind, ListType, Node};

const PREFIX: &str = "io.k8s.";
const LIST_META: &str = "apimachinery.pkg.apis.meta.v1.ListMeta";
const OBJECT_META: &str = "apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// The components that a document needs, found as they are referred to.
#[derive(Default)]
pub(super) struct Components {
    /// Built-in definitions still to be written, with the kinds that they are.
    builtin: BTreeMap<&'static str, Vec<Value>>,
    custom: BTreeMap<String, Value>,
}

impl Components {
    /// A reference to a kind's schema.
    pub(super) fn reference(&mut self, group: &str, version: &str, kind: &str) -> Value {
        match builtin::root(group, version, kind).and_then(Node::definition) {
            Some(name) => {
                let kinds = self.builtin.entry(name).or_default();
                let kind = gvk(group, version, kind);
                if !kinds.contains(&kind) {
                    kinds.push(kind);
                }
                reference(&format!("{PREFIX}{name}"))
            }
            None => reference(&custom_name(group, version, kind)),
        }
    }

    /// A reference to a definition that is no kind of its own.
    pub(super) fn definition(&mut self, name: &'static str) -> Value {
        self.builtin.entry(name).or_default();
        reference(&format!("{PREFIX}{name}"))
    }

    /// Adds a kind's own schema and that of its list.
    pub(super) fn add_kind(&mut self, resource: &Resource<'_>) {
        let Resource { group, version, kind, .. } = *resource;
        let item = self.reference(group, version, kind);
        let list = format!("{kind}List");
        let metadata = self.definition(LIST_META);
        if let Some(schema) = resource.custom {
            let metadata = self.definition(OBJECT_META);
            let schema = with_type_meta(schema, metadata, gvk(group, version, kind));
            self.custom.insert(custom_name(group, version, kind), schema);
        }
        if resource.verbs.contains(&"list") {
            let name = list_name(resource);
            self.custom.insert(
                name,
                json!({"type":"object","required":["items"],"properties":{
                    "apiVersion":{"type":"string"},"kind":{"type":"string"},
                    "metadata": metadata,"items":{"type":"array","items": item}},
                    "x-kubernetes-group-version-kind":[gvk(group, version, &list)]}),
            );
        }
    }

    /// Writes every component once, sorted by name within built-in and custom ones.
    pub(super) fn write(self, mut out: impl FnMut(&str, &Value)) {
        let mut todo: Vec<&'static str> = self.builtin.keys().copied().collect();
        let mut written = BTreeMap::new();
        while let Some(name) = todo.pop() {
            let Some(node) = builtin::definition(name) else { continue };
            if written.contains_key(name) {
                continue;
            }
            let mut schema = object(node, &mut |name| todo.push(name));
            if let (Value::Object(fields), Some(kinds)) =
                (&mut schema, self.builtin.get(name).filter(|kinds| !kinds.is_empty()))
            {
                fields
                    .insert("x-kubernetes-group-version-kind".into(), Value::Array(kinds.clone()));
            }
            written.insert(name, schema);
        }
        for (name, schema) in &written {
            out(&format!("{PREFIX}{name}"), schema);
        }
        for (name, schema) in &self.custom {
            out(name, schema);
        }
    }
}

/// The component of a kind's list.
pub(super) fn list_name(resource: &Resource<'_>) -> String {
    let Resource { group, version, kind, .. } = *resource;
    match builtin::root(group, version, kind).and_then(Node::definition) {
        Some(name) if resource.custom.is_none() => format!("{PREFIX}{name}List"),
        _ => format!("{}List", custom_name(group, version, kind)),
    }
}

pub(super) fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// `Component` of `openchoreo.dev/v1alpha1` is `dev.openchoreo.v1alpha1.Component`.
fn custom_name(group: &str, version: &str, kind: &str) -> String {
    let mut parts: Vec<&str> = group.split('.').collect();
    parts.reverse();
    format!("{}.{version}.{kind}", parts.join("."))
}

fn with_type_meta(schema: &Value, metadata: Value, kind: Value) -> Value {
    let mut schema = schema.clone();
    if let Value::Object(fields) = &mut schema {
        let properties = fields.entry("properties").or_insert_with(|| json!({}));
        if let Value::Object(properties) = properties {
            properties.entry("apiVersion").or_insert_with(|| json!({"type":"string"}));
            properties.entry("kind").or_insert_with(|| json!({"type":"string"}));
            properties.insert("metadata".into(), json!({"allOf": [metadata]}));
        }
        fields.insert("x-kubernetes-group-version-kind".into(), Value::Array(vec![kind]));
    }
    schema
}

/// A definition: its fields and which of them must be there.
fn object(node: Node<'static>, need: &mut impl FnMut(&'static str)) -> Value {
    let properties: Map<String, Value> =
        node.fields().map(|(name, field)| (name.to_owned(), value(field, need))).collect();
    let mut schema = json!({"type": "object", "properties": properties});
    let required: Vec<&str> = node.required().collect();
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    if node.is_atomic() {
        schema["x-kubernetes-map-type"] = "atomic".into();
    }
    schema
}

fn value(node: Node<'static>, need: &mut impl FnMut(&'static str)) -> Value {
    let mut schema = match node.kind() {
        Kind::Any => json!({}),
        Kind::String => json!({"type":"string"}),
        Kind::Bytes => json!({"type":"string","format":"byte"}),
        Kind::Time => json!({"type":"string","format":"date-time"}),
        Kind::Int32 => json!({"type":"integer","format":"int32"}),
        Kind::Int64 | Kind::Integer => json!({"type":"integer","format":"int64"}),
        Kind::Number => json!({"type":"number","format":"double"}),
        Kind::Boolean => json!({"type":"boolean"}),
        Kind::IntOrString => {
            json!({"format":"int-or-string","oneOf":[{"type":"integer"},{"type":"string"}]})
        }
        Kind::Quantity => json!({"oneOf":[{"type":"string"},{"type":"number"}]}),
        Kind::Array => {
            let items = node.item().map_or_else(|| json!({}), |item| value(item, need));
            json!({"type":"array","items": items})
        }
        Kind::Object => match (node.definition(), node.values()) {
            (Some(name), _) => {
                need(name);
                json!({"allOf":[reference(&format!("{PREFIX}{name}"))]})
            }
            (None, Some(values)) => {
                json!({"type":"object","additionalProperties": value(values, need)})
            }
            (None, None) => json!({"type":"object"}),
        },
    };
    if node.kind() == Kind::Array {
        schema["x-kubernetes-list-type"] = match node.list_type() {
            ListType::Atomic => "atomic".into(),
            ListType::Set => "set".into(),
            ListType::Map(keys) => {
                schema["x-kubernetes-list-map-keys"] = keys.iter().collect::<Vec<_>>().into();
                "map".into()
            }
        };
    }
    let patch = node.patch();
    let strategies: Vec<&str> = [(patch.merge, "merge"), (patch.retain_keys, "retainKeys")]
        .iter()
        .filter(|s| s.0)
        .map(|s| s.1)
        .collect();
    if !strategies.is_empty() {
        schema["x-kubernetes-patch-strategy"] = strategies.join(",").into();
    }
    if let Some(key) = patch.merge_key {
        schema["x-kubernetes-patch-merge-key"] = key.into();
    }
    if let Some(default) = node.default() {
        schema["default"] = default.clone();
    }
    schema
}
