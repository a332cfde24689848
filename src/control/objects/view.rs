//! How callers see an object.

use serde_json::{Map, Value, json};

use super::Object;

/// Annotation: a name for people.
pub const DISPLAY_NAME: &str = "openchoreo.dev/display-name";
/// Annotation: a sentence for people.
pub const DESCRIPTION: &str = "openchoreo.dev/description";

/// What REST answers: `apiVersion`, `kind`, `metadata` without the API server's bookkeeping, `spec`, `status`.
pub fn represent(object: &Object) -> Value {
    let mut shown = Map::new();
    if let Some(types) = &object.types {
        shown.insert("apiVersion".to_owned(), json!(types.api_version));
        shown.insert("kind".to_owned(), json!(types.kind));
    }
    let from = &object.metadata;
    let mut metadata = Map::new();
    let mut put = |key: &str, value: Value| {
        if !value.is_null() {
            metadata.insert(key.to_owned(), value);
        }
    };
    put("name", json!(from.name));
    put("namespace", json!(from.namespace));
    put("uid", json!(from.uid));
    // By which a change that was proposed for the spec as it was is told from one of what it is now.
    put("generation", json!(from.generation));
    put("creationTimestamp", json!(from.creation_timestamp));
    put("deletionTimestamp", json!(from.deletion_timestamp));
    put("deletionGracePeriodSeconds", json!(from.deletion_grace_period_seconds));
    put("labels", json!(from.labels));
    put("annotations", json!(from.annotations));
    shown.insert("metadata".to_owned(), Value::Object(metadata));
    // A namespace is only a name to callers; its spec is the cluster's own.
    let is_namespace = object.types.as_ref().is_some_and(|types| types.kind == "Namespace");
    for part in ["spec", "status"] {
        if is_namespace && part == "spec" {
            continue;
        }
        if let Some(value) = object.data.get(part) {
            shown.insert(part.to_owned(), value.clone());
        }
    }
    Value::Object(shown)
}

/// The string at `path`, empty when there is none.
pub fn text_at(value: &Value, path: &[&str]) -> String {
    let found = path.iter().try_fold(value, |value, key| value.get(key));
    found.and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// `Ready` when the condition Ready is true, else its reason; nothing without that condition.
pub fn condition_status(object: &Object) -> Option<String> {
    let conditions = object.data.get("status")?.get("conditions")?.as_array()?;
    let ready = conditions.iter().find(|condition| condition["type"] == "Ready")?;
    if ready["status"] == "True" {
        return Some("Ready".to_owned());
    }
    Some(ready["reason"].as_str().unwrap_or("NotReady").to_owned())
}

/// The time of creation in UTC with seconds, as `2026-11-22T13:00:00Z`.
pub fn created_at(object: &Object) -> Option<String> {
    let time = object.metadata.creation_timestamp.as_ref()?;
    Some(json!(time).as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> Object {
        serde_json::from_value(json!({
            "apiVersion": "openchoreo.dev/v1alpha1",
            "kind": "Component",
            "metadata": {
                "name": "web", "namespace": "default", "uid": "1", "resourceVersion": "5",
                "generation": 2, "creationTimestamp": "2026-11-22T13:00:00Z",
                "labels": {"a": "b"}, "finalizers": ["x"],
                "managedFields": [{"manager": "kubectl"}],
            },
            "spec": {"owner": {"projectName": "shop"}},
            "status": {"conditions": [{"type": "Ready", "status": "False", "reason": "NoWorkload"}]},
        }))
        .expect("object")
    }

    #[test]
    fn bookkeeping_is_not_shown() {
        insta::assert_json_snapshot!(represent(&object()));
    }

    #[test]
    fn status_is_the_reason_until_ready() {
        let mut object = object();
        assert_eq!(condition_status(&object).as_deref(), Some("NoWorkload"));
        object.data["status"]["conditions"][0]["status"] = json!("True");
        assert_eq!(condition_status(&object).as_deref(), Some("Ready"));
        object.data["status"] = json!({});
        assert_eq!(condition_status(&object), None);
        assert_eq!(created_at(&object).as_deref(), Some("2026-11-22T13:00:00Z"));
    }
}
