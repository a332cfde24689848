//! References to an object by group, kind and name.

use curtain_schema::FieldError;
use serde_json::Value;

use super::super::ValueExt;
use super::super::meta::{is_dns_subdomain, is_path_segment};

/// What is wrong with a reference to an object in the same namespace, or in none.
pub(super) fn validate(reference: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let at = |field: &str| format!("{path}.{field}");
    if let Some(group) = reference.at(&["apiGroup"]).and_then(Value::as_str)
        && let Some(why) = is_dns_subdomain(group)
    {
        errors.push(FieldError::invalid(at("apiGroup"), group.into(), why));
    }
    for field in ["kind", "name"] {
        let value = reference.text(&[field]);
        if value.is_empty() {
            errors.push(FieldError::required(at(field), format!("{field} is required")));
        } else if let Some(why) = is_path_segment(value) {
            errors.push(FieldError::invalid(at(field), value.into(), why));
        }
    }
}
