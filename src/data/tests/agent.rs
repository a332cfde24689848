//! The agent role between a hub of a few lines and a real API server.

#![allow(clippy::unwrap_used)]

mod support;

use std::convert::Infallible;
use std::net::{Ipv4Addr, TcpListener as StdListener};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use curtain_data::agent::{Config, run};
use curtain_role::Shutdown;
use curtain_tunnel::certs::{Pair, clients_of, roots};
use curtain_tunnel::{Requests, accept, connect};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use support::{Cluster, LIMIT};

/// A CA and one leaf for both ends.
fn make_certificates(directory: &Path) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    leaf.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let leaf = leaf.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
    std::fs::write(directory.join("ca.crt"), ca_pem).unwrap();
    std::fs::write(directory.join("tls.crt"), leaf.pem()).unwrap();
    std::fs::write(directory.join("tls.key"), key.serialize_pem()).unwrap();
}

type Tunnel = Requests<Full<Bytes>>;

/// Accept tunnels for ever and give each out; the sender dropped, its
/// connection ends.
async fn hub(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    opened: mpsc::Sender<(Tunnel, tokio::task::AbortHandle)>,
) {
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        let (acceptor, opened) = (acceptor.clone(), opened.clone());
        tokio::spawn(async move {
            let tls = acceptor.accept(tcp).await.unwrap();
            let service = service_fn(move |mut request: Request<Incoming>| {
                let (response, accepted) = accept::<Full<Bytes>>(&mut request).unwrap();
                let opened = opened.clone();
                tokio::spawn(async move {
                    let (requests, driver) =
                        connect(accepted.stream().await.unwrap()).await.unwrap();
                    let driver = tokio::spawn(async move { drop(driver.await) });
                    opened.send((requests, driver.abort_handle())).await.ok();
                });
                async { Ok::<_, Infallible>(response) }
            });
            let server = hyper::server::conn::http1::Builder::new();
            let _ = server.serve_connection(TokioIo::new(tls), service).with_upgrades().await;
        });
    }
}

async fn ask(tunnel: &Tunnel, path: &str) -> Response<Incoming> {
    let request = Request::get(format!("http://plane{path}"))
        // An identity from outside: it must not reach the API server.
        .header("authorization", "Bearer forged")
        .header("impersonate-user", "nobody")
        .body(Full::default())
        .unwrap();
    timeout(LIMIT, tunnel.clone().send_request(request)).await.unwrap().unwrap()
}

#[tokio::test]
async fn the_agent_serves_its_cluster_and_comes_back() {
    let cluster = Cluster::start().await;
    let directory = tempfile::tempdir().unwrap();
    make_certificates(directory.path());
    let ca = || roots(&directory.path().join("ca.crt")).unwrap();
    let pair = Pair::read(directory.path()).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(pair.server(clients_of(ca()).unwrap()).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (opened, mut tunnels) = mpsc::channel(1);
    tokio::spawn(hub(listener, acceptor, opened));

    let shutdown = Shutdown::default();
    let health_port = StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let role = tokio::spawn(run(
        Config {
            server_url: format!("wss://localhost:{port}/ws").parse().unwrap(),
            planes: vec!["dataplane/default".parse().unwrap()],
            certificates: directory.path().to_owned(),
            server_ca: directory.path().join("ca.crt"),
            kube: cluster.kube.clone(),
            bind: Ipv4Addr::LOCALHOST.into(),
            health_port,
        },
        shutdown.clone(),
    ));
    let (tunnel, connection) = timeout(LIMIT, tunnels.recv()).await.unwrap().unwrap();
    let found = ask(&tunnel, "/k8s/api/v1/namespaces/default").await;
    assert_eq!(found.status(), 200, "the agent's own credentials are used");
    assert_eq!(ask(&tunnel, "/other/api").await.status(), 404);

    // A watch goes on while the cluster changes.
    let path = "/k8s/api/v1/namespaces/default/configmaps?watch=true&resourceVersion=0";
    let mut watch = ask(&tunnel, path).await.into_body();
    for name in ["one", "two"] {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
        cluster.create("/api/v1/namespaces/default/configmaps", &object).await;
        loop {
            let frame = timeout(LIMIT, watch.frame()).await.unwrap().unwrap().unwrap();
            let line: Value = serde_json::from_slice(&frame.into_data().unwrap()).unwrap();
            if line["object"]["metadata"]["name"] == name {
                break;
            }
        }
    }

    // A lost connection is opened again by itself.
    connection.abort();
    let (tunnel, _) = timeout(LIMIT, tunnels.recv()).await.unwrap().unwrap();
    assert_eq!(ask(&tunnel, "/k8s/version").await.status(), 200);
    shutdown.trigger();
    role.await.unwrap().unwrap();
}
