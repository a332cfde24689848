//! What others make of a document is held to what the write may change, and to the shape of its kind.

use serde_json::Value;

use super::super::handle::{keep_identity, tidy};
use super::super::kinds::{Schema, ValueExt};
use super::{Admission, seen};

/// The changed document, in shape, with its defaults and the identity that it had.
pub(super) fn amended(
    admission: &Admission<'_>,
    before: &Value,
    mut changed: Value,
) -> Result<Value, String> {
    if !changed.is_object() {
        return Err("the patch makes it something else than an object".into());
    }
    let resource = admission.resource;
    if let Some((group, version, kind)) = seen::speaks(admission) {
        if let Some(node) = curtain_schema::builtin::root(group, version, kind) {
            curtain_schema::builtin::decode(&mut changed, node).map_err(|why| why.to_string())?;
        }
        return Ok(changed);
    }
    match &resource.schema {
        Schema::Builtin(node) => curtain_schema::builtin::decode(&mut changed, *node),
        Schema::Structural(schema) => schema.prune(&mut changed),
    }
    .map_err(|why| why.to_string())?;
    let mut changed = match admission.subresource {
        "status" => {
            let mut only = before.clone();
            replace(&mut only, &changed, "status");
            if !resource.is_custom() {
                for field in ["labels", "annotations"] {
                    replace(only.sub("metadata"), &changed["metadata"], field);
                }
            }
            only
        }
        _ => {
            if resource.has_status && !resource.strategy.status_on_create {
                replace(&mut changed, before, "status");
            }
            changed
        }
    };
    if let Schema::Structural(schema) = &resource.schema {
        schema.default(&mut changed);
    }
    (resource.strategy.default)(&mut changed);
    keep_identity(&mut changed, before);
    for field in ["name", "namespace", "managedFields"] {
        replace(changed.sub("metadata"), &before["metadata"], field);
    }
    for field in ["apiVersion", "kind"] {
        replace(&mut changed, before, field);
    }
    tidy(&mut changed);
    Ok(changed)
}

/// Makes a field what it is in the other document.
fn replace(document: &mut Value, other: &Value, field: &str) {
    match other.get(field) {
        Some(value) => document[field] = value.clone(),
        None => drop(document.drop_field(field)),
    }
}
