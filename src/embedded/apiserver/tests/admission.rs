//! Every write of a client passes the plugins, once in each pass, and is not done when one refuses it.

use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::harness::Cluster;
use crate::apiserver::ApiError;
use crate::apiserver::admission::{Admission, Operation, Plugin, Round};
use crate::apiserver::kinds::ValueExt;

/// Labels what is created, refuses what is annotated `refused`, and writes down what it is asked.
#[derive(Clone, Default)]
struct Witness(Arc<Mutex<Vec<String>>>);

impl Witness {
    fn note(&self, pass: &str, admission: &Admission<'_>) {
        if admission.user.name != "admin" {
            return;
        }
        let place = [admission.resource.plural.as_str(), admission.subresource].join("/");
        let dry = if admission.dry_run { " dry" } else { "" };
        let line = format!("{pass} {:?} {}{dry}", admission.operation, place.trim_end_matches('/'));
        self.0.lock().unwrap().push(line);
    }

    fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Plugin for Witness {
    fn change<'a>(
        &'a self,
        admission: &'a Admission<'a>,
        _: &'a mut Round,
        document: &'a mut Value,
        _: Option<&'a Value>,
    ) -> BoxFuture<'a, Result<(), ApiError>> {
        Box::pin(async move {
            self.note("change", admission);
            if admission.operation == Operation::Create && admission.subresource.is_empty() {
                document.sub("metadata").sub("labels")["seen"] = "true".into();
            }
            Ok(())
        })
    }

    fn check<'a>(
        &'a self,
        admission: &'a Admission<'a>,
        document: Option<&'a Value>,
        old: Option<&'a Value>,
    ) -> BoxFuture<'a, Result<(), ApiError>> {
        Box::pin(async move {
            self.note("check", admission);
            let refused = ["metadata", "annotations", "refused"];
            match document.or(old).and_then(|d| d.at(&refused)) {
                Some(_) => Err(ApiError::plain(403, "Forbidden", "refused by the witness")),
                None => Ok(()),
            }
        })
    }
}

const MERGE: &str = "application/merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

#[tokio::test]
async fn every_write_passes_both_passes() {
    let witness = Witness::default();
    let cluster = Cluster::start_with(vec![Box::new(witness.clone())]).await;
    let json = "application/json";
    let map = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"k":"v"}}"#;
    let template = json!({"metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let deployment = json!({"metadata": {"name": "d"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}});
    let deployment = deployment.to_string();
    let pod =
        r#"{"metadata":{"generateName":"p-"},"spec":{"containers":[{"name":"c","image":"i"}]}}"#;
    let one = format!("{MAPS}/a");
    let web = format!("{DEPLOYMENTS}/d");
    let created =
        |what: &str| vec![format!("change Create {what}"), format!("check Create {what}")];
    let updated =
        |what: &str| vec![format!("change Update {what}"), format!("check Update {what}")];
    let deleted = |what: &str| vec![format!("check Delete {what}")];
    let patch = r#"{"data":{"k":"w"}}"#;
    for (method, path, content_type, body, expected) in [
        ("POST", format!("{MAPS}?dryRun=All"), json, map, created("configmaps dry")),
        ("POST", MAPS.into(), json, map, created("configmaps")),
        ("PUT", one.clone(), json, map, updated("configmaps")),
        ("PATCH", format!("{one}?dryRun=All"), MERGE, patch, updated("configmaps dry")),
        ("PATCH", one.clone(), MERGE, patch, updated("configmaps")),
        ("PATCH", format!("{one}?fieldManager=m&force=true"), APPLY, map, updated("configmaps")),
        (
            "PATCH",
            format!("{MAPS}/b?fieldManager=m"),
            APPLY,
            &map.replace("\"a\"", "\"b\""),
            created("configmaps"),
        ),
        ("DELETE", format!("{one}?dryRun=All"), json, "", deleted("configmaps dry")),
        ("DELETE", one.clone(), json, "", deleted("configmaps")),
        (
            "DELETE",
            format!("{MAPS}?fieldSelector=metadata.name%3Db"),
            json,
            "",
            deleted("configmaps"),
        ),
        ("POST", DEPLOYMENTS.into(), json, &deployment, created("deployments")),
        (
            "PATCH",
            format!("{web}/scale"),
            MERGE,
            r#"{"spec":{"replicas":2}}"#,
            updated("deployments/scale"),
        ),
        (
            "PATCH",
            format!("{web}/status"),
            MERGE,
            r#"{"status":{"replicas":2}}"#,
            updated("deployments/status"),
        ),
        ("POST", "/api/v1/namespaces/default/pods".into(), json, pod, created("pods")),
        (
            "POST",
            "/api/v1/namespaces/default/serviceaccounts/default/token".into(),
            json,
            r#"{"spec":{}}"#,
            created("serviceaccounts/token"),
        ),
    ] {
        witness.seen();
        let (code, answer) = cluster.call(method, &path, content_type, body).await;
        assert!(matches!(code, 200 | 201), "{method} {path}: {answer}");
        assert_eq!(witness.seen(), expected, "{method} {path}");
        if method == "POST" && !path.ends_with("/token") {
            assert_eq!(answer["metadata"]["labels"]["seen"], "true", "{path}");
        }
    }
    let (_, pods) = cluster.get("/api/v1/namespaces/default/pods").await;
    let name = pods["items"][0]["metadata"]["name"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/namespaces/default/pods/{name}/binding");
    witness.seen();
    assert_eq!(cluster.post(&path, json!({"target": {"name": "n"}})).await.0, 201);
    assert_eq!(witness.seen(), created("pods/binding"));
    let path = format!("/api/v1/namespaces/default/pods/{name}/eviction");
    assert_eq!(cluster.post(&path, json!({"metadata": {"name": name}})).await.0, 201);
    assert_eq!(witness.seen(), created("pods/eviction"));
}

#[tokio::test]
async fn what_is_refused_is_not_done_and_keeps_nothing() {
    let cluster = Cluster::start_with(vec![Box::new(Witness::default())]).await;
    let services = "/api/v1/namespaces/default/services";
    let service = |name: &str, annotations: Value| {
        json!({"metadata": {"name": name, "annotations": annotations},
            "spec": {"clusterIP": "10.96.7.7", "ports": [{"port": 1}]}})
    };
    let (code, status) = cluster.post(services, service("a", json!({"refused": ""}))).await;
    assert_eq!((code, &status["message"]), (403, &json!("refused by the witness")));
    assert_eq!(cluster.get(&format!("{services}/a")).await.0, 404);
    let (code, made) = cluster.post(services, service("b", json!({}))).await;
    assert_eq!((code, &made["spec"]["clusterIP"]), (201, &json!("10.96.7.7")), "given back");

    cluster.post(MAPS, json!({"metadata": {"name": "a"}})).await;
    let one = format!("{MAPS}/a");
    let refused = r#"{"metadata":{"annotations":{"refused":""}}}"#;
    assert_eq!(cluster.call("PATCH", &one, MERGE, refused).await.0, 403);
    assert!(cluster.get(&one).await.1["metadata"]["annotations"].is_null());
}
