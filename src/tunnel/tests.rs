//! Both ends over real TLS on loopback.

use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use crate::certs::{Pair, clients_of, roots};
use crate::*;

/// Write a CA, and a leaf for `localhost` that serves both ends, to `directory`.
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

/// Accept one tunnel and give out its requests.
async fn hub(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    opened: oneshot::Sender<Requests<Full<Bytes>>>,
) {
    let (tcp, _) = listener.accept().await.unwrap();
    let tls = acceptor.accept(tcp).await.unwrap();
    let opened = std::sync::Mutex::new(Some(opened));
    let service = service_fn(|mut request: Request<Incoming>| {
        assert_eq!(request.uri().query(), Some("planeType=dataplane&planeID=default"));
        let answer = match accept::<Full<Bytes>>(&mut request) {
            Ok((response, accepted)) => {
                let opened = opened.lock().unwrap().take().unwrap();
                tokio::spawn(async move {
                    let (requests, driver) =
                        connect(accepted.stream().await.unwrap()).await.unwrap();
                    opened.send(requests).ok();
                    driver.await.ok();
                });
                response
            }
            Err(error) => {
                let mut response = Response::new(Full::from(error.to_string()));
                *response.status_mut() = error.status();
                response
            }
        };
        async { Ok::<_, Infallible>(answer) }
    });
    let server = hyper::server::conn::http1::Builder::new();
    server.serve_connection(TokioIo::new(tls), service).with_upgrades().await.unwrap();
}

#[tokio::test]
async fn requests_flow_against_the_direction_of_the_dial() {
    let directory = tempfile::tempdir().unwrap();
    make_certificates(directory.path());
    let pair = || Pair::read(directory.path()).unwrap();
    let ca = || roots(&directory.path().join("ca.crt")).unwrap();
    let server = pair().server(clients_of(ca()).unwrap()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (opened, requests) = oneshot::channel();
    tokio::spawn(hub(listener, TlsAcceptor::from(std::sync::Arc::new(server)), opened));

    let url = format!("wss://localhost:{}/ws", address.port()).parse().unwrap();
    let client = std::sync::Arc::new(pair().client(ca()).unwrap());
    let tcp = TcpStream::connect(address).await.unwrap();
    let plane = "dataplane/default".parse().unwrap();
    let stream = dial(tcp, &url, client, &plane).await.unwrap();
    tokio::spawn(serve(
        stream,
        service_fn(|request: Request<Incoming>| async move {
            let path = request.uri().path().to_owned();
            if path == "/silent" {
                std::future::pending::<()>().await;
            }
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let text = [path.as_bytes(), b" ", &body].concat();
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(text))))
        }),
    ));

    let requests = requests.await.unwrap();
    let ask = |path: &str, body: Vec<u8>| {
        let uri = format!("http://plane{path}");
        let request = Request::post(uri).body(Full::from(body)).unwrap();
        requests.clone().send_request(request)
    };
    // One that never answers holds nobody up, and is cancelled by dropping it.
    let silent = tokio::time::timeout(Duration::from_millis(50), ask("/silent", Vec::new()));
    let big = vec![b'x'; 600_000];
    let (silent, answer) = tokio::join!(silent, ask("/k8s/api", big.clone()));
    assert!(silent.is_err());
    let body = answer.unwrap().into_body().collect().await.unwrap().to_bytes();
    assert!(body.starts_with(b"/k8s/api "));
    assert_eq!(body.len(), "/k8s/api ".len() + big.len());
}
