//! `matchConditions`.

use curtain_schema::FieldError;
use serde_json::Value;

use super::super::ValueExt;
use super::super::meta::is_qualified_name;
use super::Scope;

const MOST: usize = 64;

/// What is wrong with a list of `matchConditions`.
pub(super) fn validate(
    conditions: &[Value],
    scope: &Scope,
    path: &str,
    errors: &mut Vec<FieldError>,
) {
    if conditions.len() > MOST {
        errors.push(FieldError::too_many(path, conditions.len() as u64, MOST as u64));
    }
    for (index, condition) in conditions.iter().enumerate() {
        let at = |field: &str| format!("{path}[{index}].{field}");
        let (name, source) = (condition.text(&["name"]), condition.text(&["expression"]));
        if source.trim().is_empty() {
            errors.push(FieldError::required(at("expression"), ""));
        } else {
            scope.check(source, at("expression"), errors);
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
