//! From a container's log file to the store and back, with restarts of everything in between.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use curtain_embedded::apiserver::{
    LogError, LogOptions, NodeBackend, Page as NodePage, PageError, PageRequest, PodRef, Server,
    ServerConfig,
};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::asked::{Page, Place};
use crate::database::Retention;
use crate::logs::{Query, Store};
use crate::observer::testing;

mod events;
mod observed;

pub(super) use observed::{Observed, observed};

/// One container's log, as a node keeps it: lines with their times, and whether the container still runs.
#[derive(Clone)]
struct Log(Arc<watch::Sender<Kept>>);

/// Lines with their times, and whether more may come.
type Kept = (Vec<(i64, String)>, bool);

impl Log {
    fn new() -> Log {
        Log(Arc::new(watch::channel((Vec::new(), true)).0))
    }

    fn write(&self, nanoseconds: i64, text: &str) {
        self.0.send_modify(|(lines, _)| lines.push((nanoseconds, text.to_owned())));
    }
}

impl NodeBackend for Log {
    fn name(&self) -> &str {
        "n"
    }

    fn page(&self, _: PageRequest) -> BoxFuture<'_, Result<NodePage, PageError>> {
        Box::pin(async { Err(PageError::NotFound) })
    }

    fn logs(
        &self,
        _: PodRef,
        options: LogOptions,
    ) -> BoxFuture<'_, Result<BoxStream<'static, io::Result<bytes::Bytes>>, LogError>> {
        let mut log = self.0.subscribe();
        let since = options.since.map_or(i128::MIN, |since| since.as_nanosecond());
        Box::pin(async move {
            assert!(options.timestamps && !options.previous);
            let stream = async_stream(move |sender: tokio::sync::mpsc::Sender<_>| async move {
                let mut sent = 0;
                loop {
                    let (lines, running) = log.borrow_and_update().clone();
                    for (time, text) in &lines[sent..] {
                        if i128::from(*time) > since {
                            let stamp =
                                jiff::Timestamp::from_nanosecond((*time).into()).expect("a time");
                            let line = bytes::Bytes::from(format!("{stamp} {text}\n"));
                            if sender.send(Ok(line)).await.is_err() {
                                return;
                            }
                        }
                    }
                    sent = lines.len();
                    if !options.follow || !running || log.changed().await.is_err() {
                        return;
                    }
                }
            });
            Ok(stream)
        })
    }
}

fn async_stream<F, W>(work: F) -> BoxStream<'static, io::Result<bytes::Bytes>>
where
    F: FnOnce(tokio::sync::mpsc::Sender<io::Result<bytes::Bytes>>) -> W,
    W: Future<Output = ()> + Send + 'static,
{
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    tokio::spawn(work(sender));
    futures::stream::unfold(receiver, |mut receiver| async move {
        Some((receiver.recv().await?, receiver))
    })
    .boxed()
}

pub(crate) async fn cluster(directory: &std::path::Path, stop: CancellationToken) -> Server {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::new(vec![]).expect("parameters");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).expect("a certificate").pem();
    let issuer = rcgen::Issuer::new(params, key);
    let server_key = rcgen::KeyPair::generate().expect("a key");
    let server = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    let server = server.signed_by(&server_key, &issuer).expect("a certificate");
    let config = ServerConfig {
        database: directory.join("objects.redb"),
        listeners: Vec::new(),
        certificate: server.pem().into(),
        key: server_key.serialize_pem().into(),
        ca: ca.into(),
        token_key: rcgen::KeyPair::generate().expect("a key").serialize_pem().into(),
        service_cidr: (Ipv4Addr::new(10, 96, 0, 0), 16),
        advertise: SocketAddr::from(([127, 0, 0, 1], 6443)),
        offline: false,
    };
    Server::start(config, stop).await.expect("starts")
}

/// A pod of a component whose container runs.
async fn pod(client: &Client) {
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let labels = json!({"openchoreo.dev/namespace":"default","openchoreo.dev/project":"shop",
        "openchoreo.dev/component":"cart","openchoreo.dev/environment":"development"});
    let pod = json!({"metadata":{"name":"cart-1","labels":labels},
        "spec":{"nodeName":"n","containers":[{"name":"main","image":"i"}]}});
    let pod = serde_json::from_value(pod).expect("a Pod");
    pods.create(&PostParams::default(), &pod).await.expect("creates");
    let status = json!({"status":{"phase":"Running","containerStatuses":[{"name":"main","image":"i","imageID":"",
        "ready":true,"restartCount":0,"state":{"running":{"startedAt":"2026-01-01T00:00:00Z"}}}]}});
    pods.patch_status("cart-1", &PatchParams::default(), &Patch::Merge(status))
        .await
        .expect("patches");
}

/// A token of the collector's ServiceAccount, in a file.
async fn token(client: &Client, directory: &std::path::Path) -> PathBuf {
    let accounts: Api<ServiceAccount> = Api::default_namespaced(client.clone());
    let account =
        serde_json::from_value(json!({"metadata":{"name":"collector"}})).expect("an account");
    accounts.create(&PostParams::default(), &account).await.expect("creates");
    let request = serde_json::from_value(json!({"spec":{"audiences":[]}})).expect("a request");
    let answer = accounts
        .create_token_request("collector", &PostParams::default(), &request)
        .await
        .expect("a token");
    let path = directory.join("token");
    std::fs::write(&path, answer.status.and_then(|status| status.token).expect("a token"))
        .expect("writes");
    path
}

fn texts(store: &Store) -> Vec<String> {
    let place = Place {
        namespace: "default".into(),
        project: "shop".into(),
        component: "cart".into(),
        environment: String::new(),
    };
    let page = Page { place, between: (0, i64::MAX), limit: 1000, newest_first: false };
    let query = Query { page, levels: Vec::new(), phrase: String::new() };
    store.query(&query).expect("queries").rows.into_iter().map(|row| row.text).collect()
}

async fn until(store: &Store, wanted: &[String]) {
    for _ in 0..300 {
        if texts(store) == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(texts(store), wanted);
}

#[tokio::test]
async fn lines_arrive_once_and_in_order_whoever_restarts() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = cluster(directory.path(), CancellationToken::new()).await;
    let log = Log::new();
    server.set_node(Arc::new(log.clone()));
    let client = server.local_client("admin", &["system:masters"]);
    pod(&client).await;
    let token = token(&client, directory.path()).await;
    let store =
        Store::open(&directory.path().join("logs.db"), Retention::default()).expect("opens");
    let user = "system:serviceaccount:default:collector";

    let observer = Shutdown::default();
    let address = testing::ingest(&store, client.clone(), user, None, &observer).await;
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = Config {
        observer: format!("http://{address}").parse().expect("a URL"),
        token,
        selector: SELECTOR.into(),
        otlp_grpc_listen: nowhere,
        otlp_http_listen: nowhere,
        health_listen: nowhere,
        kube: KubeAccess::InCluster,
    };
    let start = |shutdown: &Shutdown| {
        let (config, client, shutdown) = (config.clone(), client.clone(), shutdown.clone());
        let door = Door::new(config.observer.clone(), config.token.clone());
        tokio::spawn(async move {
            let (health, known) = (Health::default(), Pods::default());
            collect(&config, client, (&health, known), door, shutdown).await;
        })
    };
    let first = Shutdown::default();
    let running = start(&first);

    // Many lines of one time, and one that goes back: what an API of whole seconds and a busy program give.
    let base = 1_767_225_600_000_000_000;
    let mut wanted = Vec::new();
    let mut write = |times: &[i64]| {
        for time in times {
            let text = format!("line {}", wanted.len());
            log.write(base + time, &text);
            wanted.push(text);
        }
        wanted.clone()
    };
    until(&store, &write(&[0, 0, 0, 5, 5, 4, 1_000_000_000])).await;

    // The collector restarts while lines of the same second come.
    first.trigger();
    running.await.expect("ends");
    let missed = write(&[1_000_000_000, 1_000_000_000, 1_000_000_001]);
    let second = Shutdown::default();
    let running = start(&second);
    until(&store, &missed).await;

    // The observer is away for a while.
    observer.trigger();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let waiting = write(&[1_000_000_001, 2_000_000_000]);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let again = Shutdown::default();
    testing::ingest(&store, client.clone(), user, Some(address), &again).await;
    until(&store, &waiting).await;
    second.trigger();
    running.await.expect("ends");
    again.trigger();
}

#[tokio::test]
async fn only_the_collector_may_post() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = cluster(directory.path(), CancellationToken::new()).await;
    let client = server.local_client("admin", &["system:masters"]);
    let token = token(&client, directory.path()).await;
    let store =
        Store::open(&directory.path().join("logs.db"), Retention::default()).expect("opens");
    let shutdown = Shutdown::default();
    let address =
        testing::ingest(&store, client, "system:serviceaccount:other:collector", None, &shutdown)
            .await;
    let request = async |token: &str| {
        let url = format!("http://{address}{}", crate::wire::POSITIONS_PATH);
        let request = http::Request::get(url)
            .header(http::header::AUTHORIZATION, format!("Bearer {token}"))
            .body(http_body_util::Full::new(bytes::Bytes::new()))
            .expect("a request");
        curtain_role::http_client().request(request).await.expect("an answer").status().as_u16()
    };
    assert_eq!(request("nonsense").await, 401);
    assert_eq!(request(std::fs::read_to_string(&token).expect("reads").trim()).await, 403);
    shutdown.trigger();
}
