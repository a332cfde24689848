//! A webhook: an HTTPS server that answers reviews by the path they are sent to, and what registers it.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio_rustls::TlsAcceptor;

use super::harness::{Cluster, Pki};
use crate::apiserver::kinds::ValueExt;

pub(super) const HOOKS: &str = "/apis/admissionregistration.k8s.io/v1";

/// Answers reviews by the path they are sent to, and keeps the requests.
pub(super) struct Hooks {
    pub(super) url: String,
    bundle: String,
    seen: Arc<Mutex<Vec<(String, Value)>>>,
}

pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn add(path: &str, value: Value) -> Value {
    let patch = json!([{"op": "add", "path": path, "value": value}]);
    json!({"allowed": true, "patchType": "JSONPatch", "patch": encode(patch.to_string())})
}

fn verdict(path: &str, request: &Value) -> Value {
    match path {
        "/allow" => json!({"allowed": true, "warnings": ["mind the gap", "mind the gap"]}),
        "/deny" => {
            json!({"allowed": false, "status": {"code": 403, "reason": "Forbidden", "message": "not today"}})
        }
        "/plain" => json!({"allowed": false}),
        "/label" => add("/metadata/labels", json!({"hooked": "yes"})),
        "/sidecar" => add(
            "/spec/containers/-",
            json!({"name": "side", "image": "side:1", "ports": [{"containerPort": 80}]}),
        ),
        "/count" => {
            let containers = request.list(&["object", "spec", "containers"]).len();
            add("/metadata/annotations", json!({"containers": containers.to_string()}))
        }
        "/scale" => add("/spec/replicas", json!(7)),
        "/phase" => add("/status/phase", json!("Succeeded")),
        "/huge" => json!({"allowed": true, "padding": "x".repeat(4 << 20)}),
        "/rename" => add("/metadata/name", json!("other")),
        "/break" => add("/data", json!(5)),
        _ => Value::Null,
    }
}

impl Hooks {
    pub(super) async fn start() -> Self {
        let pki = Pki::new();
        let acceptor = TlsAcceptor::from(Arc::new(pki.tls()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let seen = Arc::<Mutex<Vec<(String, Value)>>>::default();
        let kept = seen.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, kept) = (acceptor.clone(), kept.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |request| answer(request, kept.clone()));
                    let http = hyper::server::conn::http1::Builder::new();
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { url, bundle: encode(&pki.ca), seen }
    }

    pub(super) fn seen(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    pub(super) fn hook(&self, path: &str, resource: &str, change: Value) -> Value {
        let mut hook = json!({"name": format!("{}.example.com", path.replace('/', "h-")),
            "clientConfig": {"url": format!("{}{path}", self.url), "caBundle": self.bundle},
            "rules": [{"operations": ["CREATE", "UPDATE", "DELETE"], "apiGroups": [""], "apiVersions": ["v1"],
                "resources": [resource]}],
            "sideEffects": "None", "admissionReviewVersions": ["v1"], "timeoutSeconds": 5});
        curtain_json::merge_patch(&mut hook, &change);
        hook
    }
}

async fn answer(
    request: http::Request<Incoming>,
    kept: Arc<Mutex<Vec<(String, Value)>>>,
) -> Result<http::Response<Full<bytes::Bytes>>, hyper::Error> {
    let path = request.uri().path().to_owned();
    if path == "/slow" {
        std::future::pending::<()>().await;
    }
    let body = request.into_body().collect().await?.to_bytes();
    let review: Value = serde_json::from_slice(&body).unwrap();
    let mut response = verdict(&path, &review["request"]);
    response["uid"] = review["request"]["uid"].clone();
    kept.lock().unwrap().push((path, review["request"].clone()));
    let answer = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
    Ok(http::Response::new(Full::new(answer.to_string().into())))
}

pub(super) async fn register(cluster: &Cluster, kind: &str, name: &str, hooks: Value) {
    let path = format!("{HOOKS}/{}webhookconfigurations", kind.to_lowercase());
    let config = json!({"metadata": {"name": name}, "webhooks": hooks});
    let (code, made) = cluster.post(&path, config).await;
    assert_eq!(code, 201, "{made}");
}
