//! Reads `openAPIV3Schema` into an arena and finds where it is not structural.

use serde_json::{Map, Value};

use super::limits::{Bound, Limits, Pattern};
use super::rules;
use crate::builtin;
use crate::error::FieldError;
use crate::node::{Arena, Id, Kind, Listing, Shape, Target};

const OBJECT_META: &str = "apimachinery.pkg.apis.meta.v1.ObjectMeta";
/// Deeper nesting than this is refused: nothing real comes near it, and walking must not overflow.
const MAX_DEPTH: usize = 64;

pub(super) fn compile(schema: &Value, path: &str) -> Result<(Arena, Id), Vec<FieldError>> {
    let mut parser = Parser { arena: Arena::default(), errors: Vec::new(), depth: 0 };
    if schema.get("type") != Some(&Value::from("object")) {
        let value = schema.get("type").cloned().unwrap_or_else(|| "".into());
        let detail = "must be object at the root";
        parser.errors.push(FieldError::invalid(format!("{path}.type"), value, detail));
    }
    let root = parser.node(schema, path, Place::Root);
    if parser.errors.is_empty() { Ok((parser.arena, root)) } else { Err(parser.errors) }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    /// A place that has to say its type.
    Structure,
    /// Inside allOf, anyOf, oneOf or not: only says what a value must be like.
    Logic,
}

struct Parser {
    arena: Arena,
    errors: Vec<FieldError>,
    depth: usize,
}

impl Parser {
    fn node(&mut self, schema: &Value, path: &str, place: Place) -> Id {
        self.depth += 1;
        let id = if self.depth > MAX_DEPTH {
            self.errors
                .push(FieldError::forbidden(path, format!("deeper than {MAX_DEPTH} levels")));
            self.arena.push(Shape::new(Kind::Any))
        } else {
            self.shape(schema, path, place)
        };
        self.depth -= 1;
        id
    }

    fn shape(&mut self, schema: &Value, path: &str, place: Place) -> Id {
        let none = Map::new();
        let fields = schema.as_object().unwrap_or(&none);
        let flag = |name: &str| fields.get(name) == Some(&Value::Bool(true));
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        let int_or_string = flag("x-kubernetes-int-or-string");
        let open = flag("x-kubernetes-preserve-unknown-fields");
        let mut shape = Shape::new(self.kind(text("type"), int_or_string, open, path, place));
        shape.open = open;
        let mut limits = self.limits(fields, path);
        limits.embedded = flag("x-kubernetes-embedded-resource");

        if let Some(properties) = fields.get("properties").and_then(Value::as_object) {
            for (name, property) in properties {
                let below = format!("{path}.properties[{name}]");
                let id = self.node(property, &below, inner(place));
                shape.fields.push((name.clone().into(), id));
            }
        }
        if place == Place::Root || limits.embedded {
            self.add_type_meta(&mut shape);
        }
        shape.fields.sort_by(|a, b| a.0.cmp(&b.0));
        shape.required = strings(fields.get("required")).into_iter().map(Into::into).collect();
        match fields.get("additionalProperties") {
            Some(values @ Value::Object(_)) => {
                if fields
                    .get("properties")
                    .and_then(Value::as_object)
                    .is_some_and(|p| !p.is_empty())
                {
                    let detail = "must not be used together with properties";
                    self.errors.push(FieldError::forbidden(
                        format!("{path}.additionalProperties"),
                        detail,
                    ));
                }
                shape.values =
                    Some(self.node(values, &format!("{path}.additionalProperties"), inner(place)));
            }
            Some(Value::Bool(true)) => shape.open = true,
            _ => {}
        }
        match fields.get("items") {
            Some(items @ Value::Object(_)) => {
                shape.items = Some(self.node(items, &format!("{path}.items"), inner(place)));
            }
            None if shape.kind == Kind::Array && place != Place::Logic => {
                self.errors
                    .push(FieldError::required(format!("{path}.items"), "must be specified"));
            }
            None => {}
            Some(_) => {
                let detail = "items must be a schema object and not an array";
                self.errors.push(FieldError::forbidden(format!("{path}.items"), detail));
            }
        }
        self.listing(&mut shape, fields, path);
        shape.atomic = text("x-kubernetes-map-type") == Some("atomic");
        shape.default = fields.get("default").cloned();
        limits.rules =
            rules::compile(fields.get("x-kubernetes-validations"), path, &mut self.errors);
        shape.limits = Some(Box::new(limits));
        self.arena.push(shape)
    }

    fn kind(
        &mut self,
        kind: Option<&str>,
        int_or_string: bool,
        open: bool,
        path: &str,
        place: Place,
    ) -> Kind {
        if int_or_string {
            return Kind::IntOrString;
        }
        match kind {
            Some("object") => Kind::Object,
            Some("array") => Kind::Array,
            Some("string") => Kind::String,
            Some("integer") => Kind::Integer,
            Some("number") => Kind::Number,
            Some("boolean") => Kind::Boolean,
            Some(other) => {
                let known = ["array", "boolean", "integer", "number", "object", "string"];
                let error = FieldError::not_supported(format!("{path}.type"), other.into(), &known);
                self.errors.push(error);
                Kind::Any
            }
            None => {
                if place == Place::Structure && !open {
                    let detail = "must not be empty for specified object fields";
                    self.errors.push(FieldError::required(format!("{path}.type"), detail));
                }
                Kind::Any
            }
        }
    }

    /// `apiVersion`, `kind` and `metadata` have the one schema that all objects share.
    fn add_type_meta(&mut self, shape: &mut Shape) {
        shape
            .fields
            .retain(|(name, _)| !matches!(name.as_ref(), "apiVersion" | "kind" | "metadata"));
        let string = self.arena.push(Shape::new(Kind::String));
        let mut metadata = Shape::new(Kind::Object);
        if let Some(id) = builtin::definition_id(OBJECT_META) {
            metadata.target = Target::Builtin(id);
        }
        let metadata = self.arena.push(metadata);
        shape.fields.extend([
            ("apiVersion".into(), string),
            ("kind".into(), string),
            ("metadata".into(), metadata),
        ]);
    }

    fn listing(&mut self, shape: &mut Shape, fields: &Map<String, Value>, path: &str) {
        let keys = strings(fields.get("x-kubernetes-list-map-keys"));
        match fields.get("x-kubernetes-list-type").and_then(Value::as_str) {
            None | Some("atomic") => {}
            Some("set") => shape.listing = Listing::Set,
            Some("map") => {
                shape.listing = Listing::Map;
                if keys.is_empty() {
                    let at = format!("{path}.x-kubernetes-list-map-keys");
                    let detail = "must not be empty if x-kubernetes-list-type is map";
                    self.errors.push(FieldError::required(at, detail));
                }
                let item = shape.items.map(|id| &self.arena.shapes[id as usize]);
                for (index, key) in keys.iter().enumerate() {
                    let known =
                        item.is_some_and(|item| item.fields.iter().any(|(name, _)| name == key));
                    if !known {
                        let at = format!("{path}.x-kubernetes-list-map-keys[{index}]");
                        let detail = "entries must all be names of item properties";
                        self.errors.push(FieldError::invalid(at, key.as_str().into(), detail));
                    }
                }
            }
            Some(other) => {
                let at = format!("{path}.x-kubernetes-list-type");
                self.errors.push(FieldError::not_supported(
                    at,
                    other.into(),
                    &["atomic", "map", "set"],
                ));
            }
        }
        shape.keys = keys.into_iter().map(Into::into).collect();
    }

    fn limits(&mut self, fields: &Map<String, Value>, path: &str) -> Limits {
        let flag = |name: &str| fields.get(name) == Some(&Value::Bool(true));
        let count = |name: &str| fields.get(name).and_then(Value::as_u64);
        let bound = |name: &str, exclusive: &str| match fields.get(name) {
            Some(Value::Number(value)) => {
                Some(Bound { value: value.clone(), exclusive: flag(exclusive) })
            }
            _ => None,
        };
        let mut limits = Limits {
            nullable: flag("nullable"),
            allowed: fields.get("enum").and_then(Value::as_array).cloned().unwrap_or_default(),
            format: fields.get("format").and_then(Value::as_str).map(str::to_owned),
            minimum: bound("minimum", "exclusiveMinimum"),
            maximum: bound("maximum", "exclusiveMaximum"),
            multiple_of: fields.get("multipleOf").and_then(Value::as_f64),
            min_length: count("minLength"),
            max_length: count("maxLength"),
            min_items: count("minItems"),
            max_items: count("maxItems"),
            unique_items: flag("uniqueItems"),
            min_properties: count("minProperties"),
            max_properties: count("maxProperties"),
            ..Limits::default()
        };
        if let Some(source) = fields.get("pattern").and_then(Value::as_str) {
            match Pattern::new(source) {
                Ok(pattern) => limits.pattern = Some(pattern),
                Err(error) => {
                    let detail = format!("must be a valid regular expression, but isn't: {error}");
                    self.errors.push(FieldError::invalid(
                        format!("{path}.pattern"),
                        source.into(),
                        detail,
                    ));
                }
            }
        }
        limits.all_of = self.logic(fields.get("allOf"), &format!("{path}.allOf"));
        limits.any_of = self.logic(fields.get("anyOf"), &format!("{path}.anyOf"));
        limits.one_of = self.logic(fields.get("oneOf"), &format!("{path}.oneOf"));
        limits.not =
            fields.get("not").map(|not| self.node(not, &format!("{path}.not"), Place::Logic));
        limits
    }

    fn logic(&mut self, list: Option<&Value>, path: &str) -> Vec<Id> {
        let list = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        list.iter()
            .enumerate()
            .map(|(index, schema)| self.node(schema, &format!("{path}[{index}]"), Place::Logic))
            .collect()
    }
}

fn inner(place: Place) -> Place {
    if place == Place::Logic { Place::Logic } else { Place::Structure }
}

fn strings(list: Option<&Value>) -> Vec<String> {
    let list = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}
