//! Fields that a kind does not have.
//!
//! What a caller misspells would be dropped by the API server, and often what was there before with it, while the answer
//! says that it is done. So it is refused before anything is written, the same on every cluster. What a kind leaves open,
//! such as parameters, stays open; an object whose fields the kind names has no others, also where the API server would
//! keep them.

use std::{
    collections::BTreeMap,
    sync::{LazyLock, OnceLock},
};

use curtain_platform::types::{self, crd};
use kube::core::ObjectMeta;
use serde_json::{Map, Value};

use super::{Error, Kind};

/// What an object of a caller can have; its status is not the caller's, and is not looked at.
const MEMBERS: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];
/// Where a definition has the schema of the spec.
const SPEC: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";

/// Refuses fields of `object` that `kind` does not have, unless they are in `before` already.
///
/// # Errors
/// [`Error::BadRequest`] with the path of each.
pub(super) fn refuse_in_spec(
    kind: &Kind,
    object: &Value,
    before: Option<&Value>,
) -> Result<(), Error> {
    let Some(schema) = spec_schema(kind) else { return Ok(()) };
    let all = |object: &Value| {
        let mut found = Vec::new();
        walk(&object["spec"], schema, "spec", &mut found);
        found
    };
    let unknown = all(object);
    if unknown.is_empty() {
        return Ok(());
    }
    let there = before.map(all).unwrap_or_default();
    refuse(unknown.into_iter().filter(|field| !there.contains(field)))
}

/// The schema of the spec of `kind`, derived once and not for each write.
fn spec_schema(kind: &Kind) -> Option<&'static Value> {
    static DERIVED: LazyLock<BTreeMap<&str, OnceLock<Value>>> =
        LazyLock::new(|| types::KINDS.iter().map(|info| (info.kind, OnceLock::new())).collect());
    let info = types::KINDS.iter().find(|info| info.kind == kind.kind)?;
    let schema = || crd(info).pointer_mut(SPEC).map(Value::take).unwrap_or_default();
    Some(DERIVED.get(info.kind)?.get_or_init(schema))
}

/// Refuses what `sent`, an object of a caller, has beside its spec; `metadata` is what was understood of its metadata.
///
/// # Errors
/// [`Error::BadRequest`] with the path of each.
pub(super) fn refuse_beside_spec(
    sent: &Map<String, Value>,
    metadata: &ObjectMeta,
) -> Result<(), Error> {
    let understood = serde_json::to_value(metadata).unwrap_or_default();
    let of_object = sent.keys().filter(|key| !MEMBERS.contains(&key.as_str())).cloned();
    let of_metadata = sent.get("metadata").and_then(Value::as_object).into_iter().flatten();
    let of_metadata = of_metadata
        .filter(|(key, value)| !value.is_null() && understood.get(key.as_str()).is_none())
        .map(|(key, _)| format!("metadata.{key}"));
    refuse(of_object.chain(of_metadata))
}

fn refuse(unknown: impl Iterator<Item = String>) -> Result<(), Error> {
    let unknown: Vec<_> = unknown.map(|field| format!("unknown field {field:?}")).collect();
    if unknown.is_empty() { Ok(()) } else { Err(Error::BadRequest(unknown.join(", "))) }
}

fn walk(value: &Value, schema: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let named = schema["properties"].as_object();
            let others = schema.get("additionalProperties").filter(|others| others.is_object());
            let closed = named.is_some() || is_empty_object(schema);
            for (name, value) in fields {
                let path = format!("{path}.{name}");
                match named.and_then(|named| named.get(name)).or(others) {
                    Some(below) => walk(value, below, &path, found),
                    None if closed => found.push(path),
                    None => {}
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(item, &schema["items"], &format!("{path}[{index}]"), found);
            }
        }
        _ => {}
    }
}

/// Whether `schema` is of an object without any fields.
fn is_empty_object(schema: &Value) -> bool {
    schema["type"] == "object"
        && schema.get("additionalProperties").is_none()
        && schema["x-kubernetes-preserve-unknown-fields"] != true
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::objects::kind;

    fn said(of: &str, object: &Value, before: Option<&Value>) -> String {
        refuse_in_spec(kind(of), object, before)
            .map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn a_field_is_named_by_its_path_and_what_is_open_stays_open() {
        let component = json!({"spec": {
            "owner": {"projectName": "shop", "team": "x"},
            "parameters": {"anything": {"at": "all"}},
            "traits": [{"name": "t", "parameters": {"free": 1}}, {"nam": "t"}],
        }});
        let unknown = r#"unknown field "spec.owner.team", unknown field "spec.traits[1].nam""#;
        assert_eq!(said("Component", &component, None), unknown);
        // Upstream's definition keeps what it does not know here; what it is for is named.
        let binding = json!({"spec": {
            "workloadOverrides": {"contaner": {}, "container": {"env": [{"key": "A", "vale": "1"}]}},
            "componentTypeEnvironmentConfigs": {"replicas": 1},
            "traitEnvironmentConfigs": {"t": {"free": 1}},
        }});
        let refused = said("ReleaseBinding", &binding, None);
        assert!(refused.contains(r#""spec.workloadOverrides.contaner""#), "{refused}");
        assert!(refused.contains(r#""spec.workloadOverrides.container.env[0].vale""#), "{refused}");
        assert_eq!(refused.matches("unknown field").count(), 2, "{refused}");
        let workload = json!({"spec": {"endpoints": {"http": {"type": "HTTP", "prot": 1}}}});
        let refused = said("Workload", &workload, None);
        assert_eq!(refused, r#"unknown field "spec.endpoints.http.prot""#);
    }

    #[test]
    fn what_somebody_else_left_is_no_fault_of_who_changes_something_else() {
        let before = json!({"spec": {"workloadOverrides": {"contaner": {}}}});
        let mut after = before.clone();
        after["spec"]["state"] = json!("Undeploy");
        assert_eq!(said("ReleaseBinding", &after, Some(&before)), "");
        after["spec"]["workloadOverrides"]["conteiner"] = json!({});
        let refused = said("ReleaseBinding", &after, Some(&before));
        assert_eq!(refused, r#"unknown field "spec.workloadOverrides.conteiner""#);
    }
}
