//! What is written again as it is changes nothing, whichever way it is written.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use super::super::time;
use super::custom::{WIDGETS, cluster};
use super::harness::Cluster;

const APPLY: &str = "application/apply-patch+yaml";

/// A document with some of its fields left out, null, or empty.
fn varied(value: &Value, dice: &mut StdRng) -> Value {
    match value {
        Value::Object(fields) => {
            let mut kept = serde_json::Map::new();
            for (name, value) in fields {
                let needed = [
                    "name",
                    "port",
                    "containerPort",
                    "size",
                    "selector",
                    "template",
                    "containers",
                    "labels",
                ];
                let value = match dice.random_range(0..10) {
                    _ if needed.contains(&name.as_str()) && value.is_number() => value.clone(),
                    _ if needed.contains(&name.as_str()) => varied(value, dice),
                    0..3 => continue,
                    3 => Value::Null,
                    4 if value.is_object() => json!({}),
                    4 if value.is_array() => json!([]),
                    _ => varied(value, dice),
                };
                kept.insert(name.clone(), value);
            }
            kept.into()
        }
        Value::Array(items) => {
            let mut kept: Vec<Value> = items.iter().map(|item| varied(item, dice)).collect();
            if kept.len() > 1 && dice.random() {
                kept.reverse();
            }
            kept.into()
        }
        Value::Number(_) if dice.random_ratio(1, 4) => json!(dice.random_range(1..4)),
        other => other.clone(),
    }
}

/// Where an object is, what it is, and its largest spec.
fn kinds() -> Vec<(String, Value, Value)> {
    let container = |name: &str| {
        json!({"name": name, "image": "i", "command": ["x"], "args": ["y"],
            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": ""}],
            "ports": [{"containerPort": 1}, {"containerPort": 2, "protocol": "UDP"}],
            "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "0.5"}},
            "readinessProbe": {"tcpSocket": {"port": 1}, "periodSeconds": 2}})
    };
    let template = json!({"metadata": {"labels": {"a": "b"}, "annotations": {"x": "y"}},
        "spec": {"containers": [container("c"), container("d")], "nodeSelector": {"k": "l"},
            "tolerations": [{"key": "t", "operator": "Exists"}], "terminationGracePeriodSeconds": 3}});
    let kind = |api_version: &str, kind: &str| json!({"apiVersion": api_version, "kind": kind});
    vec![
        (
            "/apis/apps/v1/namespaces/default/deployments/again".into(),
            kind("apps/v1", "Deployment"),
            json!({"spec": {"replicas": 2, "paused": true, "selector": {"matchLabels": {"a": "b"}}, "template": template}}),
        ),
        (
            "/api/v1/namespaces/default/services/again".into(),
            kind("v1", "Service"),
            json!({"spec": {"selector": {"a": "b"}, "sessionAffinity": "ClientIP", "publishNotReadyAddresses": true,
                "ports": [{"name": "x", "port": 1, "targetPort": 3}, {"name": "y", "port": 2, "protocol": "UDP"}]}}),
        ),
        (
            "/api/v1/namespaces/default/configmaps/again".into(),
            kind("v1", "ConfigMap"),
            json!({"data": {"a": "1", "b": ""}, "binaryData": {"c": "AA=="}}),
        ),
        (
            format!("{WIDGETS}/again"),
            kind("example.dev/v1", "Widget"),
            json!({"spec": {"size": 3, "color": "red", "replicas": 1,
                "parts": [{"name": "a", "value": "b"}, {"name": "c", "value": "d"}]}}),
        ),
    ]
}

async fn rewrite(cluster: &Cluster, path: &str, document: &Value, said: &str) {
    let (_, live) = cluster.get(path).await;
    let forced = format!("{path}?fieldManager=one&force=true");
    let writes = [
        ("PATCH", forced.as_str(), APPLY, document.to_string()),
        ("PUT", path, "application/json", live.to_string()),
        ("PATCH", path, "application/merge-patch+json", "{}".into()),
        ("PATCH", path, "application/json-patch+json", "[]".into()),
    ];
    for (method, path, kind, body) in writes {
        let (code, after) = cluster.call(method, path, kind, &body).await;
        assert_eq!(code, 200, "{said}: {after}");
        assert_eq!(after, live, "{method} {kind} of {said}");
    }
}

#[tokio::test]
async fn what_is_applied_replaced_or_patched_as_it_is_keeps_its_version() {
    let cluster = cluster().await;
    let mut dice = StdRng::seed_from_u64(1);
    let (mut done, mut refused) = (0, 0);
    for (path, kind, full) in kinds() {
        for _ in 0..25 {
            let mut document = varied(&full, &mut dice);
            for field in ["apiVersion", "kind"] {
                document[field] = kind[field].clone();
            }
            document["metadata"] = varied(
                &json!({"name": "again", "labels": {"l": "1"}, "annotations": {"n": "1"}, "finalizers": ["a.b/c"]}),
                &mut dice,
            );
            let manager = ["one", "two"].choose(&mut dice).unwrap();
            let force = format!("{path}?fieldManager={manager}&force=true");
            let said = document.to_string();
            let (code, after) = cluster.call("PATCH", &force, APPLY, &said).await;
            // Some of what is left out has to be there.
            if code == 422 {
                refused += 1;
                continue;
            }
            assert!(code == 200 || code == 201, "{said}: {after}");
            done += 1;
            let again =
                cluster.call("PATCH", &force.replace("&force=true", ""), APPLY, &said).await;
            assert_eq!(again, (200, after), "{said}");
            if *manager == "one" {
                rewrite(&cluster, &path, &document, &said).await;
            }
        }
    }
    assert!(done > 40, "{done} were applied and {refused} refused");
}

#[tokio::test]
async fn what_is_applied_and_not_stored_changes_nothing_later_either() {
    let cluster = cluster().await;
    let applied = json!({"apiVersion": "example.dev/v1", "kind": "Widget", "metadata": {"name": "again"},
        "spec": {"size": 3, "color": null, "parts": [{"name": "a", "value": null}]}});
    let path = format!("{WIDGETS}/again?fieldManager=one");
    let (code, first) = cluster.call("PATCH", &path, APPLY, &applied.to_string()).await;
    assert_eq!(code, 201, "{first}");
    let then = time::now();
    // Times are in whole seconds.
    while time::now() == then {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let later = cluster.call("PATCH", &path, APPLY, &applied.to_string()).await;
    assert_eq!(later, (200, first));
}
