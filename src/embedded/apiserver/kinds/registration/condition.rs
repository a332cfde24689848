//! CEL expressions that look at a write.

use std::sync::LazyLock;

use curtain_cel::{Env, Program};
use curtain_schema::FieldError;
use serde_json::Value;

use super::super::ValueExt;
use super::super::meta::is_qualified_name;

const MOST: usize = 64;
/// What conditions may name. There is no `authorizer`.
const VARIABLES: [&str; 3] = ["object", "oldObject", "request"];

static ENV: LazyLock<Env> = LazyLock::new(Env::kubernetes);

/// Compiles a condition.
pub(in crate::apiserver) fn compile(source: &str) -> Result<Program, curtain_cel::Error> {
    let program = Program::compile(&ENV, source)?;
    let known = || VARIABLES.map(str::to_owned).to_vec();
    program.check(|name| VARIABLES.contains(&name), known)?;
    Ok(program)
}

/// What is wrong with a list of `matchConditions`.
pub(super) fn validate(conditions: &[Value], path: &str, errors: &mut Vec<FieldError>) {
    if conditions.len() > MOST {
        errors.push(FieldError::too_many(path, conditions.len() as u64, MOST as u64));
    }
    for (index, condition) in conditions.iter().enumerate() {
        let at = |field: &str| format!("{path}[{index}].{field}");
        let (name, source) = (condition.text(&["name"]), condition.text(&["expression"]));
        if source.trim().is_empty() {
            errors.push(FieldError::required(at("expression"), ""));
        } else if let Err(why) = compile(source) {
            let why = format!("compilation failed: {why}");
            errors.push(FieldError::invalid(at("expression"), source.into(), why));
        }
        if name.is_empty() {
            errors.push(FieldError::required(at("name"), ""));
        } else if let Some(why) = is_qualified_name(name) {
            errors.push(FieldError::invalid(at("name"), name.into(), why));
        } else if conditions[..index].iter().any(|other| other["name"] == name) {
            errors.push(FieldError::duplicate(at("name"), name.into()));
        }
    }
}
