//! Healing, against the objects of a cluster.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::json;

use super::*;

const BINDINGS: &str = "/apis/openchoreo.dev/v1alpha1/namespaces/default/releasebindings";
const WORKLOADS: &str = "/apis/openchoreo.dev/v1alpha1/namespaces/default/workloads";

/// An API server: its objects by their paths, and with what status it refuses the next request of a method and path.
#[derive(Clone, Default)]
struct Cluster {
    objects: Arc<Mutex<BTreeMap<String, Value>>>,
    refusals: Arc<Mutex<Vec<(Method, String, u16)>>>,
}

impl Cluster {
    /// A service in development that was broken by `record`.
    fn add_broken(&self, service: &str, record: &Record, spec: Value) -> String {
        let path = format!("{BINDINGS}/{service}-development");
        let mut binding = json!({
            "apiVersion": "openchoreo.dev/v1alpha1",
            "kind": "ReleaseBinding",
            "metadata": {
                "name": format!("{service}-development"),
                "namespace": NAMESPACE,
                "annotations": { ANNOTATION: record.text() },
            },
            "spec": spec,
        });
        binding["spec"]["owner"] = json!({ "projectName": PROJECT, "componentName": service });
        binding["spec"]["environment"] = json!("development");
        self.objects.lock().unwrap().insert(path.clone(), binding);
        path
    }

    /// The workload of a service whose image is broken, and what is to be on record of it.
    fn add_workload(&self, service: &str) -> (String, Record) {
        let path = format!("{WORKLOADS}/{service}");
        let mut workload = json!({
            "apiVersion": "openchoreo.dev/v1alpha1",
            "kind": "Workload",
            "metadata": { "name": service, "namespace": NAMESPACE },
            "spec": { "container": { "image": "shop:1" } },
        });
        let record = curtain_demo::Image::break_it(&mut workload);
        self.objects.lock().unwrap().insert(path.clone(), workload);
        let record = Record { fault: "bad-image".to_owned(), ..record };
        (path, record)
    }

    fn refuse(&self, method: Method, path: &str, status: u16) {
        self.refusals.lock().unwrap().push((method, path.to_owned(), status));
    }

    /// What is at `pointer` of the object at `path`.
    fn has(&self, path: &str, pointer: &str) -> Value {
        self.objects.lock().unwrap()[path].pointer(pointer).cloned().unwrap_or_default()
    }

    fn client(&self) -> Client {
        let cluster = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let cluster = cluster.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let (status, answer) = cluster.answer(&head.method, head.uri.path(), &body);
                let answer = Response::builder()
                    .status(status)
                    .body(Body::from(answer.to_string().into_bytes()));
                Ok::<_, Infallible>(answer.unwrap())
            }
        });
        Client::new(service, NAMESPACE)
    }

    fn answer(&self, method: &Method, path: &str, body: &[u8]) -> (u16, Value) {
        let refused = |status: u16| {
            let reason = match status {
                403 => "Forbidden",
                404 => "NotFound",
                _ => "Conflict",
            };
            let why = json!({
                "apiVersion": "v1", "kind": "Status", "metadata": {},
                "status": "Failure", "reason": reason, "message": "refused", "code": status,
            });
            (status, why)
        };
        let mut refusals = self.refusals.lock().unwrap();
        if let Some(at) = refusals.iter().position(|(of, at, _)| of == method && at == path) {
            return refused(refusals.remove(at).2);
        }
        let mut objects = self.objects.lock().unwrap();
        if path == BINDINGS {
            let items: Vec<_> = objects
                .iter()
                .filter(|(at, _)| at.starts_with(BINDINGS))
                .map(|(_, one)| one)
                .collect();
            let list = json!({
                "apiVersion": "openchoreo.dev/v1alpha1", "kind": "ReleaseBindingList",
                "metadata": {}, "items": items,
            });
            return (200, list);
        }
        let Some(object) = objects.get_mut(path) else { return refused(404) };
        if method == Method::PUT {
            *object = serde_json::from_slice(body).unwrap();
        }
        (200, object.clone())
    }
}

#[tokio::test]
async fn what_it_puts_back_itself_nobody_else_has_mended_though_another_writer_is_faster() {
    let cluster = Cluster::default();
    let (workload, record) = cluster.add_workload("checkout");
    let binding = cluster.add_broken("checkout", &record, json!({}));
    cluster.refuse(Method::PUT, &binding, 409);
    let healing = heal_by(&cluster.client(), None, None).await.unwrap();
    let [healed] = healing.healed.as_slice() else { panic!("{healing:?}") };
    assert!(!healed.mended && healed.kept.is_empty(), "{healed:?}");
    assert_eq!(cluster.has(&workload, curtain_demo::IMAGE), "shop:1");
    assert_eq!(cluster.has(&binding, "/metadata/annotations"), json!({}));
    assert!(cluster.refusals.lock().unwrap().is_empty(), "it was too late once");
}

#[tokio::test]
async fn a_fault_whose_workload_is_gone_is_cleared_and_breaks_nothing() {
    let cluster = Cluster::default();
    let (workload, record) = cluster.add_workload("checkout");
    let binding = cluster.add_broken("checkout", &record, json!({}));
    cluster.objects.lock().unwrap().remove(&workload);
    let others = heal_by(&cluster.client(), Some("mail"), None).await.unwrap();
    assert!(others.still_broken.is_empty() && others.failed.is_none(), "{others:?}");
    let healing = heal_by(&cluster.client(), None, None).await.unwrap();
    let [healed] = healing.healed.as_slice() else { panic!("{healing:?}") };
    assert!(healed.gone && !healed.mended && healing.failed.is_none(), "{healing:?}");
    assert_eq!(cluster.has(&binding, "/metadata/annotations"), json!({}));
}

#[tokio::test]
async fn one_that_cannot_be_healed_keeps_none_of_the_others_from_it() {
    let cluster = Cluster::default();
    let (workload, record) = cluster.add_workload("checkout");
    let kept = cluster.add_broken("checkout", &record, json!({}));
    let mut spec = json!({ "spec": {} });
    let record = set(&mut spec, &[json!({ "key": "A", "value": "bad" })]);
    let record = Record { fault: "bad-config".to_owned(), ..record };
    let mail = cluster.add_broken("mail", &record, spec["spec"].take());
    for service in [None, Some("mail")] {
        cluster.refuse(Method::GET, &workload, 403);
        let healing = heal_by(&cluster.client(), service, None).await.unwrap();
        let failed = healing.failed.as_ref().expect("it may not be seen").to_string();
        assert!(failed.contains("read the workload"), "{failed}");
        let [still] = healing.still_broken.as_slice() else { panic!("{healing:?}") };
        assert_eq!((&*still.service, &*still.fault), ("checkout", "bad-image"));
        assert_eq!(healing.healed.len(), usize::from(service.is_none()), "{healing:?}");
        assert_eq!(cluster.has(&mail, "/metadata/annotations"), json!({}));
        assert!(cluster.has(&kept, "/metadata/annotations").get(ANNOTATION).is_some());
    }
}
