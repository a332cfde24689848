//! Custom resources whose schema has changed since they were written.

use serde_json::{Value, json};

use super::custom::{WIDGETS, cluster, definition, widget};
use super::harness::Cluster;

const DEFINITION: &str =
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.dev";
const MERGE: &str = "application/merge-patch+json";

/// The definition as it is later: `parts` are gone, and there are a speed and a second version with a size alone.
fn changed() -> Value {
    let mut versions = definition()["spec"]["versions"].clone();
    versions[0]["selectableFields"] = json!([{"jsonPath": ".spec.speed"}]);
    let properties =
        &mut versions[0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
    properties["speed"] = json!({"type": "integer", "default": 7});
    properties.as_object_mut().unwrap().remove("parts");
    let size = json!({"type": "object", "properties": {"size": {"type": "integer"}}});
    let schema = json!({"type": "object", "properties": {"spec": size}});
    versions.as_array_mut().unwrap().push(json!({"name": "v2", "served": true, "storage": false,
        "schema": {"openAPIV3Schema": schema}}));
    json!({"spec": {"versions": versions}})
}

/// A cluster with a widget that is older than its schema, and that widget as it was.
async fn old_widget() -> (Cluster, Value) {
    let cluster = cluster().await;
    let spec = json!({"size": 3, "parts": [{"name": "x"}]});
    let (code, made) = cluster.post(WIDGETS, widget("a", spec)).await;
    assert_eq!(code, 201, "{made}");
    let (code, after) = cluster.call("PATCH", DEFINITION, MERGE, &changed().to_string()).await;
    assert_eq!(code, 200, "{after}");
    (cluster, made)
}

fn today() -> Value {
    json!({"size": 3, "color": "red", "speed": 7})
}

#[tokio::test]
async fn what_is_stored_is_read_by_the_schema_of_today() {
    let (mut cluster, made) = old_widget().await;
    for restarted in [false, true] {
        let (_, one) = cluster.get(&format!("{WIDGETS}/a")).await;
        assert_eq!(one["spec"], today(), "restarted: {restarted}");
        assert_eq!(one["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"]);
        let (_, list) = cluster.get(&format!("{WIDGETS}?fieldSelector=spec.speed%3D7")).await;
        assert_eq!(list["items"][0]["spec"], today());
        let (_, none) = cluster.get(&format!("{WIDGETS}?fieldSelector=spec.speed%3D8")).await;
        assert_eq!(none["items"], json!([]));
        let watch = format!("{WIDGETS}?watch=true&timeoutSeconds=1&fieldSelector=spec.speed%3D7");
        let (_, added) = cluster.get(&watch).await;
        assert_eq!((&added["type"], &added["object"]["spec"]), (&json!("ADDED"), &today()));
        let (_, other) = cluster.get(&format!("{}/a", WIDGETS.replace("v1", "v2"))).await;
        assert_eq!(other["spec"], json!({"size": 3}), "a version has its own fields alone");
        cluster.restart().await;
    }
}

#[tokio::test]
async fn a_write_stores_what_was_read() {
    let (cluster, made) = old_widget().await;
    let (_, read) = cluster.get(&format!("{WIDGETS}/a")).await;
    let put = |read: &Value| {
        let body = read.to_string();
        let cluster = &cluster;
        async move { cluster.call("PUT", &format!("{WIDGETS}/a"), "application/json", &body).await }
    };
    let (code, stored) = put(&read).await;
    assert_eq!((code, &stored["spec"]), (200, &today()), "{stored}");
    assert_ne!(stored["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"]);
    assert_eq!(stored["metadata"]["generation"], made["metadata"]["generation"]);
    let (_, same) = put(&stored).await;
    assert_eq!(same["metadata"]["resourceVersion"], stored["metadata"]["resourceVersion"]);
}

#[tokio::test]
async fn who_watches_is_told_of_the_end_of_what_it_knows() {
    let (cluster, made) = old_widget().await;
    let since = made["metadata"]["resourceVersion"].as_str().unwrap();
    let faster = r#"{"spec":{"speed":9}}"#;
    let (code, _) = cluster.call("PATCH", &format!("{WIDGETS}/a"), MERGE, faster).await;
    assert_eq!(code, 200);
    let watch = format!(
        "{WIDGETS}?watch=true&timeoutSeconds=1&fieldSelector=spec.speed%3D7&resourceVersion={since}"
    );
    let (_, gone) = cluster.get(&watch).await;
    assert_eq!((&gone["type"], &gone["object"]["spec"]), (&json!("DELETED"), &today()), "{gone}");
}
