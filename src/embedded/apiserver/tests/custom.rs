//! Custom resources.

use serde_json::{Value, json};

use super::harness::Cluster;

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
pub(super) const WIDGETS: &str = "/apis/example.dev/v1/namespaces/default/widgets";

pub(super) fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.dev"},
        "spec": {
            "group": "example.dev", "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"], "categories": ["all"]},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas",
                    "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector"}},
                "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "required": ["size"], "properties": {
                        "size": {"type": "integer", "minimum": 1},
                        "color": {"type": "string", "default": "red", "enum": ["red", "blue"]},
                        "replicas": {"type": "integer"},
                        "parts": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                            "items": {"type": "object", "required": ["name"], "properties": {
                                "name": {"type": "string"}, "value": {"type": "string"}}}},
                    }, "x-kubernetes-validations": [
                        {"rule": "self.size < 10 || self.color == 'blue'", "message": "big widgets are blue"},
                        {"rule": "self.color == oldSelf.color", "message": "color is immutable"}]},
                    "status": {"type": "object", "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}}},
                }}},
            }],
        },
    })
}

pub(super) fn widget(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "example.dev/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec})
}

pub(super) async fn cluster() -> Cluster {
    let cluster = Cluster::start().await;
    let (code, made) = cluster.post(DEFINITIONS, definition()).await;
    assert_eq!(code, 201, "{made}");
    let conditions = made["status"]["conditions"].as_array().unwrap();
    assert!(conditions.iter().any(|c| c["type"] == "Established" && c["status"] == "True"));
    cluster
}

#[tokio::test]
async fn objects_are_defaulted_pruned_and_validated() {
    let cluster = cluster().await;
    let (code, made) = cluster.post(WIDGETS, widget("a", json!({"size": 3, "nonsense": 1}))).await;
    assert_eq!(code, 201, "{made}");
    assert_eq!(made["spec"], json!({"size": 3, "color": "red"}));
    assert_eq!(made["metadata"]["generation"], 1);

    let (code, status) = cluster
        .post(&format!("{WIDGETS}?fieldValidation=Strict"), widget("b", json!({"size": 1, "x": 1})))
        .await;
    assert_eq!((code, status["reason"].as_str()), (400, Some("BadRequest")), "{status}");
    let (code, status) =
        cluster.post(WIDGETS, widget("b", json!({"size": 0, "color": "green"}))).await;
    assert_eq!(code, 422);
    insta::assert_json_snapshot!("invalid_widget", status);
    let (code, status) = cluster.post(WIDGETS, widget("b", json!({"size": 12}))).await;
    assert_eq!(code, 422);
    assert!(status["message"].as_str().unwrap().contains("big widgets are blue"), "{status}");

    let merge = "application/merge-patch+json";
    let (code, status) =
        cluster.call("PATCH", &format!("{WIDGETS}/a"), merge, r#"{"spec":{"color":"blue"}}"#).await;
    assert_eq!(code, 422, "{status}");
    assert!(status["message"].as_str().unwrap().contains("color is immutable"), "{status}");
    let strategic = "application/strategic-merge-patch+json";
    let (code, status) = cluster.call("PATCH", &format!("{WIDGETS}/a"), strategic, "{}").await;
    assert_eq!((code, status["reason"].as_str()), (415, Some("UnsupportedMediaType")));
}

#[tokio::test]
async fn status_and_scale_are_doors_of_their_own() {
    let cluster = cluster().await;
    cluster.post(WIDGETS, widget("a", json!({"size": 3, "replicas": 1}))).await;
    let merge = "application/merge-patch+json";
    let patch = r#"{"spec":{"size":9},"status":{"replicas":2,"selector":"a=b"}}"#;
    let (code, after) = cluster.call("PATCH", &format!("{WIDGETS}/a/status"), merge, patch).await;
    assert_eq!(
        (code, &after["spec"]["size"], &after["status"]["replicas"]),
        (200, &json!(3), &json!(2))
    );
    assert_eq!(after["metadata"]["generation"], 1);
    let (code, scale) = cluster.get(&format!("{WIDGETS}/a/scale")).await;
    assert_eq!(
        (code, &scale["spec"]["replicas"], &scale["status"]),
        (200, &json!(1), &json!({"replicas": 2, "selector": "a=b"}))
    );
    let (code, _) = cluster
        .call("PATCH", &format!("{WIDGETS}/a/scale"), merge, r#"{"spec":{"replicas":5}}"#)
        .await;
    assert_eq!(code, 200);
    let (_, after) = cluster.get(&format!("{WIDGETS}/a")).await;
    assert_eq!(
        (&after["spec"]["replicas"], &after["metadata"]["generation"]),
        (&json!(5), &json!(2))
    );
}

#[tokio::test]
async fn applied_lists_are_owned_item_by_item() {
    let cluster = cluster().await;
    let apply = "application/apply-patch+yaml";
    let path = |manager: &str| format!("{WIDGETS}/a?fieldManager={manager}");
    let one = widget("a", json!({"size": 2, "parts": [{"name": "x", "value": "1"}]})).to_string();
    let (code, made) = cluster.call("PATCH", &path("one"), apply, &one).await;
    assert_eq!(code, 201, "{made}");
    let two = widget("a", json!({"size": 2, "parts": [{"name": "y", "value": "2"}]})).to_string();
    let (code, both) = cluster.call("PATCH", &path("two"), apply, &two).await;
    assert_eq!((code, both["spec"]["parts"].as_array().unwrap().len()), (200, 2), "{both}");
    let (_, same) = cluster.call("PATCH", &path("two"), apply, &two).await;
    assert_eq!(same["metadata"]["resourceVersion"], both["metadata"]["resourceVersion"]);
    let clash = widget("a", json!({"size": 2, "parts": [{"name": "x", "value": "9"}]})).to_string();
    let (code, status) = cluster.call("PATCH", &path("three"), apply, &clash).await;
    assert_eq!(
        (code, &status["details"]["causes"][0]["reason"]),
        (409, &json!("FieldManagerConflict")),
        "{status}"
    );
    let less = widget("a", json!({"size": 2})).to_string();
    let (_, after) = cluster.call("PATCH", &path("two"), apply, &less).await;
    assert_eq!(after["spec"]["parts"], json!([{"name": "x", "value": "1"}]));
}

#[tokio::test]
async fn an_applied_field_that_would_be_lost_is_an_error() {
    let cluster = cluster().await;
    let apply = "application/apply-patch+yaml";
    let good = widget("a", json!({"size": 2})).to_string();
    let path = |query: &str| format!("{WIDGETS}/a?fieldManager=one{query}");
    assert_eq!(cluster.call("PATCH", &path(""), apply, &good).await.0, 201);
    let prefix = "failed to create typed patch object (/a; example.dev/v1, Kind=Widget): ";
    for (spec, reason) in [
        (json!({"size": 2, "nonsense": 1}), ".spec.nonsense: field not declared in schema"),
        (
            json!({"size": "x", "parts": [{"name": "p", "other": 1}]}),
            "errors:\n  .spec.parts[name=\"p\"].other: field not declared in schema\n  .spec.size: expected numeric (int or float), got string",
        ),
    ] {
        for query in
            ["", "&fieldValidation=Ignore", "&fieldValidation=Warn", "&fieldValidation=Strict"]
        {
            // Of another manager: no conflict comes before it.
            let path = path(query).replace("=one", "=two");
            let body = widget("a", spec.clone()).to_string();
            let (code, status) = cluster.call("PATCH", &path, apply, &body).await;
            assert_eq!(
                (code, status["message"].as_str()),
                (500, Some(&*format!("{prefix}{reason}")))
            );
        }
    }
    let mut managed = widget("a", json!({"size": 2}));
    managed["metadata"]["managedFields"] = json!([]);
    let (code, status) = cluster.call("PATCH", &path(""), apply, &managed.to_string()).await;
    assert_eq!((code, &status["message"]), (400, &json!("metadata.managedFields must be nil")));
    let mut other = widget("a", json!({"size": 2}));
    other["metadata"]["uid"] = "x".into();
    let (code, status) = cluster.call("PATCH", &path(""), apply, &other.to_string()).await;
    assert_eq!((code, &status["details"]["causes"][0]["field"]), (422, &json!("metadata.uid")));
    let (code, _) = cluster
        .call(
            "PATCH",
            &format!("{WIDGETS}/a"),
            "application/merge-patch+json",
            r#"{"metadata":{"uid":"x"}}"#,
        )
        .await;
    assert_eq!(code, 422);
    other["metadata"]["name"] = "b".into();
    let (code, status) = cluster
        .call("PATCH", &format!("{WIDGETS}/b?fieldManager=one"), apply, &other.to_string())
        .await;
    assert_eq!((code, &status["reason"]), (409, &json!("Conflict")), "{status}");
}

#[tokio::test]
async fn definitions_take_their_objects_along() {
    let cluster = cluster().await;
    cluster.post(WIDGETS, widget("a", json!({"size": 3}))).await;
    let (code, _) =
        cluster.call("DELETE", &format!("{DEFINITIONS}/widgets.example.dev"), "", "").await;
    assert_eq!(code, 200);
    let gone = async {
        while cluster.get(&format!("{DEFINITIONS}/widgets.example.dev")).await.0 != 404 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), gone)
        .await
        .expect("the definition goes");
    assert_eq!(cluster.get(WIDGETS).await.0, 404);
    // A later definition of the same name starts empty.
    cluster.post(DEFINITIONS, definition()).await;
    assert_eq!(cluster.get(WIDGETS).await.1["items"], json!([]));
}

#[tokio::test]
async fn a_definition_that_is_being_deleted_gets_no_more_objects() {
    let cluster = cluster().await;
    let mut held = widget("a", json!({"size": 3}));
    held["metadata"]["finalizers"] = json!(["a.b/c"]);
    cluster.post(WIDGETS, held).await;
    let itself = format!("{DEFINITIONS}/widgets.example.dev");
    let (code, answer) = cluster.call("DELETE", &itself, "", "").await;
    assert_eq!(code, 200, "{answer}");
    let reason = |definition: &Value| {
        let conditions = definition["status"]["conditions"].as_array().unwrap();
        let condition = conditions.iter().find(|c| c["type"] == "Terminating").unwrap();
        assert_eq!(condition["status"], "True");
        condition["reason"].as_str().unwrap().to_owned()
    };
    let progress = async {
        while reason(&cluster.get(&itself).await.1) != "InstanceDeletionInProgress" {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), progress).await.expect("progress");

    let (code, answer) = cluster.post(WIDGETS, widget("b", json!({"size": 3}))).await;
    assert_eq!(
        (code, &answer["message"]),
        (405, &json!("create not allowed while custom resource definition is terminating"))
    );
    assert_eq!(cluster.get(&format!("{WIDGETS}/a")).await.0, 200, "what is there is served");
    let free = json!({"metadata": {"finalizers": null}}).to_string();
    let patch = "application/merge-patch+json";
    assert_eq!(cluster.call("PATCH", &format!("{WIDGETS}/a"), patch, &free).await.0, 200);
    let gone = async {
        while cluster.get(&itself).await.0 != 404 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), gone).await.expect("it goes");
}

#[tokio::test]
async fn bad_definitions_are_refused_field_by_field() {
    let cluster = Cluster::start().await;
    let mut definition = definition();
    definition["metadata"]["name"] = "wrong".into();
    definition["spec"]["scope"] = "Galaxy".into();
    definition["spec"]["versions"][0]["storage"] = false.into();
    let (code, status) = cluster.post(DEFINITIONS, definition).await;
    assert_eq!(code, 422);
    let fields: Vec<_> = status["details"]["causes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["field"].clone())
        .collect();
    assert_eq!(fields, ["metadata.name", "spec.scope", "spec.versions"], "{status}");

    // Objects of the server's own kinds are not to be had without its checks.
    let mut roles = self::definition();
    roles["metadata"]["name"] = "roles.rbac.authorization.k8s.io".into();
    roles["spec"]["group"] = "rbac.authorization.k8s.io".into();
    roles["spec"]["names"]["plural"] = "roles".into();
    let (code, status) = cluster.post(DEFINITIONS, roles).await;
    assert_eq!(
        (code, &status["details"]["causes"][0]["field"]),
        (422, &json!("metadata.name")),
        "{status}"
    );
}
