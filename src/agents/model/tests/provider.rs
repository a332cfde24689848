//! A provider that answers what a file says, and keeps what it was asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

use super::KEY;
use crate::model::{Endpoint, Secret};

/// One answer of the script; a text is sent as it is.
#[derive(Debug, Clone, Deserialize)]
struct Scripted {
    #[serde(default = "success")]
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Value,
}

fn success() -> u16 {
    200
}

/// What was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
}

#[derive(Clone)]
pub(crate) struct Provider {
    name: String,
    address: String,
    script: Arc<Mutex<std::vec::IntoIter<Scripted>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Provider {
    /// Plays `tests/NAME.json`; the name begins with the kind of API.
    pub(crate) async fn playing(name: &str) -> Provider {
        let path = format!("{}/model/tests/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let script = std::fs::read_to_string(path).expect("a script");
        let script: Vec<Scripted> = serde_json::from_str(&script).expect("a script");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let provider = Provider {
            name: name.into(),
            address: listener.local_addr().expect("an address").to_string(),
            script: Arc::new(Mutex::new(script.into_iter())),
            asked: Arc::default(),
        };
        let router = Router::new().fallback(play).with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        provider
    }

    /// Name and base URL of the model.
    pub(crate) fn settings(&self) -> (String, String) {
        let (kind, _) = self.name.split_once('_').expect("a kind");
        (format!("{kind}:model-x"), format!("http://{}/v1", self.address))
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        let (name, base) = self.settings();
        Endpoint::parse(&name, Some(&base), Secret::new(KEY)).expect("valid")
    }

    /// All that was asked; the script must have been played to its end.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        assert_eq!(self.script.lock().unwrap().len(), 0, "not all of {} was asked for", self.name);
        self.asked_so_far()
    }

    pub(crate) fn asked_so_far(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn play(State(provider): State<Provider>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
    let headers = head.headers.iter();
    provider.asked.lock().unwrap().push(Asked {
        path: head.uri.path().into(),
        headers: headers
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect(),
        body: serde_json::from_slice(&body).expect("JSON"),
    });
    let next = provider.script.lock().unwrap().next();
    let Some(scripted) = next else {
        return Response::builder().status(400).body("the script is over".into()).expect("valid");
    };
    let mut response = Response::builder().status(scripted.status);
    for (name, value) in scripted.headers {
        response = response.header(name, value);
    }
    let text = scripted.body.as_str().map_or_else(|| scripted.body.to_string(), str::to_owned);
    response.body(Body::from(text)).expect("valid")
}
