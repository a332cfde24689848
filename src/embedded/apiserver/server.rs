//! Start, listen, and in-process clients.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::addresses::Allocator;
use super::admission::{self, Plugin};
use super::auth::token::Tokens;
use super::auth::{User, certificate};
use super::store::{JournalError, Limits, RedbJournal, Store};
use super::{Api, NodeBackend, bootstrap, quota, route};

/// What the server needs to start. Keys and certificates are PEM.
pub struct ServerConfig {
    /// The object database; its directory must exist.
    pub database: PathBuf,
    /// Where to serve TLS. They may be inherited, so that connections queue while the node restarts.
    pub listeners: Vec<TcpListener>,
    /// Certificate chain of the server.
    pub certificate: Vec<u8>,
    /// Its private key (PKCS #8).
    pub key: Vec<u8>,
    /// The cluster's CA: signs the server and its clients, and is handed to pods.
    pub ca: Vec<u8>,
    /// P-256 private key (PKCS #8) that signs service account tokens.
    pub token_key: Vec<u8>,
    /// First address and prefix length of the range of cluster IPs.
    pub service_cidr: (Ipv4Addr, u8),
    /// What pods reach through the Service `default/kubernetes`.
    pub advertise: SocketAddr,
    /// Whether webhooks are asked on this machine alone: on loopback, the node and its pods.
    pub offline: bool,
}

impl std::fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerConfig")
            .field("database", &self.database)
            .field("listeners", &self.listeners)
            .field("service_cidr", &self.service_cidr)
            .field("advertise", &self.advertise)
            .field("offline", &self.offline)
            .finish_non_exhaustive()
    }
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The object database.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A key or certificate is not what it should be.
    #[error("the API server's {what} cannot be used: {source}")]
    Pki {
        /// Which one.
        what: &'static str,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A listener cannot be used.
    #[error("the API server cannot listen: {0}")]
    Listen(#[from] std::io::Error),
    /// The objects that every cluster has could not be made.
    #[error("making the cluster's first objects failed: {0}")]
    Bootstrap(#[from] super::ApiError),
}

/// A running API server. It stops when the token that it was started with is cancelled; dropping it leaves it
/// running.
#[derive(Clone)]
pub struct Server {
    api: Arc<Api>,
    addresses: Vec<SocketAddr>,
    tasks: TaskTracker,
}

fn pki(what: &'static str) -> impl Fn(Box<dyn std::error::Error + Send + Sync>) -> StartError {
    move |source| StartError::Pki { what, source }
}

impl Server {
    /// Opens the database, makes what is missing of the first objects, and serves. Must run in a tokio runtime.
    pub async fn start(
        config: ServerConfig,
        shutdown: CancellationToken,
    ) -> Result<Self, StartError> {
        Self::start_with(config, admission::plugins(), shutdown).await
    }

    /// As [`Server::start`], with these admission plugins.
    pub(super) async fn start_with(
        config: ServerConfig,
        plugins: Vec<Box<dyn Plugin>>,
        shutdown: CancellationToken,
    ) -> Result<Self, StartError> {
        let journal = RedbJournal::open(&config.database)?;
        let store = Store::open(Box::new(journal), Limits::default())?;
        let token_key = PrivatePkcs8KeyDer::from_pem_slice(&config.token_key)
            .map_err(|e| pki("token key")(Box::new(e)))?;
        let tokens = Tokens::new(token_key.secret_pkcs8_der())
            .map_err(|e| pki("token key")(e.to_string().into()))?;
        let acceptor = TlsAcceptor::from(Arc::new(tls(&config)?));
        let addresses = Allocator::new(config.service_cidr.0, config.service_cidr.1);
        let api = Api::new(store, tokens, addresses, plugins, config.offline, shutdown.clone());
        let api = Arc::new(api);
        bootstrap::run(&api, &config).await?;
        let tasks = TaskTracker::new();
        tasks.spawn(bootstrap::keep_aggregated_roles(api.clone()));
        tasks.spawn(bootstrap::clean_up_definitions(api.clone()));
        tasks.spawn(bootstrap::expire_events(api.clone()));
        tasks.spawn(quota::keep(api.clone()));
        let mut bound = Vec::new();
        for listener in config.listeners {
            listener.set_nonblocking(true)?;
            bound.push(listener.local_addr()?);
            let listener = tokio::net::TcpListener::from_std(listener)?;
            tasks.spawn(accept(api.clone(), listener, acceptor.clone(), tasks.clone()));
        }
        tasks.close();
        Ok(Self { api, addresses: bound, tasks })
    }

    /// Where it serves: the first listener.
    pub fn addr(&self) -> Option<SocketAddr> {
        self.addresses.first().copied()
    }

    /// A client that calls the handlers directly, as this user. RBAC holds for it as for everybody.
    pub fn local_client(&self, user: &str, groups: &[&str]) -> kube::Client {
        let (api, user) = (self.api.clone(), User::new(user, groups.iter().copied()));
        let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
            let (api, user) = (api.clone(), user.clone());
            async move {
                Ok::<_, std::convert::Infallible>(route::answer(api, Some(user), request).await)
            }
        });
        kube::Client::new(service, "default")
    }

    #[cfg(test)]
    pub(super) fn api(&self) -> Arc<Api> {
        self.api.clone()
    }

    /// Introduces the node, which serves `pods/log` and the other subresources that reach into pods, and `nodes/proxy`.
    pub fn set_node(&self, node: Arc<dyn NodeBackend>) {
        self.api.set_node(node);
    }

    /// Waits until all connections have ended after the shutdown token was cancelled, then closes the database.
    /// Clients that are still in use get 503 from then on.
    pub async fn stopped(&self) {
        self.tasks.wait().await;
        self.api.streams.close();
        self.api.streams.wait().await;
        self.api.store.close();
    }
}

fn tls(config: &ServerConfig) -> Result<rustls::ServerConfig, StartError> {
    let chain = |pem: &[u8]| CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let key =
        PrivateKeyDer::from_pem_slice(&config.key).map_err(|e| pki("private key")(Box::new(e)))?;
    let mut roots = rustls::RootCertStore::empty();
    for certificate in chain(&config.ca).map_err(|e| pki("CA certificate")(Box::new(e)))? {
        roots.add(certificate).map_err(|e| pki("CA certificate")(Box::new(e)))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(|e| pki("CA certificate")(Box::new(e)))?;
    let certificates = chain(&config.certificate).map_err(|e| pki("certificate")(Box::new(e)))?;
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| pki("TLS configuration")(Box::new(e)))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates, key)
        .map_err(|e| pki("certificate")(Box::new(e)))?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(tls)
}

async fn accept(
    api: Arc<Api>,
    listener: tokio::net::TcpListener,
    acceptor: TlsAcceptor,
    tasks: TaskTracker,
) {
    loop {
        let stream = tokio::select! {
            () = api.stopping.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of descriptors, most likely: others must close some first.
                    tracing::warn!(%error, "accepting a connection failed");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        tasks.spawn(serve(api.clone(), stream, acceptor.clone()));
    }
}

/// A client that does not finish its handshake in this time is let go.
const HANDSHAKE: std::time::Duration = std::time::Duration::from_secs(10);

async fn serve(api: Arc<Api>, stream: tokio::net::TcpStream, acceptor: TlsAcceptor) {
    let _ = stream.set_nodelay(true);
    let stream = match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => return tracing::debug!("a TLS handshake took too long"),
    };
    let peer =
        stream.get_ref().1.peer_certificates().and_then(|chain| certificate::user(chain.first()?));
    let stopping = api.stopping.clone();
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (api, peer) = (api.clone(), peer.clone());
        async move { Ok::<_, std::convert::Infallible>(route::answer(api, peer, request).await) }
    });
    let mut builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new());
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(1000);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(HANDSHAKE, connection).await {
                Ok(ended) => ended,
                Err(_) => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
