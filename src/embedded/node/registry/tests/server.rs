//! A registry on loopback, without TLS, as good or bad as a test wants it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;

use crate::node::images::machine;

pub(in crate::node) const USER: &str = "ann";
pub(in crate::node) const PASSWORD: &str = "hunter2";
const TOKEN: &str = "made-for-ann";

/// Who is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::node) enum Access {
    Anybody,
    /// Whoever has the password.
    Basic,
    /// Whoever has a token, which takes the password.
    Bearer,
    /// Whoever has a token, which everybody gets.
    OpenBearer,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(in crate::node) struct Seen {
    pub(in crate::node) path: String,
    pub(in crate::node) headers: HeaderMap,
}

impl Seen {
    pub(in crate::node) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

#[derive(Debug, Default)]
struct State {
    access: Mutex<Option<Access>>,
    /// Media type and bytes by path.
    content: Mutex<BTreeMap<String, (String, Vec<u8>)>>,
    /// Where paths lead instead.
    redirects: Mutex<BTreeMap<String, String>>,
    /// How many bytes of a path come before the connection ends, the next time.
    cuts: Mutex<BTreeMap<String, usize>>,
    seen: Mutex<Vec<Seen>>,
    /// Bytes of bodies by path.
    served: Mutex<BTreeMap<String, usize>>,
}

/// The registry; it ends with the test's runtime.
#[derive(Debug, Clone)]
pub(in crate::node) struct Registry {
    pub(in crate::node) address: SocketAddr,
    state: Arc<State>,
}

pub(in crate::node) fn sha(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

impl Registry {
    pub(in crate::node) async fn start(access: Access) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let registry = Self { address, state: Arc::default() };
        *registry.state.access.lock().unwrap() = Some(access);
        let served = registry.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let registry = served.clone();
                let service = service_fn(move |request| {
                    let answer = registry.answer(&request);
                    async move { Ok::<_, Infallible>(answer) }
                });
                let serve = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                // Connections that are cut, and those that begin with TLS, end badly.
                tokio::spawn(async move {
                    let _ = serve.await;
                });
            }
        });
        registry
    }

    pub(in crate::node) fn reference(&self, rest: &str) -> String {
        format!("{}/{rest}", self.address)
    }

    /// Puts something below `/v2/<repository>/`; its descriptor.
    pub(in crate::node) fn put(
        &self,
        repository: &str,
        kind: &str,
        media: &str,
        bytes: &[u8],
    ) -> Value {
        let digest = sha(bytes);
        let path = format!("/v2/{repository}/{kind}/{digest}");
        let content = (media.to_owned(), bytes.to_owned());
        self.state.content.lock().unwrap().insert(path, content);
        json!({"mediaType": media, "digest": digest, "size": bytes.len()})
    }

    pub(in crate::node) fn put_at(&self, path: &str, media: &str, bytes: &[u8]) {
        let content = (media.to_owned(), bytes.to_owned());
        self.state.content.lock().unwrap().insert(path.to_owned(), content);
    }

    /// Puts an image of plain layers; the digests of its manifest and layers.
    pub(in crate::node) fn put_image(
        &self,
        repository: &str,
        tag: &str,
        layers: &[Vec<u8>],
    ) -> (String, Vec<String>) {
        let diffs: Vec<_> = layers.iter().map(|layer| sha(layer)).collect();
        let config = json!({"architecture": machine(), "os": "linux", "config": {"Cmd": ["/bin/app"]},
            "rootfs": {"type": "layers", "diff_ids": diffs}});
        let kind = "application/vnd.oci.image.config.v1+json";
        let config = self.put(repository, "blobs", kind, config.to_string().as_bytes());
        let layer = |layer: &Vec<u8>| {
            self.put(repository, "blobs", "application/vnd.oci.image.layer.v1.tar", layer)
        };
        let layers: Vec<_> = layers.iter().map(layer).collect();
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let manifest =
            json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers});
        let manifest = manifest.to_string();
        let own = self.put(repository, "manifests", kind, manifest.as_bytes());
        self.put_at(&format!("/v2/{repository}/manifests/{tag}"), kind, manifest.as_bytes());
        (own["digest"].as_str().unwrap().to_owned(), diffs)
    }

    pub(in crate::node) fn redirect(&self, path: &str, to: &str) {
        self.state.redirects.lock().unwrap().insert(path.to_owned(), to.to_owned());
    }

    /// Ends the connection after so many bytes of a path's content, the next time.
    pub(in crate::node) fn cut(&self, path: &str, after: usize) {
        self.state.cuts.lock().unwrap().insert(path.to_owned(), after);
    }

    /// The requests for a path.
    pub(in crate::node) fn seen(&self, path: &str) -> Vec<Seen> {
        let seen = self.state.seen.lock().unwrap();
        seen.iter().filter(|one| one.path.split('?').next() == Some(path)).cloned().collect()
    }

    pub(in crate::node) fn served(&self, path: &str) -> usize {
        self.state.served.lock().unwrap().get(path).copied().unwrap_or(0)
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<BoxBody<Bytes, std::io::Error>> {
        let path = request.uri().path().to_owned();
        let full = request.uri().path_and_query().unwrap().to_string();
        let seen = Seen { path: full, headers: request.headers().clone() };
        let who = seen.header("authorization").to_owned();
        let range = seen.header("range").to_owned();
        self.state.seen.lock().unwrap().push(seen);
        let plain = |status: StatusCode, text: &str| {
            let body = Full::new(Bytes::from(text.to_owned())).map_err(|never| match never {});
            Response::builder().status(status).body(body.boxed()).unwrap()
        };
        let basic = format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")));
        let access = self.state.access.lock().unwrap().unwrap();
        if path == "/token" {
            return match access == Access::OpenBearer || who == basic {
                true => plain(StatusCode::OK, &json!({"token": TOKEN}).to_string()),
                false => plain(StatusCode::UNAUTHORIZED, "{}"),
            };
        }
        let realm = format!("http://{}/token", self.address);
        let (allowed, challenge) = match access {
            Access::Anybody => (true, String::new()),
            Access::Basic => (who == basic, "Basic realm=\"test\"".to_owned()),
            Access::Bearer | Access::OpenBearer => (
                who == format!("Bearer {TOKEN}"),
                format!(
                    "Bearer realm=\"{realm}\",service=\"test\",scope=\"repository:team/app:pull\""
                ),
            ),
        };
        if !allowed {
            let text =
                json!({"errors": [{"code": "UNAUTHORIZED", "message": "who are you?\u{7}"}]});
            let mut answer = plain(StatusCode::UNAUTHORIZED, &text.to_string());
            answer.headers_mut().insert("www-authenticate", challenge.parse().unwrap());
            return answer;
        }
        if let Some(to) = self.state.redirects.lock().unwrap().get(&path) {
            let mut answer = plain(StatusCode::TEMPORARY_REDIRECT, "");
            answer.headers_mut().insert("location", to.parse().unwrap());
            return answer;
        }
        let Some((media, bytes)) = self.state.content.lock().unwrap().get(&path).cloned() else {
            return plain(StatusCode::NOT_FOUND, "{}");
        };
        let from = range.strip_prefix("bytes=").and_then(|range| range.strip_suffix('-'));
        let from: usize = from.map_or(0, |from| from.parse().unwrap());
        let mut answer = Response::builder().header("content-type", media);
        if from > 0 {
            let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
            answer = answer.status(StatusCode::PARTIAL_CONTENT).header("content-range", range);
        }
        let rest = Bytes::from(bytes).slice(from..);
        let answer = answer.header("content-length", rest.len());
        let cut = self.state.cuts.lock().unwrap().remove(&path);
        let sent = cut.map_or(rest.len(), |cut| cut.min(rest.len()));
        *self.state.served.lock().unwrap().entry(path).or_default() += sent;
        let cut = sent < rest.len();
        let sent = stream::once(async move { Ok(Frame::data(rest.slice(..sent))) });
        let end = stream::iter(cut.then_some(())).then(|()| async {
            // What was sent before goes out first.
            tokio::task::yield_now().await;
            Err(std::io::Error::other("cut"))
        });
        answer.body(BodyExt::boxed(StreamBody::new(sent.chain(end)))).unwrap()
    }
}
