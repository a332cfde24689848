//! The role `observer`: keeps log lines and answers queries.
//!
//! Three doors: REST for people's clients, bearer MCP for agents (both with tokens of the instance and behind
//! the Host and Origin check), and one for the collector alone.

mod ask;
mod gate;
mod ingest;
mod rest;
mod service;
mod tools;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use curtain_control::identity::Validator;
use curtain_control::mcp;
use curtain_role::origin::AllowedHosts;
use curtain_role::{
    Health, HealthError, Instance, KubeAccess, KubeError, ServeError, Shutdown, listen, serve,
};
use http::Uri;

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
    /// The instance, for the commands that errors suggest.
    pub instance: Instance,
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
    /// A door cannot be served.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The health checks cannot be served.
    #[error(transparent)]
    Health(#[from] HealthError),
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
    let jwks = format!("{}/oauth2/jwks", config.control.to_string().trim_end_matches('/'));
    let jwks: Uri = jwks.parse().map_err(|source| Error::Control { url: jwks.clone(), source })?;
    let instance = config.instance.clone();
    let validator = Validator::remote(jwks, &config.issuer, &config.audience, instance.clone());
    let validator = Arc::new(validator);
    let gate = gate::Gate::new(&config.control, instance);
    let (rest, tools) = doors(&config, &store, gate, validator, &shutdown);
    let ingest = ingest::routes(store.clone(), doorman);

    let (listener, mcp_listener) = (listen(config.listen).await?, listen(config.mcp_listen).await?);
    let ingest_listener = listen(config.ingest_listen).await?;
    tokio::spawn(prune(store, shutdown.clone()));
    tracing::info!(rest = %config.listen, mcp = %config.mcp_listen, "observer listens");
    tokio::try_join!(
        async { serve(listener, rest, shutdown.clone()).await.map_err(Error::from) },
        async { serve(mcp_listener, tools, shutdown.clone()).await.map_err(Error::from) },
        async { serve(ingest_listener, ingest, shutdown.clone()).await.map_err(Error::from) },
        async {
            let health = health.serve(config.health_listen, shutdown.clone());
            health.await.map_err(Error::from)
        },
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
    let toolbox = tools::ObserverTools { logs: logs.clone(), version: config.version.clone() };
    let rest = rest::routes(logs, validator.clone()).layer(hosts.clone());
    let tools = mcp::router(toolbox, validator, shutdown.token()).layer(hosts);
    (rest, tools)
}

/// The names of our Service, and what was configured.
fn own_names(config: &Config) -> Vec<String> {
    let own = ["observer", "observer.openchoreo-observability-plane"].map(str::to_owned);
    own.into_iter().chain(config.allowed_hosts.iter().cloned()).collect()
}

async fn prune(store: Store, shutdown: Shutdown) {
    // At once, too: an observer that is restarted again and again must forget as well.
    loop {
        let now = i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX);
        match store.run(move |store| store.prune(now)).await {
            Ok(0) => {}
            Ok(lines) => tracing::info!(lines, "old lines were removed"),
            Err(error) => tracing::error!(%error, "old lines could not be removed"),
        }
        tokio::select! {
            () = tokio::time::sleep(PRUNE_EVERY) => {}
            () = shutdown.wait() => return,
        }
    }
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
