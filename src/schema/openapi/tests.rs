use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;

mod swagger;

const ALL: &[&str] =
    &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

fn deployments<'a>() -> Resource<'a> {
    Resource {
        group: "apps",
        version: "v1",
        kind: "Deployment",
        plural: "deployments",
        namespaced: true,
        verbs: ALL,
        subresources: &[
            Subresource {
                name: "status",
                verbs: &["get", "patch", "update"],
                kind: ("apps", "v1", "Deployment"),
            },
            Subresource {
                name: "scale",
                verbs: &["get", "patch", "update"],
                kind: ("autoscaling", "v1", "Scale"),
            },
        ],
        custom: None,
    }
}

fn parsed(group: &str, version: &str, resources: &[Resource<'_>]) -> Value {
    serde_json::from_slice(&document(group, version, resources)).expect("valid JSON")
}

/// Every `$ref` names a component that is there.
fn assert_closed(document: &Value) {
    fn refs<'v>(value: &'v Value, found: &mut BTreeSet<&'v str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|v| refs(v, found));
            }
            Value::Array(items) => items.iter().for_each(|v| refs(v, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    refs(document, &mut found);
    assert!(!found.is_empty());
    for name in found {
        let name = name.strip_prefix("#/components/schemas/").expect("a component");
        assert!(document["components"]["schemas"].get(name).is_some(), "{name}");
    }
}

#[test]
fn the_patch_operation_is_what_kubectl_looks_for() {
    let document = parsed("apps", "v1", &[deployments()]);
    assert_closed(&document);
    let patch =
        &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
    assert_eq!(
        patch["x-kubernetes-group-version-kind"],
        json!({"group":"apps","version":"v1","kind":"Deployment"})
    );
    let names: Vec<&str> = patch["parameters"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|p| p["name"].as_str())
        .collect();
    assert!(names.contains(&"fieldValidation"), "{names:?}");
    assert!(
        document["paths"]
            .get("/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale")
            .is_some()
    );
    let list = &document["paths"]["/apis/apps/v1/deployments"]["get"];
    assert_eq!(list["x-kubernetes-action"], "list");
}

#[test]
fn schemas_carry_the_kinds_and_the_merge_keys() {
    let document = parsed("apps", "v1", &[deployments()]);
    let schemas = &document["components"]["schemas"];
    assert_eq!(
        schemas["io.k8s.api.apps.v1.Deployment"]["x-kubernetes-group-version-kind"],
        json!([{"group":"apps","version":"v1","kind":"Deployment"}])
    );
    let containers = &schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
    assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
    assert_eq!(containers["x-kubernetes-list-map-keys"], json!(["name"]));
    assert_eq!(
        schemas["io.k8s.api.apps.v1.DeploymentList"]["properties"]["items"]["items"],
        json!({"$ref":"#/components/schemas/io.k8s.api.apps.v1.Deployment"})
    );
}

#[test]
fn custom_resources_are_published_as_declared() {
    let schema =
        json!({"type":"object","description":"A thing.","properties":{"spec":{"type":"object"}}});
    let resource = Resource {
        group: "example.dev",
        version: "v1alpha1",
        kind: "Thing",
        plural: "things",
        namespaced: false,
        verbs: ALL,
        subresources: &[],
        custom: Some(&schema),
    };
    let document = parsed("example.dev", "v1alpha1", &[resource, deployments()]);
    assert_closed(&document);
    let thing = &document["components"]["schemas"]["dev.example.v1alpha1.Thing"];
    assert_eq!(thing["description"], "A thing.");
    assert!(thing["properties"]["metadata"]["allOf"][0]["$ref"].is_string());
    let paths: Vec<&String> =
        document["paths"].as_object().into_iter().flatten().map(|(path, _)| path).collect();
    assert_eq!(
        paths,
        ["/apis/example.dev/v1alpha1/things", "/apis/example.dev/v1alpha1/things/{name}"]
    );
    let patch = &document["paths"]["/apis/example.dev/v1alpha1/things/{name}"]["patch"];
    let content = patch["requestBody"]["content"].as_object().expect("patch types");
    assert!(content.contains_key("application/merge-patch+json"));
    assert!(!content.contains_key("application/strategic-merge-patch+json"), "{content:?}");
}

#[test]
fn the_index_names_documents_by_content() {
    let index: Value =
        serde_json::from_slice(&index([("api/v1", hash(b"x"))])).expect("valid JSON");
    assert_eq!(
        index["paths"]["api/v1"]["serverRelativeURL"],
        format!("/openapi/v3/api/v1?hash={:016X}", hash(b"x"))
    );
    assert_ne!(hash(b"x"), hash(b"y"));
    assert_eq!(path("", "v1"), "api/v1");
    assert_eq!(path("apps", "v1"), "apis/apps/v1");
}
