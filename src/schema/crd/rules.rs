//! `x-kubernetes-validations`: CEL rules, compiled once with the schema.
//!
//! A rule that names `oldSelf` is about change: it runs only where the old value can be told, which is
//! everywhere but in lists without keys; with `optionalOldSelf` it runs everywhere, and is told where there is none. A
//! rule on a value that an update leaves alone only counts when it is about change.

use std::borrow::Cow;
use std::sync::LazyLock;

use curtain_cel::{Env, Program, Vars, escape_property};
use serde_json::{Map, Value};

use super::validate::{counterpart, join, shown};
use crate::error::{ErrorKind, FieldError};
use crate::node::{Kind, ListType, Node};

static ENV: LazyLock<Env> = LazyLock::new(Env::kubernetes);

/// One compiled rule.
#[derive(Debug)]
pub(crate) struct Rule {
    program: Program,
    about_change: bool,
    /// `oldSelf` is an optional.
    optional: bool,
    /// Names properties in their escaped form, so `self` has to be given in it.
    escaped: bool,
    message: String,
    message_expression: Option<Program>,
    field_path: String,
    reason: ErrorKind,
}

pub(super) fn compile(list: Option<&Value>, path: &str, errors: &mut Vec<FieldError>) -> Vec<Rule> {
    let list = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut rules = Vec::with_capacity(list.len());
    for (index, rule) in list.iter().enumerate() {
        let path = format!("{path}.x-kubernetes-validations[{index}]");
        match one(rule, &path) {
            Ok(rule) => rules.push(rule),
            Err(error) => errors.push(error),
        }
    }
    rules
}

fn one(rule: &Value, path: &str) -> Result<Rule, FieldError> {
    let text = |name: &str| rule.get(name).and_then(Value::as_str).unwrap_or_default();
    let source = text("rule");
    if source.trim().is_empty() {
        return Err(FieldError::required(format!("{path}.rule"), "rule is not specified"));
    }
    let program = |name: &str| {
        let source = text(name);
        let failed = |error: curtain_cel::Error| {
            FieldError::invalid(
                format!("{path}.{name}"),
                source.into(),
                format!("compilation failed: {error}"),
            )
        };
        let program = Program::compile(&ENV, source).map_err(failed)?;
        let known = || vec!["oldSelf".to_owned(), "self".to_owned()];
        program.check(|name| matches!(name, "self" | "oldSelf"), known).map_err(failed)?;
        Ok(program)
    };
    let reason = match text("reason") {
        "" | "FieldValueInvalid" => ErrorKind::Invalid,
        "FieldValueForbidden" => ErrorKind::Forbidden,
        "FieldValueRequired" => ErrorKind::Required,
        "FieldValueDuplicate" => ErrorKind::Duplicate,
        other => {
            let known = [
                "FieldValueDuplicate",
                "FieldValueForbidden",
                "FieldValueInvalid",
                "FieldValueRequired",
            ];
            return Err(FieldError::not_supported(format!("{path}.reason"), other.into(), &known));
        }
    };
    let compiled = program("rule")?;
    let optional = rule.get("optionalOldSelf").filter(|optional| !optional.is_null());
    if let Some(optional) = optional.filter(|_| !compiled.uses("oldSelf")) {
        let detail = "may not be set if oldSelf is not used in rule";
        let path = format!("{path}.optionalOldSelf");
        return Err(FieldError::invalid(path, optional.clone(), detail));
    }
    let message_expression = match text("messageExpression") {
        "" => None,
        _ => Some(program("messageExpression")?),
    };
    Ok(Rule {
        about_change: compiled.uses("oldSelf"),
        optional: optional == Some(&Value::Bool(true)),
        program: compiled,
        escaped: source.contains("__") || text("messageExpression").contains("__"),
        message: match text("message").trim() {
            "" => format!("failed rule: {source}"),
            message => message.to_owned(),
        },
        message_expression,
        field_path: text("fieldPath").to_owned(),
        reason,
    })
}

pub(super) fn check(new: &Value, old: Option<&Value>, root: Node<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    walk(new, old, root, "", &mut errors);
    errors
}

/// A value that is at `path` of something else.
pub(super) fn check_at(value: &Value, node: Node<'_>, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    walk(value, None, node, path, &mut errors);
    errors
}

fn walk(
    value: &Value,
    old: Option<&Value>,
    node: Node<'_>,
    path: &str,
    errors: &mut Vec<FieldError>,
) {
    let Some(limits) = node.limits() else { return };
    if value.is_null() {
        return;
    }
    for rule in &limits.rules {
        if !rule.about_change && old == Some(value) {
            continue;
        }
        if !rule.about_change || rule.optional || old.is_some() {
            errors.extend(rule.check(value, old, node, path));
        }
    }
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if let Some(below) = node.declared(name).or(node.values()) {
                    walk(
                        value,
                        old.and_then(|old| old.get(name)),
                        below,
                        &join(path, name),
                        errors,
                    );
                }
            }
        }
        Value::Array(items) => {
            let Some(below) = node.item() else { return };
            let keyed = !matches!(node.list_type(), ListType::Atomic);
            for (index, value) in items.iter().enumerate() {
                let before = if keyed { counterpart(value, index, old, node) } else { None };
                walk(value, before, below, &format!("{path}[{index}]"), errors);
            }
        }
        _ => {}
    }
}

impl Rule {
    fn check(
        &self,
        value: &Value,
        old: Option<&Value>,
        node: Node<'_>,
        path: &str,
    ) -> Option<FieldError> {
        let given = |value| if self.escaped { escape(value, node) } else { Cow::Borrowed(value) };
        let (value, old) = (given(value), old.map(given));
        let mut vars = Vars::new().with("self", &value);
        match &old {
            old if self.optional => vars.insert_optional("oldSelf", old.as_deref()),
            Some(old) => vars.insert("oldSelf", old),
            None => {}
        }
        let detail = match self.program.eval_bool(&vars) {
            Ok(true) => return None,
            Ok(false) => self.words(&vars),
            Err(error) => {
                format!("rule evaluation error: {error} evaluating rule: {}", self.message)
            }
        };
        let path = format!("{path}{}", self.field_path);
        let path = path.strip_prefix('.').unwrap_or(&path);
        let value = match self.reason {
            ErrorKind::Forbidden | ErrorKind::Required => None,
            _ => Some(Value::from(type_name(node))),
        };
        Some(FieldError { path: shown(path).to_owned(), kind: self.reason, value, detail })
    }

    /// The message, computed where the rule asks for it; a computation that fails gives the fixed one.
    fn words(&self, vars: &Vars<'_>) -> String {
        let computed = self.message_expression.as_ref().and_then(|program| {
            let value = program.eval(vars).ok()?;
            let text = value.as_str()?.trim();
            (!text.is_empty() && !text.contains('\n')).then(|| text.to_owned())
        });
        computed.unwrap_or_else(|| self.message.clone())
    }
}

fn type_name(node: Node<'_>) -> &'static str {
    match node.kind() {
        Kind::Array => "array",
        Kind::String | Kind::Bytes | Kind::Time => "string",
        Kind::Integer | Kind::Int32 | Kind::Int64 => "integer",
        Kind::Number => "number",
        Kind::Boolean => "boolean",
        Kind::IntOrString | Kind::Quantity => "",
        Kind::Object | Kind::Any => "object",
    }
}

/// The value with its declared properties under the names that CEL can select.
fn escape<'v>(value: &'v Value, node: Node<'_>) -> Cow<'v, Value> {
    match value {
        Value::Object(fields) => {
            let mut result = Map::new();
            for (name, value) in fields {
                let declared = node.declared(name);
                let below = declared.or(node.values()).unwrap_or_else(Node::untyped);
                let escaped = if declared.is_some() { escape_property(name) } else { None };
                result.insert(
                    escaped.unwrap_or_else(|| name.clone()),
                    escape(value, below).into_owned(),
                );
            }
            Cow::Owned(Value::Object(result))
        }
        Value::Array(items) => {
            let below = node.item().unwrap_or_else(Node::untyped);
            Cow::Owned(items.iter().map(|item| escape(item, below).into_owned()).collect())
        }
        _ => Cow::Borrowed(value),
    }
}
