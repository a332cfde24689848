//! Claims, volumes and classes as clients make them.

use serde_json::{Value, json};

use super::harness::Cluster;

const CLAIMS: &str = "/api/v1/namespaces/default/persistentvolumeclaims";
const VOLUMES: &str = "/api/v1/persistentvolumes";
const CLASSES: &str = "/apis/storage.k8s.io/v1/storageclasses";
const MERGE: &str = "application/merge-patch+json";

fn claim(name: &str, class: Value) -> Value {
    json!({"metadata": {"name": name}, "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": class,
        "resources": {"requests": {"storage": "1Gi"}}}})
}

/// The cells of a table's only row, without its age.
async fn row(cluster: &Cluster, path: &str) -> Vec<Value> {
    let request = http::Request::get(path)
        .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
        .body(http_body_util::Full::new(bytes::Bytes::new()))
        .unwrap();
    let admin = crate::apiserver::auth::User::new("admin", ["system:masters"]);
    let reply = crate::apiserver::route::answer(cluster.server.api(), Some(admin), request).await;
    let body = http_body_util::BodyExt::collect(reply.into_body()).await.unwrap().to_bytes();
    let table: Value = serde_json::from_slice(&body).unwrap();
    let headings = table["columnDefinitions"].as_array().unwrap();
    let age = headings.iter().position(|heading| heading["name"] == "Age").unwrap();
    let mut cells = table["rows"][0]["cells"].as_array().unwrap().clone();
    cells.remove(age);
    cells
}

#[tokio::test]
async fn claims_get_the_default_class_and_are_protected() {
    let cluster = Cluster::start().await;
    assert_eq!(
        row(&cluster, &format!("{CLASSES}/standard")).await,
        [
            json!("standard (default)"),
            json!("curtain.dev/host-path"),
            json!("Delete"),
            json!("WaitForFirstConsumer"),
            json!(true)
        ]
    );
    let (code, made) = cluster.post(CLAIMS, claim("data", Value::Null)).await;
    assert_eq!((code, &made["status"]), (201, &json!({"phase": "Pending"})), "{made}");
    assert_eq!(made["spec"]["storageClassName"], "standard");
    assert_eq!(made["metadata"]["finalizers"], json!(["kubernetes.io/pvc-protection"]));
    let (_, none) = cluster.post(CLAIMS, claim("none", json!(""))).await;
    assert_eq!(none["spec"]["storageClassName"], "", "it asks for none");

    let (code, gone) =
        cluster.call("DELETE", &format!("{CLAIMS}/data"), "application/json", "").await;
    assert_eq!(code, 200);
    assert!(gone["metadata"]["deletionTimestamp"].is_string(), "it waits: {gone}");
    assert_eq!(row(&cluster, &format!("{CLAIMS}/data")).await[1], "Terminating");
}

#[tokio::test]
async fn only_bound_claims_of_a_class_that_allows_it_grow() {
    let cluster = Cluster::start().await;
    let class = json!({"metadata": {"name": "rigid"}, "provisioner": "example.com/disk"});
    assert_eq!(cluster.post(CLASSES, class).await.0, 201);
    let grow = async |name: &str| {
        let body = r#"{"spec":{"resources":{"requests":{"storage":"2Gi"}}}}"#;
        cluster.call("PATCH", &format!("{CLAIMS}/{name}"), MERGE, body).await
    };
    for (name, class) in [("soft", json!("standard")), ("hard", json!("rigid"))] {
        assert_eq!(cluster.post(CLAIMS, claim(name, class)).await.0, 201);
        let (code, refused) = grow(name).await;
        assert_eq!(
            (code, refused["message"].as_str().unwrap()),
            (
                403,
                format!("persistentvolumeclaims \"{name}\" is forbidden: Only bound persistent volume claims can be expanded").as_str()
            )
        );
        let status = r#"{"status":{"phase":"Bound","capacity":{"storage":"1Gi"}}}"#;
        let path = format!("{CLAIMS}/{name}/status");
        assert_eq!(cluster.call("PATCH", &path, MERGE, status).await.0, 200);
    }
    assert_eq!(grow("soft").await.0, 200);
    let (code, refused) = grow("hard").await;
    assert_eq!(code, 403);
    assert!(refused["message"].as_str().unwrap().contains("must support resize"), "{refused}");
}

#[tokio::test]
async fn claims_and_volumes_are_printed_as_real_servers_print_them() {
    let cluster = Cluster::start().await;
    let volume = json!({"metadata": {"name": "one"}, "spec": {"capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteMany", "ReadWriteOnce"], "hostPath": {"path": "/srv/one"},
        "storageClassName": "manual", "claimRef": {"namespace": "default", "name": "data"}}});
    let (code, made) = cluster.post(VOLUMES, volume).await;
    assert_eq!((code, &made["status"]["phase"]), (201, &json!("Pending")), "{made}");
    assert_eq!(made["metadata"]["finalizers"], json!(["kubernetes.io/pv-protection"]));
    let expected = json!([
        "one",
        "1Gi",
        "RWO,RWX",
        "Retain",
        "Pending",
        "default/data",
        "manual",
        "<unset>",
        "",
        "Filesystem"
    ]);
    assert_eq!(json!(row(&cluster, &format!("{VOLUMES}/one")).await), expected);

    let claim = claim("data", json!("manual"));
    cluster.post(CLAIMS, claim).await;
    let expected = json!(["data", "Pending", "", "", "", "manual", "<unset>", "Filesystem"]);
    assert_eq!(json!(row(&cluster, &format!("{CLAIMS}/data")).await), expected);

    let patch = json!({"spec": {"volumeName": "one"}}).to_string();
    assert_eq!(cluster.call("PATCH", &format!("{CLAIMS}/data"), MERGE, &patch).await.0, 200);
    let status = r#"{"status":{"phase":"Bound","capacity":{"storage":"1Gi"},"accessModes":["ReadWriteOnce"]}}"#;
    cluster.call("PATCH", &format!("{CLAIMS}/data/status"), MERGE, status).await;
    let expected = json!(["data", "Bound", "one", "1Gi", "RWO", "manual", "<unset>", "Filesystem"]);
    assert_eq!(json!(row(&cluster, &format!("{CLAIMS}/data")).await), expected);
}
