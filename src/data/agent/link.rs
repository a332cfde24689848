//! Keeping one tunnel open.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use curtain_role::dns::Resolver;
use curtain_role::{Backoff, Check};
use curtain_tunnel::certs::{CertError, Pair, roots};
use curtain_tunnel::{DialError, PlaneId, dial, serve};
use hyper::service::service_fn;
use kube::Client;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::{Config, pass};

/// First pause after a lost tunnel; the role's back-off doubles from there.
const FIRST: Duration = Duration::from_millis(50);
/// How long the hub may take to accept, with TLS and upgrade.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Why a tunnel is not there.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error("cannot reach the hub {url}: {source}")]
    Reach { url: String, source: io::Error },
    #[error("the hub {0} did not answer within 10 s")]
    Late(String),
    #[error(transparent)]
    Certificates(#[from] CertError),
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("the tunnel broke: {0}")]
    Broke(#[from] hyper::Error),
}

/// Open the tunnel of `plane` again and again; `check` tells whether it is open.
pub(super) async fn keep(config: &Config, plane: &PlaneId, kube: Client, check: Check) {
    let mut backoff = Backoff::starting_at(FIRST);
    loop {
        let ended = once(config, plane, kube.clone(), &check).await;
        check.fail();
        let pause = backoff.next().unwrap_or(FIRST);
        match ended {
            Ok(()) => tracing::info!(%plane, ?pause, "the hub closed the tunnel; dialling again"),
            Err(error) => tracing::warn!(%plane, ?pause, %error, "no tunnel; trying again"),
        }
        sleep(pause).await;
    }
}

async fn once(
    config: &Config,
    plane: &PlaneId,
    kube: Client,
    check: &Check,
) -> Result<(), LinkError> {
    let url = || config.server_url.to_string();
    let stream = timeout(HANDSHAKE, async {
        let tcp = reach(config).await.map_err(|source| LinkError::Reach { url: url(), source })?;
        Ok::<_, LinkError>(dial(tcp, &config.server_url, tls(config)?, plane).await?)
    });
    let stream = stream.await.map_err(|_| LinkError::Late(url()))??;
    check.pass();
    tracing::info!(%plane, "the tunnel is open");
    serve(stream, service_fn(move |request| pass::pass(kube.clone(), request))).await?;
    Ok(())
}

/// The agent's side of TLS, from the mounted files as they are now.
pub(super) fn tls(config: &Config) -> Result<Arc<ClientConfig>, CertError> {
    let mut tls = Pair::read(&config.certificates)?.client(roots(&config.server_ca)?)?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(tls))
}

async fn reach(config: &Config) -> io::Result<TcpStream> {
    let bad = || io::Error::new(io::ErrorKind::InvalidInput, "the URL has no host");
    let host = config.server_url.host().ok_or_else(bad)?;
    let port = config.server_url.port_u16().unwrap_or(443);
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in Resolver::default().lookup(host).await? {
        match TcpStream::connect((address, port)).await {
            Ok(tcp) => {
                tcp.set_nodelay(true)?;
                return Ok(tcp);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
