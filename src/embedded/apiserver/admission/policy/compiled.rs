//! A policy as it is evaluated.

use curtain_cel::Program;
use serde_json::Value;

use super::super::super::kinds::{ExpressionScope, ValueExt, variable};
use super::super::conditions::Conditions;
use super::super::rules::Interest;

/// A compiled expression, or why it is none: it was written to another server, or to an earlier build.
pub(super) type Compiled = Result<Program, String>;

/// A policy with its expressions compiled.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) name: String,
    /// Uid and generation: as long as they are the same, so is this.
    pub(super) version: (String, i64),
    /// The write fails when an expression does.
    pub(super) fails: bool,
    pub(super) interest: Interest,
    /// `apiVersion` and `kind` of its parameters.
    pub(super) param_kind: Option<Value>,
    pub(super) conditions: Conditions,
    /// By the names that expressions know them by.
    pub(super) variables: Vec<(String, Program)>,
    pub(super) validations: Vec<Validation>,
    pub(super) annotations: Vec<Annotation>,
}

/// What must hold, and what is said when it does not.
#[derive(Debug)]
pub(super) struct Validation {
    pub(super) source: String,
    pub(super) program: Compiled,
    pub(super) message: String,
    pub(super) message_expression: Option<Program>,
    pub(super) reason: String,
}

/// A value for the audit log.
#[derive(Debug)]
pub(super) struct Annotation {
    pub(super) source: String,
    pub(super) program: Compiled,
}

/// Which generation of a policy this is.
pub(super) fn version(policy: &Value) -> (String, i64) {
    let generation = policy.int(&["metadata", "generation"]).unwrap_or(0);
    (policy.text(&["metadata", "uid"]).into(), generation)
}

impl Policy {
    pub(super) fn compile(policy: &Value) -> Self {
        let spec = &policy["spec"];
        let param_kind = spec.at(&["paramKind"]).cloned();
        let mut scope = ExpressionScope::of_conditions(param_kind.is_some());
        let conditions = Conditions::of(spec.list(&["matchConditions"]), &scope);
        let mut variables: Vec<(String, Program)> = Vec::new();
        for declared in spec.list(&["variables"]) {
            let name = declared.text(&["name"]);
            if variables.iter().any(|(known, _)| *known == variable(name)) {
                // A second one of that name could need itself.
                continue;
            }
            let program = scope.compile(declared.text(&["expression"]));
            scope.declare(name, program.as_ref().ok());
            // What uses one that is none fails, and says so.
            variables.extend(program.ok().map(|program| (variable(name), program)));
        }
        let compile =
            |source: &str| scope.compile(source).map_err(|why| format!("compilation error: {why}"));
        let messages = scope.of_messages();
        let validation = |validation: &Value| {
            let text = |field: &str| validation.text(&[field]);
            let source = text("expression").to_owned();
            Validation {
                program: compile(&source),
                source,
                message: text("message").trim().into(),
                message_expression: messages.compile(text("messageExpression")).ok(),
                reason: text("reason").into(),
            }
        };
        let annotation = |annotation: &Value| {
            let source = annotation.text(&["valueExpression"]).to_owned();
            Annotation { program: compile(&source), source }
        };
        Self {
            name: policy.text(&["metadata", "name"]).into(),
            version: version(policy),
            fails: spec["failurePolicy"] != "Ignore",
            interest: Interest::of_resources(&spec["matchConstraints"]),
            param_kind,
            conditions,
            variables,
            validations: spec.list(&["validations"]).iter().map(validation).collect(),
            annotations: spec.list(&["auditAnnotations"]).iter().map(annotation).collect(),
        }
    }
}
