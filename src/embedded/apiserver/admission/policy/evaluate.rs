//! One evaluation of a policy.

use curtain_cel::{Program, Value, Vars};

use super::compiled::{Annotation, Compiled, Policy, Validation};

/// Longer messages than this are not taken from expressions.
const LONGEST_MESSAGE: usize = 5 << 10;

/// What does not hold, or failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) message: String,
    /// Of the refusal, empty for the usual one.
    pub(super) reason: String,
    /// It counts whatever the binding says.
    pub(super) always: bool,
}

impl Finding {
    fn failed(message: String) -> Self {
        Self { message, reason: String::new(), always: false }
    }
}

/// Everything that a policy has to object, in its order.
pub(super) fn findings(policy: &Policy, vars: &Vars<'_>) -> Vec<Finding> {
    let failed = |message| policy.fails.then(|| Finding::failed(message));
    match policy.conditions.hold(vars) {
        Ok(true) => {}
        Ok(false) => return Vec::new(),
        Err(why) => return failed(why).into_iter().collect(),
    }
    let mut findings = Vec::new();
    for validation in &policy.validations {
        match run(&validation.program, &validation.source, vars).map(|value| value.as_bool()) {
            Ok(Some(true)) => {}
            // As real servers, whatever is not true is false.
            Ok(_) => findings.push(denial(validation, vars)),
            Err(why) => findings.extend(failed(why)),
        }
    }
    for annotation in &policy.annotations {
        findings.extend(audited(annotation, policy, vars));
    }
    findings
}

fn run(program: &Compiled, source: &str, vars: &Vars<'_>) -> Result<Value, String> {
    let program = program.as_ref().map_err(Clone::clone)?;
    program
        .eval(vars)
        .map_err(|why| format!("expression '{source}' resulted in error: {}", why.message()))
}

fn denial(validation: &Validation, vars: &Vars<'_>) -> Finding {
    let computed = validation.message_expression.as_ref();
    let message = computed.and_then(|program| computed_message(program, vars));
    let message = message.unwrap_or_else(|| match validation.message.as_str() {
        "" => format!("failed expression: {}", validation.source.trim()),
        message => message.to_owned(),
    });
    Finding { message, reason: validation.reason.clone(), always: false }
}

/// A text on one line that is not too long; anything else is no message.
fn computed_message(program: &Program, vars: &Vars<'_>) -> Option<String> {
    let value = program.eval(vars).inspect_err(|why| {
        tracing::debug!(%why, "a message of an admission policy cannot be computed");
    });
    let value = value.ok()?;
    let text = value.as_str()?.trim();
    let fine = !text.is_empty() && text.len() <= LONGEST_MESSAGE && !text.contains('\n');
    fine.then(|| text.to_owned())
}

/// A value for the audit log must be text or nothing.
fn audited(annotation: &Annotation, policy: &Policy, vars: &Vars<'_>) -> Option<Finding> {
    let message = match run(&annotation.program, &annotation.source, vars) {
        Ok(value) if value.as_str().is_some() || value == serde_json::Value::Null.into() => {
            return None;
        }
        Ok(value) => format!(
            "valueExpression '{}' resulted in unsupported return type: {}. Return type must be either string or null.",
            annotation.source,
            value.type_name()
        ),
        Err(_) if !policy.fails => return None,
        Err(why) => why,
    };
    Some(Finding { always: true, ..Finding::failed(message) })
}
