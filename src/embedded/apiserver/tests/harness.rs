//! A server of its own for each test.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use http_body_util::BodyExt as _;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::apiserver::admission::{self, Plugin};
use crate::apiserver::auth::User;
use crate::apiserver::{Server, ServerConfig, route};

/// Keys and certificates of a throw-away cluster.
pub(crate) struct Pki {
    pub ca: String,
    issuer: Issuer<'static, KeyPair>,
    server: (String, String),
    token_key: String,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test-ca");
        let ca = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let server_key = KeyPair::generate().unwrap();
        let names = ["localhost", "127.0.0.1", "localhost.default.svc"].map(str::to_owned).to_vec();
        let server =
            CertificateParams::new(names).unwrap().signed_by(&server_key, &issuer).unwrap();
        let token_key = KeyPair::generate().unwrap().serialize_pem();
        Self { ca, issuer, server: (server.pem(), server_key.serialize_pem()), token_key }
    }

    /// How a server with this certificate speaks TLS.
    pub(crate) fn tls(&self) -> rustls::ServerConfig {
        let chain = vec![CertificateDer::from_pem_slice(self.server.0.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(self.server.1.as_bytes()).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        builder.with_no_client_auth().with_single_cert(chain, key).unwrap()
    }

    /// A client certificate and its key, PEM.
    pub(crate) fn client(&self, name: &str, groups: &[&str]) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        for group in groups {
            params.distinguished_name.push(DnType::OrganizationName, *group);
        }
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

pub(crate) struct Cluster {
    pub server: Server,
    pub pki: Pki,
    pub home: TempDir,
    stop: CancellationToken,
}

async fn start(
    pki: &Pki,
    database: &Path,
    plugins: Vec<Box<dyn Plugin>>,
    offline: bool,
    stop: CancellationToken,
) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = ServerConfig {
        database: database.into(),
        listeners: vec![listener],
        certificate: pki.server.0.clone().into(),
        key: pki.server.1.clone().into(),
        ca: pki.ca.clone().into(),
        token_key: pki.token_key.clone().into(),
        service_cidr: (Ipv4Addr::new(10, 96, 0, 0), 16),
        advertise: "127.0.0.1:6443".parse().unwrap(),
        offline,
    };
    Server::start_with(config, plugins, stop).await.unwrap()
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        Self::start_with(admission::plugins()).await
    }

    /// One that reaches nothing beyond this machine.
    pub(crate) async fn offline() -> Self {
        Self::start_as(admission::plugins(), true).await
    }

    /// With other admission plugins than the usual ones.
    pub(in crate::apiserver) async fn start_with(plugins: Vec<Box<dyn Plugin>>) -> Self {
        Self::start_as(plugins, false).await
    }

    async fn start_as(plugins: Vec<Box<dyn Plugin>>, offline: bool) -> Self {
        let home = tempfile::tempdir().unwrap();
        let (pki, stop) = (Pki::new(), CancellationToken::new());
        let database = home.path().join("objects.redb");
        let server = start(&pki, &database, plugins, offline, stop.clone()).await;
        Self { server, pki, home, stop }
    }

    /// Stops the server and starts another on the same database.
    pub(crate) async fn restart(&mut self) {
        self.stop.cancel();
        self.server.stopped().await;
        self.stop = CancellationToken::new();
        let database = self.home.path().join("objects.redb");
        let (plugins, offline) = (admission::plugins(), self.server.api().offline);
        self.server = start(&self.pki, &database, plugins, offline, self.stop.clone()).await;
    }

    pub(crate) fn client(&self) -> kube::Client {
        self.server.local_client("admin", &["system:masters"])
    }

    /// One raw request as a cluster administrator: code and document.
    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: &str,
    ) -> (u16, Value) {
        self.call_as(User::new("admin", ["system:masters"]), method, path, content_type, body).await
    }

    pub(crate) async fn call_as(
        &self,
        user: User,
        method: &str,
        path: &str,
        content_type: &str,
        body: &str,
    ) -> (u16, Value) {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content_type)
            .header("user-agent", "test/1")
            .body(http_body_util::Full::new(bytes::Bytes::from(body.to_owned())))
            .unwrap();
        let reply = route::answer(self.server.api(), Some(user), request).await;
        let code = reply.status().as_u16();
        let body = reply.into_body().collect().await.unwrap().to_bytes();
        (
            code,
            serde_json::from_slice(&body)
                .unwrap_or_else(|_| String::from_utf8_lossy(&body).into_owned().into()),
        )
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.call("GET", path, "", "").await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.call("POST", path, "application/json", &body.to_string()).await
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
