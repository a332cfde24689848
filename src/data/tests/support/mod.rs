//! An embedded API server with an administrator's kubeconfig.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used)]

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use curtain_embedded::apiserver::{Server, ServerConfig};
use curtain_embedded::{ClusterConfig, Reach, Registries, init};
use curtain_role::KubeAccess;
use kube::Client;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// How long anything may take before a test calls it broken.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) kube: KubeAccess,
    _home: tempfile::TempDir,
    stop: CancellationToken,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let config = ClusterConfig {
            version: ClusterConfig::VERSION,
            instance: "test".into(),
            home: home.path().join("cluster"),
            binary: "/nonexistent".into(),
            own_image: "none".into(),
            api_listen: address,
            front_doors: Vec::new(),
            service_cidr: "10.96.0.0/16".parse().unwrap(),
            pod_cidr: "10.244.0.0/16".parse().unwrap(),
            reach: Reach::default(),
            registries: Registries::default(),
            sight: true,
            offline: false,
        };
        init(&config).unwrap();
        let pki = config.pki();
        let read = |path: &Path| std::fs::read(path).unwrap();
        let server = ServerConfig {
            database: home.path().join("objects.redb"),
            listeners: vec![listener],
            certificate: read(&pki.apiserver_cert),
            key: read(&pki.apiserver_key),
            ca: read(&pki.ca_cert),
            token_key: read(&pki.service_account_key),
            service_cidr: (Ipv4Addr::new(10, 96, 0, 0), 16),
            advertise: address,
            offline: false,
        };
        let stop = CancellationToken::new();
        let server = Server::start(server, stop.clone()).await.unwrap();
        let client = server.local_client("test", &["system:masters"]);
        let kube = KubeAccess::Kubeconfig(config.admin_kubeconfig());
        Self { client, kube, _home: home, stop }
    }

    /// Send `method` to `path` with a JSON body.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Result<Value, kube::Error> {
        let kind = match method {
            "PATCH" => "application/merge-patch+json",
            _ => "application/json",
        };
        let request =
            http::Request::builder().method(method).uri(path).header("content-type", kind);
        self.client.request(request.body(body.to_string().into_bytes()).unwrap()).await
    }

    pub(crate) async fn create(&self, path: &str, body: &Value) -> Value {
        self.send("POST", path, body).await.unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }

    /// Read `path` until `is` likes it.
    pub(crate) async fn until(&self, path: &str, is: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + LIMIT;
        loop {
            let found = self.send("GET", path, &Value::Null).await;
            match &found {
                Ok(found) if is(found) => return found.clone(),
                _ => assert!(Instant::now() < end, "{path} stayed {found:?}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
