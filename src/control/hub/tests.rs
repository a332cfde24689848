//! Both doors over real TLS, with an agent's real tunnel; the API server of
//! the control plane is a handful of answers.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use curtain_role::Health;
use curtain_tunnel::certs::{Pair, roots};
use curtain_tunnel::{DialError, dial, serve as serve_agent};
use futures::StreamExt;
use futures::stream::BoxStream;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::client::Body as KubeBody;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls_pki_types::ServerName;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, mpsc};
use tokio_rustls::TlsConnector;
use tokio_stream::wrappers::ReceiverStream;

use super::*;

/// A CA and one leaf for `localhost`, as `ca.crt`, `tls.crt` and `tls.key`.
fn issue(directory: &Path) -> PathBuf {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    leaf.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let leaf = leaf.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
    std::fs::create_dir_all(directory).unwrap();
    std::fs::write(directory.join("ca.crt"), ca_pem).unwrap();
    std::fs::write(directory.join("tls.crt"), leaf.pem()).unwrap();
    std::fs::write(directory.join("tls.key"), key.serialize_pem()).unwrap();
    directory.to_owned()
}

fn data_plane(ca: &str) -> Value {
    json!({
        "apiVersion": "openchoreo.dev/v1alpha1", "kind": "ClusterDataPlane",
        "metadata": {"name": "default", "resourceVersion": "1"},
        "spec": {"planeID": "eu", "clusterAgent": {"clientCA": {"value": ca}}},
    })
}

/// The control plane's API server: one data plane, and whatever is sent as events.
#[derive(Clone)]
struct Store {
    plane: Arc<Mutex<Value>>,
    events: broadcast::Sender<Value>,
    patches: mpsc::UnboundedSender<Value>,
}

impl Store {
    async fn answer(self, request: Request<KubeBody>) -> Response<BoxedBody> {
        let path = request.uri().path().to_owned();
        let of_data = path.contains("/clusterdataplanes");
        if request.method() == "PATCH" {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            self.patches.send(serde_json::from_slice(&body).unwrap()).unwrap();
            return whole(&self.plane.lock().unwrap());
        }
        if request.uri().query().unwrap_or_default().contains("watch=true") {
            let lines = futures::stream::unfold(self.events.subscribe(), |mut events| async {
                let line = format!("{}\n", events.recv().await.ok()?);
                Some((Ok(Frame::data(Bytes::from(line))), events))
            });
            let idle = futures::stream::pending();
            let lines = if of_data { lines.boxed() } else { idle.boxed() };
            return Response::new(StreamBody::new(lines));
        }
        let items = if of_data { vec![self.plane.lock().unwrap().clone()] } else { Vec::new() };
        whole(&json!({"metadata": {"resourceVersion": "1"}, "items": items}))
    }

    /// Replace the data plane and tell watchers.
    fn replace(&self, plane: Value) {
        *self.plane.lock().unwrap() = plane.clone();
        self.events.send(json!({"type": "MODIFIED", "object": plane})).unwrap();
    }
}

type BoxedBody = StreamBody<BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

fn whole(value: &Value) -> Response<BoxedBody> {
    let frame = Frame::data(Bytes::from(value.to_string()));
    Response::new(StreamBody::new(futures::stream::iter([Ok(frame)]).boxed()))
}

struct World {
    store: Store,
    patches: mpsc::UnboundedReceiver<Value>,
    hub_certs: PathBuf,
    agent_certs: PathBuf,
    other_certs: PathBuf,
    agents: u16,
    internal: u16,
    _directory: tempfile::TempDir,
}

async fn world() -> World {
    let directory = tempfile::tempdir().unwrap();
    let hub_certs = issue(&directory.path().join("hub"));
    let agent_certs = issue(&directory.path().join("agent"));
    let other_certs = issue(&directory.path().join("other"));
    let ca = std::fs::read_to_string(agent_certs.join("ca.crt")).unwrap();
    let (sent, patches) = mpsc::unbounded_channel();
    let store = Store {
        plane: Arc::new(Mutex::new(data_plane(&ca))),
        events: broadcast::channel(8).0,
        patches: sent,
    };
    let answer = store.clone();
    let kube = kube::Client::new(
        tower::service_fn(move |request| {
            let answer = answer.clone().answer(request);
            async move { Ok::<_, Infallible>(answer.await) }
        }),
        "default",
    );
    let hub = Arc::new(Hub {
        table: Table::default(),
        planes: Planes::default(),
        kube,
        changed: Notify::new(),
        rechecking: tokio::sync::Mutex::default(),
    });
    let certificates = server::Certificates::read(&hub_certs).unwrap();
    let agents = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let internal = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ports = [&agents, &internal].map(|listener| listener.local_addr().unwrap().port());
    let health = Health::default();
    let check = health.check("planes");
    tokio::spawn(planes::watch(hub.clone(), check));
    tokio::spawn(status::write(hub.clone()));
    tokio::spawn(server::serve(agents, certificates.agents(), agents::Door(hub.clone())));
    tokio::spawn(server::serve(internal, certificates.internal(), internal::Door(hub)));
    tokio::time::timeout(Duration::from_secs(10), async {
        while !health.waiting_for().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the plane objects are listed");
    let [agents, internal] = ports;
    World {
        store,
        patches,
        hub_certs,
        agent_certs,
        other_certs,
        agents,
        internal,
        _directory: directory,
    }
}

impl World {
    /// Dial as an agent with the certificates in `certs`; each answer is `service`'s.
    async fn agent(&self, certs: &Path, plane: &str) -> Result<(), DialError> {
        let ca = roots(&self.hub_certs.join("ca.crt")).unwrap();
        let tls = Arc::new(Pair::read(certs).unwrap().client(ca).unwrap());
        let url = format!("wss://localhost:{}/ws", self.agents).parse().unwrap();
        let tcp = TcpStream::connect(("127.0.0.1", self.agents)).await.unwrap();
        let stream = dial(tcp, &url, tls, &plane.parse().unwrap()).await?;
        // Answers with what was asked, then with every chunk of the request.
        let service = service_fn(|request: Request<Incoming>| async move {
            let line =
                format!("{} {}\n", request.method(), request.uri().path_and_query().unwrap());
            let first = futures::stream::iter([Ok(Frame::data(Bytes::from(line)))]);
            let rest = http_body_util::BodyStream::new(request.into_body());
            Ok::<_, Infallible>(Response::new(StreamBody::new(first.chain(rest))))
        });
        tokio::spawn(serve_agent(stream, service));
        Ok(())
    }

    /// An HTTP connection to the internal door.
    async fn internal<B>(&self) -> http1::SendRequest<B>
    where
        B: hyper::body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let ca = roots(&self.hub_certs.join("ca.crt")).unwrap();
        let tls = Arc::new(Pair::read(&self.hub_certs).unwrap().client(ca).unwrap());
        let tcp = TcpStream::connect(("127.0.0.1", self.internal)).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(tls).connect(name, tcp).await.unwrap();
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(driver);
        sender
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).header("host", "hub").body(Empty::<Bytes>::new()).unwrap();
        let response = self.internal().await.send_request(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn next_connection(&mut self) -> Value {
        let patch = tokio::time::timeout(Duration::from_secs(10), self.patches.recv()).await;
        patch.expect("a status is written").unwrap()["status"]["agentConnection"].take()
    }
}

const PROXY: &str = "/api/proxy/dataplane/eu/_cluster/default/k8s";

#[tokio::test]
async fn requests_and_answers_stream_through_the_tunnel() {
    let mut world = world().await;
    assert_eq!(world.get(&format!("{PROXY}/api")).await.0, StatusCode::FORBIDDEN, "no agent yet");
    assert_eq!(world.next_connection().await["connected"], false);
    world.agent(&world.agent_certs, "dataplane/eu").await.unwrap();
    let told = world.next_connection().await;
    assert_eq!((&told["connected"], &told["connectedAgents"]), (&json!(true), &json!(1)));

    let (status, text) = world.get(&format!("{PROXY}/api/v1/pods?limit=5")).await;
    assert_eq!((status, &*text), (StatusCode::OK, "GET /k8s/api/v1/pods?limit=5\n"));

    // The answer begins before the request has ended, and each part arrives alone.
    let (chunks, body) = mpsc::channel::<Result<Frame<Bytes>, Infallible>>(1);
    let body = StreamBody::new(ReceiverStream::new(body));
    let request = Request::post(format!("{PROXY}/x")).header("host", "hub").body(body).unwrap();
    let response = world.internal().await.send_request(request).await.unwrap();
    let mut answer = response.into_body();
    for expected in ["POST /k8s/x\n", "one", "two"] {
        let frame = answer.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(frame, expected);
        let next = if expected == "one" { "two" } else { "one" };
        chunks.send(Ok(Frame::data(Bytes::from(next)))).await.ok();
    }
}

#[tokio::test]
async fn an_agent_stands_for_what_its_ca_says_and_no_longer() {
    let mut world = world().await;
    let refused = world.agent(&world.other_certs, "dataplane/eu").await.unwrap_err();
    let DialError::Refused { status, reason, .. } = refused else { panic!("{refused}") };
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(reason.contains("clientCA of default"), "{reason}");
    let refused = world.agent(&world.agent_certs, "dataplane/us").await.unwrap_err();
    assert!(refused.to_string().contains("there is no plane dataplane/us yet"), "{refused}");

    world.agent(&world.agent_certs, "dataplane/eu").await.unwrap();
    while world.next_connection().await["connected"] != true {}
    let other_object = "/api/proxy/dataplane/eu/acme/default/k8s/api";
    assert_eq!(world.get(other_object).await.0, StatusCode::FORBIDDEN);
    let (_, planes) = world.get("/api/v1/planes/status").await;
    let planes: Value = serde_json::from_str(&planes).unwrap();
    assert_eq!(planes["planes"][0]["connectedAgents"], 1);

    // The plane object trusts somebody else from now on.
    let other = std::fs::read_to_string(world.other_certs.join("ca.crt")).unwrap();
    world.store.replace(data_plane(&other));
    while world.next_connection().await["connected"] != false {}
    let (status, text) = world.get(&format!("{PROXY}/api")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(body["kind"], "Status");
    world.agent(&world.other_certs, "dataplane/eu").await.unwrap();
}

#[tokio::test]
async fn an_object_that_stands_for_another_plane_takes_its_trust_along() {
    let mut world = world().await;
    world.agent(&world.agent_certs, "dataplane/eu").await.unwrap();
    while world.next_connection().await["connected"] != true {}
    let ca = std::fs::read_to_string(world.agent_certs.join("ca.crt")).unwrap();
    let mut moved = data_plane(&ca);
    moved["spec"]["planeID"] = json!("us");
    world.store.replace(moved);
    let refused = async {
        while world.get(&format!("{PROXY}/api")).await.0 != StatusCode::FORBIDDEN {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), refused).await.expect("eu is nobody's now");
}
