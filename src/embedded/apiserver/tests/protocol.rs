//! Discovery, Tables, metadata, WatchList, patches: the wire forms that clients depend on.

use futures::StreamExt as _;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use super::harness::Cluster;
use crate::apiserver::auth::User;
use crate::apiserver::route;

async fn accept(
    cluster: &Cluster,
    path: &str,
    accept: &str,
) -> http::Response<crate::apiserver::reply::Body> {
    let request = http::Request::get(path)
        .header("accept", accept)
        .body(Full::new(bytes::Bytes::new()))
        .unwrap();
    route::answer(cluster.server.api(), Some(User::new("admin", ["system:masters"])), request).await
}

async fn document(reply: http::Response<crate::apiserver::reply::Body>) -> Value {
    serde_json::from_slice(&reply.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

/// The first lines of a watch.
async fn lines(cluster: &Cluster, path: &str, accept_type: &str, count: usize) -> Vec<Value> {
    let mut stream = accept(cluster, path, accept_type).await.into_body().into_data_stream();
    let mut text = Vec::new();
    while text.iter().filter(|b| **b == b'\n').count() < count {
        let piece = tokio::time::timeout(std::time::Duration::from_secs(5), stream.next())
            .await
            .expect("an event");
        text.extend_from_slice(&piece.expect("not the end").unwrap());
    }
    text.split(|b| *b == b'\n')
        .filter(|l| !l.is_empty())
        .map(|l| serde_json::from_slice(l).unwrap())
        .collect()
}

/// Who has what is told by this tag has all there is.
async fn assert_unchanged(cluster: &Cluster, path: &str, format: &str, etag: http::HeaderValue) {
    let request = http::Request::get(path)
        .header("accept", format)
        .header("if-none-match", etag)
        .body(Full::new(bytes::Bytes::new()))
        .unwrap();
    let admin = User::new("admin", ["system:masters"]);
    let unchanged = route::answer(cluster.server.api(), Some(admin), request).await;
    assert_eq!(unchanged.status(), 304);
    assert!(!unchanged.headers().contains_key("content-type"), "it would replace the cached one");
}

#[tokio::test]
async fn aggregated_discovery_is_cacheable() {
    let cluster = Cluster::start().await;
    let v2 =
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    let reply = accept(&cluster, "/apis", v2).await;
    assert!(reply.headers()["content-type"].to_str().unwrap().contains("as=APIGroupDiscoveryList"));
    assert_eq!(reply.headers()["vary"], "Accept");
    let etag = reply.headers()["etag"].clone();
    let list = document(reply).await;
    let apps =
        list["items"].as_array().unwrap().iter().find(|g| g["metadata"]["name"] == "apps").unwrap();
    insta::assert_json_snapshot!("discovery_of_apps", apps);
    assert_unchanged(&cluster, "/apis", v2, etag).await;
    let classic = document(accept(&cluster, "/api/v1", "application/json").await).await;
    let names: Vec<_> = classic["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"pods/log") && names.contains(&"serviceaccounts/token"));
    assert!(names.contains(&"pods/exec") && names.contains(&"pods/attach"));
    assert!(names.contains(&"pods/eviction"));
    assert!(names.contains(&"pods/ephemeralcontainers"));
    assert!(!names.contains(&"pods/resize"), "what is not served is not listed");
}

#[tokio::test]
async fn openapi_lets_kubectl_validate() {
    let cluster = Cluster::start().await;
    let index = document(accept(&cluster, "/openapi/v3", "*/*").await).await;
    let url = index["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().unwrap().to_owned();
    let apps = document(accept(&cluster, &url, "*/*").await).await;
    let patch = &apps["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
    assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], "Deployment", "{patch}");
}

#[tokio::test]
async fn openapi_of_version_2_is_one_document_with_custom_kinds_too() {
    let cluster = Cluster::start().await;
    let protobuf = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
    let before = accept(&cluster, "/openapi/v2", "application/json").await;
    let etag = before.headers()["etag"].clone();
    let before = document(before).await;
    assert_eq!(before["swagger"], "2.0");
    let kinds = before["definitions"].as_object().unwrap();
    assert!(kinds.contains_key("io.k8s.api.apps.v1.Deployment"));
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let (code, made) = cluster.post(path, super::custom::definition()).await;
    assert_eq!(code, 201, "{made}");
    let json = accept(&cluster, "/openapi/v2", "application/json").await.headers()["etag"].clone();
    assert_ne!(json, etag, "there is one kind more");
    for asked in [protobuf, "application/com.github.proto-openapi.spec.v2@v1.0+protobuf;q=1, */*"] {
        let after = accept(&cluster, "/openapi/v2", asked).await;
        assert_eq!(after.headers()["content-type"], protobuf);
        let etag = after.headers()["etag"].clone();
        assert_ne!(etag, json, "what is written in another way");
        assert_unchanged(&cluster, "/openapi/v2", asked, etag).await;
        let body = after.into_body().collect().await.unwrap().to_bytes();
        let name = b"Widget";
        assert!(body.windows(name.len()).any(|part| part == name));
    }
    let (code, _) = cluster.get("/openapi/v2/other").await;
    assert_eq!(code, 404);
    let refused = accept(&cluster, "/openapi/v2", "application/yaml").await;
    assert_eq!(refused.status(), 406);
}

#[tokio::test]
async fn lists_have_other_shapes() {
    let cluster = Cluster::start().await;
    let path = "/api/v1/namespaces?fieldSelector=metadata.name%3Ddefault";
    let mut table = document(
        accept(&cluster, path, "application/json;as=Table;v=v1;g=meta.k8s.io,application/json")
            .await,
    )
    .await;
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    table["rows"][0]["object"] = Value::Null;
    table["rows"][0]["cells"][2] = "age".into();
    table["metadata"] = Value::Null;
    insta::assert_json_snapshot!("namespace_table", table);
    let metadata = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
    let list = document(accept(&cluster, path, metadata).await).await;
    assert_eq!(
        (&list["kind"], &list["items"][0]["kind"]),
        (&json!("PartialObjectMetadataList"), &json!("PartialObjectMetadata"))
    );
    assert!(list["items"][0]["spec"].is_null());
}

#[tokio::test]
async fn watch_lists_end_with_a_bookmark() {
    let cluster = Cluster::start().await;
    let query = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let events = lines(&cluster, &format!("/api/v1/namespaces?{query}"), "*/*", 5).await;
    let types: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["ADDED", "ADDED", "ADDED", "ADDED", "BOOKMARK"]);
    let mark = &events[4]["object"];
    assert_eq!(mark["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    assert_eq!((&mark["kind"], &mark["apiVersion"]), (&json!("Namespace"), &json!("v1")));
    let (code, _) = cluster.get("/api/v1/namespaces?watch=true&sendInitialEvents=true").await;
    assert_eq!(code, 422, "resourceVersionMatch is missing");
}

/// Selectors that leave out more objects, or more events, than a watch looks at in one go.
#[tokio::test]
async fn a_watch_goes_on_past_what_it_does_not_select() {
    let cluster = Cluster::start().await;
    let maps = "/api/v1/namespaces/default/configmaps";
    let (_, before) = cluster.get(maps).await;
    let create = |n: usize| {
        let cluster = &cluster;
        let body = json!({"metadata": {"name": format!("m{n:03}"), "labels": {"last": (n == 299).to_string()}}});
        async move { cluster.post(maps, body).await.0 }
    };
    let codes = futures::future::join_all((0..300).map(create)).await;
    assert!(codes.iter().all(|code| *code == 201));

    let selected = "watch=true&labelSelector=last%3Dtrue";
    let rv = before["metadata"]["resourceVersion"].as_str().unwrap();
    for from in [format!("&resourceVersion={rv}"), String::new()] {
        let events = lines(&cluster, &format!("{maps}?{selected}{from}"), "*/*", 1).await;
        assert_eq!(
            (&events[0]["type"], &events[0]["object"]["metadata"]["name"]),
            (&json!("ADDED"), &json!("m299")),
            "from {from:?}"
        );
    }
    // What happens while the initial list is being sent comes after it.
    let list = format!(
        "{maps}?{selected}&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    );
    let mut stream = accept(&cluster, &list, "*/*").await.into_body().into_data_stream();
    cluster.call("DELETE", &format!("{maps}/m299"), "", "").await;
    let mut text = String::new();
    while text.matches('\n').count() < 3 {
        let piece = tokio::time::timeout(std::time::Duration::from_secs(5), stream.next()).await;
        text.push_str(std::str::from_utf8(&piece.expect("an event").unwrap().unwrap()).unwrap());
    }
    let types: Vec<_> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["type"].clone())
        .collect();
    assert_eq!(types, ["ADDED", "BOOKMARK", "DELETED"]);

    let (code, deleted) =
        cluster.call("DELETE", &format!("{maps}?labelSelector=last"), "", "").await;
    assert_eq!((code, deleted["items"].as_array().unwrap().len()), (200, 299));
    let (code, _) = cluster.call("DELETE", &format!("{maps}?labelSelector=%zz"), "", "").await;
    assert_eq!(code, 400, "a selector that cannot be read does not select everything");
    assert_eq!(cluster.get(maps).await.1["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn lists_of_the_future_are_told_from_lists_of_the_past() {
    let cluster = Cluster::start().await;
    let exact = "/api/v1/namespaces?resourceVersionMatch=Exact&resourceVersion=999999";
    let (code, status) = cluster.get(exact).await;
    assert_eq!((code, &status["reason"]), (504, &json!("Timeout")), "{status}");
}

#[tokio::test]
async fn events_are_the_same_in_both_groups() {
    let cluster = Cluster::start().await;
    let event = json!({"metadata": {"name": "e"}, "regarding": {"kind": "Pod", "name": "p"}, "note": "hello", "reason": "R",
        "type": "Normal", "action": "A", "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "c",
        "reportingInstance": "i"});
    let (code, made) =
        cluster.post("/apis/events.k8s.io/v1/namespaces/default/events", event).await;
    assert_eq!(
        (code, &made["note"], &made["apiVersion"]),
        (201, &json!("hello"), &json!("events.k8s.io/v1")),
        "{made}"
    );
    let (_, list) = cluster
        .get("/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3Dp")
        .await;
    let core = &list["items"][0];
    assert_eq!(
        (&core["message"], &core["apiVersion"], &core["involvedObject"]["kind"]),
        (&json!("hello"), &json!("v1"), &json!("Pod"))
    );
}

#[tokio::test]
async fn dry_runs_change_nothing() {
    let cluster = Cluster::start().await;
    let maps = "/api/v1/namespaces/default/configmaps";
    let (code, dry) =
        cluster.post(&format!("{maps}?dryRun=All"), json!({"metadata": {"name": "a"}})).await;
    assert_eq!(code, 201);
    assert!(dry["metadata"]["uid"].is_string());
    assert_eq!(cluster.get(&format!("{maps}/a")).await.0, 404);
    let services = "/api/v1/namespaces/default/services";
    let service = json!({"metadata": {"name": "s"}, "spec": {"clusterIP": "10.96.7.7", "ports": [{"port": 80}]}});
    assert_eq!(cluster.post(&format!("{services}?dryRun=All"), service.clone()).await.0, 201);
    assert_eq!(cluster.post(services, service.clone()).await.0, 201, "the address was not kept");
    let mut other = service;
    other["metadata"]["name"] = "t".into();
    let (code, status) = cluster.post(services, other).await;
    assert_eq!(code, 422);
    insta::assert_json_snapshot!("address_taken", status);
}

#[tokio::test]
async fn finalizers_hold_and_release() {
    let cluster = Cluster::start().await;
    let maps = "/api/v1/namespaces/default/configmaps";
    cluster.post(maps, json!({"metadata": {"name": "a", "finalizers": ["example.dev/x"]}})).await;
    let (code, held) = cluster.call("DELETE", &format!("{maps}/a"), "application/json", "{}").await;
    assert_eq!(code, 200);
    assert!(held["metadata"]["deletionTimestamp"].is_string());
    let json_patch = "application/json-patch+json";
    let add = r#"[{"op":"add","path":"/metadata/finalizers/-","value":"example.dev/y"}]"#;
    assert_eq!(
        cluster.call("PATCH", &format!("{maps}/a"), json_patch, add).await.0,
        422,
        "no new ones now"
    );
    let remove = r#"[{"op":"test","path":"/metadata/finalizers/0","value":"example.dev/x"},{"op":"remove","path":"/metadata/finalizers/0"}]"#;
    assert_eq!(cluster.call("PATCH", &format!("{maps}/a"), json_patch, remove).await.0, 200);
    assert_eq!(cluster.get(&format!("{maps}/a")).await.0, 404);

    cluster.post(maps, json!({"metadata": {"name": "b"}})).await;
    let wrong = r#"{"preconditions":{"uid":"other"}}"#;
    let (code, status) =
        cluster.call("DELETE", &format!("{maps}/b"), "application/json", wrong).await;
    assert_eq!((code, &status["reason"]), (409, &json!("Conflict")));
    let foreground = r#"{"propagationPolicy":"Foreground"}"#;
    let (_, held) =
        cluster.call("DELETE", &format!("{maps}/b"), "application/json", foreground).await;
    assert_eq!(held["metadata"]["finalizers"], json!(["foregroundDeletion"]));
}

#[tokio::test]
async fn an_object_leaves_a_selection_as_it_was_in_it() {
    let cluster = Cluster::start().await;
    let path = "/api/v1/namespaces/default/configmaps";
    let made = |label: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"is": label},
            "metadata": {"name": "c", "labels": {"w": label}}})
    };
    let (_, first) = cluster.post(path, made("1")).await;
    let rv = first["metadata"]["resourceVersion"].as_str().unwrap();
    let (code, second) =
        cluster.call("PUT", &format!("{path}/c"), "", &made("2").to_string()).await;
    assert_eq!(code, 200, "{second}");
    let watch = format!("{path}?watch=1&labelSelector=w%3D1&resourceVersion={rv}");
    let event = lines(&cluster, &watch, "*/*", 1).await.remove(0);
    assert_eq!(
        (&event["type"], &event["object"]["data"]),
        (&json!("DELETED"), &json!({"is": "1"}))
    );
    assert_eq!(event["object"]["metadata"]["labels"], json!({"w": "1"}));
    assert_eq!(
        event["object"]["metadata"]["resourceVersion"], second["metadata"]["resourceVersion"],
        "a watch that goes on from it misses nothing"
    );
}
