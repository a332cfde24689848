//! The two TLS doors.

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use curtain_role::Shutdown;
use curtain_tunnel::certs::{CertError, Pair, clients_of, roots};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use rustls_pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::answer::Body;
use super::trust::Proven;

/// How long a client may take for its handshake, and then for its headers.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How often the mounted certificates are looked at.
const RENEWAL: Duration = Duration::from_secs(60);

/// Answers the requests of one door.
pub(super) trait Door: Clone + Send + Sync + 'static {
    /// Answer one request of a client that showed these certificates.
    fn answer(
        &self,
        chain: Arc<Vec<CertificateDer<'static>>>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Body>> + Send;
}

/// A TLS configuration that can be replaced while it serves.
#[derive(Clone)]
pub(super) struct Tls(Arc<RwLock<Arc<ServerConfig>>>);

impl Tls {
    fn new(config: ServerConfig) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(config))))
    }

    fn now(&self) -> Arc<ServerConfig> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, config: ServerConfig) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }
}

/// The mounted certificates and the two configurations made of them.
#[derive(Clone)]
pub(super) struct Certificates {
    directory: PathBuf,
    agents: Tls,
    internal: Tls,
}

impl Certificates {
    /// Read the certificates.
    pub(super) fn read(directory: &Path) -> Result<Self, CertError> {
        let (agents, internal) = configurations(directory)?;
        let directory = directory.to_owned();
        Ok(Self { directory, agents: Tls::new(agents), internal: Tls::new(internal) })
    }

    pub(super) fn agents(&self) -> Tls {
        self.agents.clone()
    }

    pub(super) fn internal(&self) -> Tls {
        self.internal.clone()
    }

    /// Take over renewed certificates, until `shutdown`.
    pub(super) async fn renew(&self, shutdown: Shutdown) {
        let read = || std::fs::read(self.directory.join("tls.crt")).unwrap_or_default();
        let mut served = read();
        while timeout(RENEWAL, shutdown.wait()).await.is_err() {
            let found = read();
            if found == served {
                continue;
            }
            match configurations(&self.directory) {
                Ok((agents, internal)) => {
                    self.agents.replace(agents);
                    self.internal.replace(internal);
                    served = found;
                    tracing::info!("serving a renewed certificate");
                }
                // A Secret is being replaced; the next look sees all of it.
                Err(error) => tracing::warn!(%error, "cannot use the renewed certificate yet"),
            }
        }
    }
}

fn configurations(directory: &Path) -> Result<(ServerConfig, ServerConfig), CertError> {
    let mut agents = Pair::read(directory)?.server(Proven::new())?;
    // An upgrade to WebSocket is a matter of HTTP/1.1.
    agents.alpn_protocols = vec![b"http/1.1".to_vec()];
    let path = directory.join("ca.crt");
    let no_root = |_| CertError::NoRoot { path: path.clone() };
    let clients = clients_of(roots(&path)?).map_err(no_root)?;
    let mut internal = Pair::read(directory)?.server(clients)?;
    internal.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((agents, internal))
}

/// Accept connections and answer their requests, for ever.
pub(super) async fn serve(listener: TcpListener, tls: Tls, door: impl Door) {
    loop {
        match listener.accept().await {
            Ok((tcp, peer)) => {
                let (config, door) = (tls.now(), door.clone());
                tokio::spawn(async move {
                    if let Err(error) = connection(tcp, config, door).await {
                        tracing::debug!(%peer, %error, "a connection ended early");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection; trying again");
                sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

async fn connection(
    tcp: TcpStream,
    config: Arc<ServerConfig>,
    door: impl Door,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    tcp.set_nodelay(true)?;
    let handshake = timeout(HANDSHAKE, TlsAcceptor::from(config).accept(tcp));
    let stream = handshake.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let chain = Arc::new(chain.iter().map(|der| der.clone().into_owned()).collect::<Vec<_>>());
    let service = service_fn(move |request| {
        let (door, chain) = (door.clone(), chain.clone());
        async move { Ok::<_, Infallible>(door.answer(chain, request).await) }
    });
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(HANDSHAKE);
    server.http2().timer(TokioTimer::new()).keep_alive_interval(Duration::from_secs(30));
    server.serve_connection_with_upgrades(TokioIo::new(stream), service).await
}
