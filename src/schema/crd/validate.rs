//! Checking a value against shapes and limits. Wording and order follow the reference implementation.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::format;
use super::limits::{Bound, Limits};
use crate::error::{ErrorKind, FieldError, quote};
use crate::node::{Kind, ListType, Node};

pub(super) fn check(new: &Value, old: Option<&Value>, root: Node<'_>) -> Vec<FieldError> {
    let mut checker = Checker { errors: Vec::new() };
    checker.value(new, old, root, "");
    checker.errors
}

/// A value that is at `path` of something else.
pub(super) fn check_at(value: &Value, node: Node<'_>, path: &str) -> Vec<FieldError> {
    let mut checker = Checker { errors: Vec::new() };
    checker.value(value, None, node, path);
    checker.errors
}

struct Checker {
    errors: Vec<FieldError>,
}

impl Checker {
    fn value(&mut self, value: &Value, old: Option<&Value>, node: Node<'_>, path: &str) {
        // What an update leaves alone is not found fault with.
        if old == Some(value) {
            return;
        }
        let Some(limits) = node.limits() else { return };
        if value.is_null() && (limits.nullable || node.kind() == Kind::Any) {
            return;
        }
        if let Some(wanted) = mismatch(value, node.kind()) {
            self.wrong_type(value, wanted, path);
            return;
        }
        match value {
            Value::String(text) => self.string(text, limits, path),
            Value::Number(number) => self.number(number, limits, path),
            Value::Array(items) => self.array(items, old, node, limits, path),
            Value::Object(fields) => self.object(fields, old, node, limits, path),
            _ => {}
        }
        if !limits.allowed.is_empty() && !limits.allowed.contains(value) {
            let supported: Vec<Cow<'_, str>> = limits
                .allowed
                .iter()
                .map(|value| match value {
                    Value::String(text) => Cow::Borrowed(text.as_str()),
                    other => Cow::Owned(other.to_string()),
                })
                .collect();
            self.errors.push(FieldError::not_supported(path, value.clone(), &supported));
        }
        self.logic(value, node, limits, path);
    }

    fn wrong_type(&mut self, value: &Value, wanted: &str, path: &str) {
        let found = json_type(value);
        self.errors.push(FieldError {
            path: shown(path).to_owned(),
            kind: ErrorKind::TypeInvalid,
            value: Some(found.into()),
            detail: format!("{path} in body must be of type {wanted}: {}", quote(found)),
        });
    }

    fn invalid(&mut self, path: &str, value: Value, words: String) {
        let detail = format!("{path} in body {words}");
        self.errors.push(FieldError::invalid(shown(path), value, detail));
    }

    fn string(&mut self, text: &str, limits: &Limits, path: &str) {
        let length = || text.chars().count() as u64;
        if let Some(max) =
            limits.max_length.filter(|max| text.len() as u64 > *max && length() > *max)
        {
            self.errors.push(FieldError::too_long(path, max));
        }
        if let Some(min) = limits.min_length.filter(|min| length() < *min) {
            self.invalid(path, text.into(), format!("should be at least {min} chars long"));
        }
        if let Some(pattern) = limits.pattern.as_ref().filter(|pattern| !pattern.matches(text)) {
            self.invalid(path, text.into(), format!("should match '{}'", pattern.source));
        }
        if let Some(format) =
            limits.format.as_deref().filter(|format| !format::matches(format, text))
        {
            self.errors.push(FieldError {
                path: path.to_owned(),
                kind: ErrorKind::TypeInvalid,
                value: Some(text.into()),
                detail: format!("{path} in body must be of type {format}: {}", quote(text)),
            });
        }
    }

    fn number(&mut self, number: &serde_json::Number, limits: &Limits, path: &str) {
        let value = || Value::Number(number.clone());
        if let Some(factor) = limits.multiple_of {
            let ratio = number.as_f64().unwrap_or_default() / factor;
            if (ratio - ratio.round()).abs() > f64::EPSILON * ratio.abs().max(1.0) {
                self.invalid(path, value(), format!("should be a multiple of {factor}"));
            }
        }
        if let Some(Bound { value: max, exclusive }) = &limits.maximum {
            let order = compare(number, max);
            if order.is_gt() || (*exclusive && order.is_eq()) {
                let words = if *exclusive { "less than" } else { "less than or equal to" };
                self.invalid(path, value(), format!("should be {words} {max}"));
            }
        }
        if let Some(Bound { value: min, exclusive }) = &limits.minimum {
            let order = compare(number, min);
            if order.is_lt() || (*exclusive && order.is_eq()) {
                let words = if *exclusive { "greater than" } else { "greater than or equal to" };
                self.invalid(path, value(), format!("should be {words} {min}"));
            }
        }
        let fits = match limits.format.as_deref() {
            Some("int32") => number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
            Some("int64") => number.as_i64().is_some() || number.is_f64(),
            _ => true,
        };
        if !fits {
            let format = limits.format.as_deref().unwrap_or_default();
            self.invalid(
                path,
                value(),
                format!("must be of type {format}: {}", quote(&number.to_string())),
            );
        }
    }

    fn array(
        &mut self,
        items: &[Value],
        old: Option<&Value>,
        node: Node<'_>,
        limits: &Limits,
        path: &str,
    ) {
        let count = items.len() as u64;
        if let Some(min) = limits.min_items.filter(|min| count < *min) {
            self.invalid(path, count.into(), format!("should have at least {min} items"));
        }
        if let Some(max) = limits.max_items.filter(|max| count > *max) {
            self.errors.push(FieldError::too_many(path, count, max));
        }
        if limits.unique_items && (1..items.len()).any(|at| items[..at].contains(&items[at])) {
            self.invalid(path, Value::Array(items.to_vec()), "shouldn't contain duplicates".into());
        }
        self.duplicates(items, node, path);
        let Some(below) = node.item() else { return };
        for (index, item) in items.iter().enumerate() {
            let before = counterpart(item, index, old, node);
            self.value(item, before, below, &format!("{path}[{index}]"));
        }
    }

    fn duplicates(&mut self, items: &[Value], node: Node<'_>, path: &str) {
        let identity = |item: &Value| match node.list_type() {
            ListType::Atomic => None,
            ListType::Set => Some(item.clone()),
            ListType::Map(keys) => Some(Value::Object(
                keys.iter()
                    .filter_map(|key| {
                        let default =
                            || node.item().and_then(|n| n.field(key)).and_then(Node::default);
                        let value = item.get(key).or_else(default)?;
                        Some((key.to_owned(), value.clone()))
                    })
                    .collect(),
            )),
        };
        let mut seen = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let Some(identity) = identity(item) else { return };
            if seen.contains(&identity) {
                self.errors.push(FieldError::duplicate(format!("{path}[{index}]"), identity));
            } else {
                seen.push(identity);
            }
        }
    }

    fn object(
        &mut self,
        fields: &Map<String, Value>,
        old: Option<&Value>,
        node: Node<'_>,
        limits: &Limits,
        path: &str,
    ) {
        let count = fields.len() as u64;
        if let Some(min) = limits.min_properties.filter(|min| count < *min) {
            self.invalid(
                path,
                Value::Object(fields.clone()),
                format!("should have at least {min} properties"),
            );
        }
        if let Some(max) = limits.max_properties.filter(|max| count > *max) {
            self.errors.push(FieldError::too_many(path, count, max));
        }
        for name in node.required() {
            if !fields.contains_key(name) {
                self.errors.push(FieldError::required(join(path, name), ""));
            }
        }
        if limits.embedded {
            for name in ["apiVersion", "kind"] {
                if fields.get(name).and_then(Value::as_str).is_none_or(str::is_empty) {
                    self.errors.push(FieldError::required(join(path, name), "must not be empty"));
                }
            }
        }
        for (name, value) in fields {
            if let Some(below) = node.declared(name).or(node.values()) {
                let before = old.and_then(|old| old.get(name));
                self.value(value, before, below, &join(path, name));
            }
        }
    }

    fn logic(&mut self, value: &Value, node: Node<'_>, limits: &Limits, path: &str) {
        let quoted = quote(path);
        let attempts = |ids: &[u32]| -> Vec<Vec<FieldError>> {
            ids.iter()
                .map(|id| {
                    let mut checker = Checker { errors: Vec::new() };
                    checker.value(value, None, node.sibling(*id), path);
                    checker.errors
                })
                .collect()
        };
        let mut fail = |words: String, details: Vec<FieldError>| {
            self.errors.push(FieldError::invalid(
                shown(path),
                "".into(),
                format!("{quoted} {words}"),
            ));
            self.errors.extend(details);
        };
        if !limits.any_of.is_empty() {
            let attempts = attempts(&limits.any_of);
            if attempts.iter().all(|errors| !errors.is_empty()) {
                fail("must validate at least one schema (anyOf)".into(), shortest(attempts));
            }
        }
        if !limits.one_of.is_empty() {
            let attempts = attempts(&limits.one_of);
            let valid = attempts.iter().filter(|errors| errors.is_empty()).count();
            let words = "must validate one and only one schema (oneOf)";
            match valid {
                0 => fail(format!("{words}. Found none valid"), shortest(attempts)),
                1 => {}
                n => fail(format!("{words}. Found {n} valid alternatives"), Vec::new()),
            }
        }
        if !limits.all_of.is_empty() {
            let failed: Vec<FieldError> = attempts(&limits.all_of).into_iter().flatten().collect();
            if !failed.is_empty() {
                fail("must validate all the schemas (allOf)".into(), failed);
            }
        }
        if let Some(id) = limits.not
            && attempts(&[id])[0].is_empty()
        {
            fail("must not validate the schema (not)".into(), Vec::new());
        }
    }
}

/// The findings of the alternative that came closest.
fn shortest(attempts: Vec<Vec<FieldError>>) -> Vec<FieldError> {
    attempts.into_iter().min_by_key(Vec::len).unwrap_or_default()
}

/// The type a value should have had, or `None` when it fits.
fn mismatch(value: &Value, kind: Kind) -> Option<&'static str> {
    let integral = |n: &serde_json::Number| {
        n.is_i64() || n.is_u64() || n.as_f64().is_some_and(|f| f.fract() == 0.0 && f.is_finite())
    };
    let (fits, wanted) = match kind {
        Kind::Any => (true, ""),
        Kind::Object => (value.is_object(), "object"),
        Kind::Array => (value.is_array(), "array"),
        Kind::String | Kind::Bytes | Kind::Time => (value.is_string(), "string"),
        Kind::Boolean => (value.is_boolean(), "boolean"),
        Kind::Number => (value.is_number(), "number"),
        Kind::Integer | Kind::Int32 | Kind::Int64 => {
            (matches!(value, Value::Number(n) if integral(n)), "integer")
        }
        Kind::IntOrString => (
            value.is_string() || matches!(value, Value::Number(n) if integral(n)),
            "integer,string",
        ),
        Kind::Quantity => (value.is_string() || value.is_number(), "number,string"),
    };
    (!fits).then_some(wanted)
}

fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn compare(a: &serde_json::Number, b: &serde_json::Number) -> std::cmp::Ordering {
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.as_f64().unwrap_or_default().total_cmp(&b.as_f64().unwrap_or_default()),
    }
}

/// The old item that this one replaces: by keys in list-maps, by value in sets, else by position.
pub(super) fn counterpart<'v>(
    item: &Value,
    index: usize,
    old: Option<&'v Value>,
    node: Node<'_>,
) -> Option<&'v Value> {
    let old = old?.as_array()?;
    match node.list_type() {
        ListType::Map(keys) => {
            old.iter().find(|other| keys.iter().all(|key| other.get(key) == item.get(key)))
        }
        ListType::Set => old.iter().find(|other| *other == item),
        ListType::Atomic => old.get(index).filter(|other| *other == item),
    }
}

pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// The path of the whole object is printed as the reference implementation prints it.
pub(super) fn shown(path: &str) -> &str {
    if path.is_empty() { "<nil>" } else { path }
}
