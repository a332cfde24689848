//! What a request asks for beside its document: refused with the codes of real servers.

use serde_json::json;

use super::custom::{WIDGETS, cluster, widget};

const MERGE: &str = "application/merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

#[tokio::test]
async fn options_are_checked_before_the_document() {
    let cluster = cluster().await;
    cluster.post(WIDGETS, widget("a", json!({"size": 3}))).await;
    let long = format!("fieldManager={}", "x".repeat(129));
    let one = format!("{WIDGETS}/a");
    for (method, path, content_type, query, options, field) in [
        ("POST", WIDGETS, "", "fieldValidation=Foo", "CreateOptions", "fieldValidation"),
        ("POST", WIDGETS, "", "dryRun=Some", "CreateOptions", "dryRun"),
        ("POST", WIDGETS, "", &long, "CreateOptions", "fieldManager"),
        ("PUT", &one, "", "fieldManager=a%07b", "UpdateOptions", "fieldManager"),
        ("PATCH", &one, MERGE, "dryRun=All&dryRun=Some", "PatchOptions", "dryRun"),
        ("PATCH", &one, MERGE, "force=true", "PatchOptions", "force"),
        ("PATCH", &one, APPLY, "force=true", "PatchOptions", "fieldManager"),
        ("GET", WIDGETS, "", "resourceVersionMatch=Exact", "ListOptions", "resourceVersionMatch"),
        (
            "GET",
            WIDGETS,
            "",
            "resourceVersionMatch=Foo&resourceVersion=1",
            "ListOptions",
            "resourceVersionMatch",
        ),
        ("GET", WIDGETS, "", "sendInitialEvents=true", "ListOptions", "sendInitialEvents"),
        (
            "GET",
            WIDGETS,
            "",
            "watch=1&sendInitialEvents=true",
            "ListOptions",
            "resourceVersionMatch",
        ),
        ("DELETE", &one, "", "propagationPolicy=Foo", "DeleteOptions", "propagationPolicy"),
        (
            "DELETE",
            &one,
            "",
            "propagationPolicy=Orphan&orphanDependents=true",
            "DeleteOptions",
            "propagationPolicy",
        ),
        ("DELETE", WIDGETS, "", "dryRun=Some", "DeleteOptions", "dryRun"),
    ] {
        let body = if method == "DELETE" || method == "GET" { "" } else { "{" };
        let path = format!("{path}?{query}");
        let (code, status) = cluster.call(method, &path, content_type, body).await;
        assert_eq!(code, 422, "{method} {query}: {status}");
        assert_eq!(status["details"]["kind"], options, "{status}");
        assert_eq!(status["details"]["causes"][0]["field"], field, "{status}");
    }
    let both = r#"{"propagationPolicy":"Orphan","orphanDependents":true}"#;
    assert_eq!(cluster.call("DELETE", &one, "", both).await.0, 422);
    for wrong in [r#"{"preconditions":1}"#, r#"{"dryRun":"All"}"#, "[]"] {
        assert_eq!(cluster.call("DELETE", &one, "", wrong).await.0, 400, "{wrong}");
    }
    assert_eq!(cluster.get(&one).await.0, 200, "nothing was deleted");
    assert_eq!(cluster.call("DELETE", &one, "", "null").await.0, 200);
}

#[tokio::test]
async fn lists_say_where_they_begin_once() {
    let cluster = cluster().await;
    for name in ["a", "b"] {
        cluster.post(WIDGETS, widget(name, json!({"size": 3}))).await;
    }
    let (code, all) = cluster.get(&format!("{WIDGETS}?limit=-1")).await;
    assert_eq!((code, all["items"].as_array().unwrap().len()), (200, 2));
    let (_, page) = cluster.get(&format!("{WIDGETS}?limit=1")).await;
    let token = page["metadata"]["continue"].as_str().unwrap();
    let next = format!("{WIDGETS}?limit=1&continue={token}");
    assert_eq!(cluster.get(&format!("{next}&resourceVersion=5")).await.0, 400);
    assert_eq!(cluster.get(&format!("{next}&resourceVersion=0")).await.0, 200);
    assert_eq!(cluster.get(&format!("{WIDGETS}?timeoutSeconds=x")).await.0, 400);
}

#[tokio::test]
async fn a_document_says_what_it_is_and_stays_where_it_is() {
    let cluster = cluster().await;
    cluster.post(WIDGETS, widget("a", json!({"size": 3}))).await;
    for field in ["kind", "apiVersion"] {
        let mut nameless = widget("b", json!({"size": 3}));
        nameless.as_object_mut().unwrap().remove(field);
        let (code, status) = cluster.post(WIDGETS, nameless).await;
        assert_eq!((code, &status["reason"]), (400, &json!("BadRequest")), "{status}");
    }
    // Of a built-in kind, the path says it.
    let (code, _) = cluster
        .post("/api/v1/namespaces/default/configmaps", json!({"metadata": {"name": "b"}}))
        .await;
    assert_eq!(code, 201);
    for door in ["", "/status"] {
        for moved in [r#"{"metadata":{"name":"z"}}"#, r#"{"metadata":{"namespace":"z"}}"#] {
            let path = format!("{WIDGETS}/a{door}");
            let (code, status) = cluster.call("PATCH", &path, MERGE, moved).await;
            assert_eq!((code, &status["reason"]), (400, &json!("BadRequest")), "{status}");
        }
    }
}
