//! The role `observer`: keeps log lines and answers queries.
//!
//! Three doors: REST for people's clients, bearer MCP for agents (both with tokens of the instance and behind
//! the Host and Origin check), and one for the collector alone.

mod ask;
mod gate;
mod ingest;
mod rest;
mod service;
mod token;
mod tools;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::{Router, middleware};
use curtain_control::identity::Validator;
use curtain_control::mcp;
use curtain_role::origin::AllowedHosts;
use curtain_role::{Health, HealthError, KubeAccess, KubeError, Shutdown};
use http::Uri;
use tokio::net::TcpListener;

use crate::store::{Retention, Store, StoreError};

/// How often retention is applied.
const PRUNE_EVERY: Duration = Duration::from_secs(60);

/// How the observer is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where REST listens.
    pub listen: SocketAddr,
    /// Where bearer MCP listens.
    pub mcp_listen: SocketAddr,
    /// Where the collector posts to.
    pub ingest_listen: SocketAddr,
    /// Where the health checks listen.
    pub health_listen: SocketAddr,
    /// Directory of the database; it must exist.
    pub data: PathBuf,
    /// How much is kept.
    pub retention: Retention,
    /// Base URL of the control plane's REST API: decisions and signing keys.
    pub control: Uri,
    /// `iss` of tokens.
    pub issuer: String,
    /// `aud` of tokens.
    pub audience: String,
    /// The user that may post lines, such as `system:serviceaccount:NAMESPACE:collector`.
    pub collector: String,
    /// Host names to answer to beside the loopback and cluster ones.
    pub allowed_hosts: Vec<String>,
    /// The API server of the cluster, for token reviews.
    pub kube: KubeAccess,
    /// Version of the binary.
    pub version: String,
}

/// Why the observer ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No client for the cluster.
    #[error(transparent)]
    Kube(#[from] KubeError),
    /// The control plane's URL makes no sense.
    #[error("the URL of the control plane {url:?} cannot be used: {source}")]
    Control {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        source: http::uri::InvalidUri,
    },
    /// An address is taken or not ours.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The health checks cannot be served.
    #[error(transparent)]
    Health(#[from] HealthError),
    /// A server ended by itself.
    #[error("the server ended: {0}")]
    Serve(#[source] io::Error),
}

/// Runs the role until `shutdown`.
///
/// # Errors
/// [`Error`], when it cannot start.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), Error> {
    let health = Health::default();
    let ready = health.check("database");
    let (path, retention) = (config.data.join("logs.db"), config.retention);
    let opened = tokio::task::spawn_blocking(move || Store::open(&path, retention)).await;
    let store = opened.map_err(|_| StoreError::Interrupted)??;
    ready.pass();

    let doorman = ingest::Doorman::new(config.kube.client().await?, &config.collector);
    let bad_url = |source| Error::Control { url: config.control.to_string(), source };
    let jwks = format!("{}/oauth2/jwks", config.control.to_string().trim_end_matches('/'));
    let jwks: Uri = jwks.parse().map_err(bad_url)?;
    let validator = Arc::new(Validator::remote(jwks, &config.issuer, &config.audience));
    let gate = gate::Gate::new(&config.control).map_err(bad_url)?;
    let (rest, tools) = doors(&config, &store, gate, validator, &shutdown);
    let ingest = ingest::routes(store.clone(), doorman);

    let (listener, mcp_listener) = (listen(config.listen).await?, listen(config.mcp_listen).await?);
    let ingest_listener = listen(config.ingest_listen).await?;
    tokio::spawn(prune(store, shutdown.clone()));
    tracing::info!(rest = %config.listen, mcp = %config.mcp_listen, "observer listens");
    tokio::try_join!(
        serve(listener, rest, shutdown.clone()),
        serve(mcp_listener, tools, shutdown.clone()),
        serve(ingest_listener, ingest, shutdown.clone()),
        async { Ok(health.serve(config.health_listen, shutdown.clone()).await?) },
    )?;
    Ok(())
}

/// REST and MCP.
fn doors(
    config: &Config,
    store: &Store,
    gate: gate::Gate,
    validator: Arc<Validator>,
    shutdown: &Shutdown,
) -> (Router, Router) {
    let hosts = AllowedHosts::new(own_names(config));
    let logs = service::Logs::new(store.clone(), gate);
    let tokens = token::Tokens::default();
    let toolbox = tools::ObserverTools {
        logs: logs.clone(),
        tokens: tokens.clone(),
        version: config.version.clone(),
    };
    let rest = rest::routes(logs, validator.clone()).layer(hosts.clone());
    let tools = mcp::router(toolbox, validator.clone(), shutdown.token())
        .layer(middleware::from_fn_with_state((tokens, validator), token::note))
        .layer(hosts);
    (rest, tools)
}

/// The names of our Service, and what was configured.
fn own_names(config: &Config) -> Vec<String> {
    let own = ["observer", "observer.openchoreo-observability-plane"].map(str::to_owned);
    own.into_iter().chain(config.allowed_hosts.iter().cloned()).collect()
}

async fn prune(store: Store, shutdown: Shutdown) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(PRUNE_EVERY) => {}
            () = shutdown.wait() => return,
        }
        let now = i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX);
        match store.run(move |store| store.prune(now)).await {
            Ok(0) => {}
            Ok(lines) => tracing::info!(lines, "old lines were removed"),
            Err(error) => tracing::error!(%error, "old lines could not be removed"),
        }
    }
}

async fn listen(addr: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(addr).await.map_err(|source| Error::Listen { addr, source })
}

async fn serve(listener: TcpListener, router: Router, shutdown: Shutdown) -> Result<(), Error> {
    axum::serve(listener, router)
        .with_graceful_shutdown(async move { shutdown.wait().await })
        .await
        .map_err(Error::Serve)
}

#[cfg(test)]
mod tests;

/// The collector's door alone, for its tests.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// Serves it at `address`, or somewhere; returns where.
    pub(crate) async fn ingest(
        store: &Store,
        client: kube::Client,
        user: &str,
        address: Option<SocketAddr>,
        shutdown: &Shutdown,
    ) -> SocketAddr {
        let router = ingest::routes(store.clone(), ingest::Doorman::new(client, user));
        let address = address.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        let listener = listen(address).await.expect("binds");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(serve(listener, router, shutdown.clone()));
        address
    }
}
