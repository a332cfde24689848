//! `x-kubernetes-validations`: CEL rules, compiled once with the schema.
//!
//! A rule that names `oldSelf` is about change: it runs only where the old value can be told, which is
//! everywhere but in lists without keys; with `optionalOldSelf` it runs everywhere, and is told where there is none. A
//! rule on a value that an update leaves alone only counts when it is about change.
//!
//! A rule takes no more work than one evaluation may, and all rules of an object together no more than ten do: what
//! would take more is an error, and nothing else is looked at.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::LazyLock;

use curtain_cel::{Env, MAX_ITERATIONS, Program, Vars, escape_property};
use serde_json::{Map, Value};

use super::validate::{counterpart, join, shown};
use crate::error::{ErrorKind, FieldError};
use crate::node::{Kind, ListType, Node};

static ENV: LazyLock<Env> = LazyLock::new(Env::kubernetes);

/// What all rules of an object may take together, in loop steps of their evaluations.
const BUDGET: u64 = 10 * MAX_ITERATIONS;
/// What an evaluation takes before its first step.
const EVALUATION: u64 = 10;

/// One compiled rule.
#[derive(Debug)]
pub(crate) struct Rule {
    program: Program,
    about_change: bool,
    /// `oldSelf` is an optional.
    optional: bool,
    /// Names properties in their escaped form, so `self` has to be given in it.
    escaped: bool,
    /// What it is called where it could not be evaluated.
    name: String,
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
        name: match text("message").trim() {
            "" => source.trim().to_owned(),
            message => message.to_owned(),
        },
        message: match text("message").trim() {
            "" => format!("failed rule: {}", source.trim()),
            message => message.to_owned(),
        },
        message_expression,
        field_path: text("fieldPath").to_owned(),
        reason,
    })
}

pub(super) fn check(new: &Value, old: Option<&Value>, root: Node<'_>) -> Vec<FieldError> {
    let mut walk = Walk { left: BUDGET, errors: Vec::new() };
    // Who has broken off has said why.
    let _ = walk.value(new, old, root, "");
    walk.errors
}

/// A value that is at `path` of something else.
pub(super) fn check_at(value: &Value, node: Node<'_>, path: &str) -> Vec<FieldError> {
    let mut walk = Walk { left: BUDGET, errors: Vec::new() };
    let _ = walk.value(value, None, node, path);
    walk.errors
}

/// One object's rules on their way.
struct Walk {
    /// What the rules that are still to come may take.
    left: u64,
    errors: Vec<FieldError>,
}

impl Walk {
    fn value(
        &mut self,
        value: &Value,
        old: Option<&Value>,
        node: Node<'_>,
        path: &str,
    ) -> ControlFlow<()> {
        let Some(limits) = node.limits() else { return ControlFlow::Continue(()) };
        if value.is_null() {
            return ControlFlow::Continue(());
        }
        for rule in &limits.rules {
            if !rule.about_change && old == Some(value) {
                continue;
            }
            if !rule.about_change || rule.optional || old.is_some() {
                self.rule(rule, value, old, node, path)?;
            }
        }
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    if let Some(below) = node.declared(name).or(node.values()) {
                        let before = old.and_then(|old| old.get(name));
                        self.value(value, before, below, &join(path, name))?;
                    }
                }
            }
            Value::Array(items) => {
                let Some(below) = node.item() else { return ControlFlow::Continue(()) };
                let keyed = !matches!(node.list_type(), ListType::Atomic);
                for (index, value) in items.iter().enumerate() {
                    let before = if keyed { counterpart(value, index, old, node) } else { None };
                    self.value(value, before, below, &format!("{path}[{index}]"))?;
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn rule(
        &mut self,
        rule: &Rule,
        value: &Value,
        old: Option<&Value>,
        node: Node<'_>,
        path: &str,
    ) -> ControlFlow<()> {
        let given = |value| if rule.escaped { escape(value, node) } else { Cow::Borrowed(value) };
        let (value, old) = (given(value), old.map(given));
        let mut vars = Vars::new().with("self", &value);
        match &old {
            old if rule.optional => vars.insert_optional("oldSelf", old.as_deref()),
            Some(old) => vars.insert("oldSelf", old),
            None => {}
        }
        let here = |detail: String| finding(path, node, ErrorKind::Invalid, detail);
        let detail = match self.metered(&vars, |vars| rule.program.eval_bool(vars)) {
            Err(Exceeded::Object) => {
                let why = "validation failed due to running out of cost budget, no further validation rules will be run";
                self.errors.push(here(why.to_owned()));
                return ControlFlow::Break(());
            }
            Err(Exceeded::Evaluation) => {
                let name = &rule.name;
                self.errors.push(here(format!("'operation cancelled: actual cost limit exceeded': no further validation rules will be run due to call cost exceeds limit for rule: {name}")));
                return ControlFlow::Break(());
            }
            Ok(Ok(true)) => return ControlFlow::Continue(()),
            Ok(Ok(false)) => None,
            Ok(Err(error)) => {
                Some(format!("rule evaluation error: {error} evaluating rule: {}", rule.name))
            }
        };
        let path = format!("{path}{}", rule.field_path);
        if let Some(detail) = detail {
            self.errors.push(finding(&path, node, rule.reason, detail));
            return ControlFlow::Continue(());
        }
        match self.words(rule, &vars) {
            Ok(detail) => {
                self.errors.push(finding(&path, node, rule.reason, detail));
                ControlFlow::Continue(())
            }
            Err(detail) => {
                self.errors.push(finding(&path, node, ErrorKind::Invalid, detail));
                ControlFlow::Break(())
            }
        }
    }

    /// The message, computed where the rule asks for it; a computation that fails gives the fixed one, one that takes too
    /// much an error.
    fn words(&mut self, rule: &Rule, vars: &Vars<'_>) -> Result<String, String> {
        let Some(program) = &rule.message_expression else { return Ok(rule.message.clone()) };
        let value = self.metered(vars, |vars| program.eval(vars)).map_err(|exceeded| match exceeded {
            Exceeded::Object => "messageExpression evaluation failed due to running out of cost budget, no further validation rules will be run".to_owned(),
            Exceeded::Evaluation => format!("no further validation rules will be run due to call cost exceeds limit for messageExpression: {:?}", program.source()),
        })?;
        let text = value.ok().and_then(|value| value.as_str().map(|text| text.trim().to_owned()));
        let text = text.filter(|text| !text.is_empty() && !text.contains('\n'));
        Ok(text.unwrap_or_else(|| rule.message.clone()))
    }

    /// Evaluates with what is left. Whoever has used it all up has gone beyond it, whatever an operator made of that.
    fn metered<T>(
        &mut self,
        vars: &Vars<'_>,
        evaluate: impl FnOnce(&Vars<'_>) -> T,
    ) -> Result<T, Exceeded> {
        let left = self.left.checked_sub(EVALUATION).ok_or(Exceeded::Object)?;
        let allowed = left.min(MAX_ITERATIONS);
        let limited = vars.child().limited(allowed);
        let outcome = evaluate(&limited);
        self.left = left - (allowed - limited.left());
        match limited.left() {
            0 if allowed < MAX_ITERATIONS => Err(Exceeded::Object),
            0 => Err(Exceeded::Evaluation),
            _ => Ok(outcome),
        }
    }
}

/// What an evaluation has used up.
enum Exceeded {
    /// What all rules of the object may take.
    Object,
    /// What one evaluation may take.
    Evaluation,
}

fn finding(path: &str, node: Node<'_>, kind: ErrorKind, detail: String) -> FieldError {
    let value = match kind {
        ErrorKind::Forbidden | ErrorKind::Required => None,
        _ => Some(Value::from(type_name(node))),
    };
    let path = path.strip_prefix('.').unwrap_or(path);
    FieldError { path: shown(path).to_owned(), kind, value, detail }
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
