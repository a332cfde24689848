//! The role `observer`: keeps telemetry and answers queries.
//!
//! Each kind of telemetry is a [`Signal`]; what they share is here: who may ask and whether there is what was
//! named ([`Places`]), how a query becomes an answer or a refusal ([`rest`]), and what the collector posts ([`intake`]).
//!
//! Three doors: REST for people's clients, bearer MCP for agents (both with tokens of the instance and behind
//! the Host and Origin check), and one for the collector alone.

mod ingest;
pub(crate) mod intake;
mod places;
mod refusal;
pub(crate) mod rest;
mod signal;
mod tools;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use curtain_control::audit::Witness;
use curtain_control::authz::{Gate, Via};
use curtain_control::identity::{ControlUrlError, Doorman, Validator};
use curtain_control::mcp;
use curtain_role::origin::AllowedHosts;
use curtain_role::{
    Health, HealthError, Instance, KubeAccess, KubeError, ServeError, Shutdown, listen, serve,
};
use http::Uri;

pub(crate) use places::Places;
pub(crate) use refusal::Refusal;
pub(crate) use signal::Signal;

use crate::alerts::{self, Alerts, Telemetry};
use crate::asked::nanoseconds;
use crate::database::{DatabaseError, Retention};
use crate::events::{self, Events};
use crate::logs::{self, Logs};
use crate::metrics::{self, Metrics, Prices};
use crate::traces::{self, Traces};

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
    /// Directory of the databases; it must exist.
    pub data: PathBuf,
    /// How much each of them keeps.
    pub retention: Retention,
    /// What resources cost.
    pub prices: Prices,
    /// How alerts are handled.
    pub alerts: alerts::Options,
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
    /// A database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// No client for the cluster.
    #[error(transparent)]
    Kube(#[from] KubeError),
    /// The control plane's URL makes no sense.
    #[error(transparent)]
    Control(#[from] ControlUrlError),
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
    let witness = Witness::start(&config.control, shutdown.clone());
    let gate = Gate::new(&config.control, config.instance.clone(), Via::Observer);
    let gate = gate.witnessed(witness);
    let gate = Arc::new(gate);
    let (set_up, asked) = (config.clone(), gate.clone());
    let opened = tokio::task::spawn_blocking(move || signals(&set_up, &asked)).await;
    let signals = opened.map_err(|_| DatabaseError::Interrupted)??;
    ready.pass();

    let client = config.kube.client().await?;
    signals.iter().for_each(|signal| signal.start(&client, &shutdown));
    let doorman = Doorman::new(client, [&config.collector]);
    let instance = config.instance.clone();
    let validator = Validator::remote(&config.control, &config.issuer, &config.audience, instance)?;
    let validator = Arc::new(validator);
    let (rest, tools) = doors(&config, &signals, gate, validator, &shutdown);
    let ingest = ingest::guarded(posts(&signals), doorman);

    let (listener, mcp_listener) = (listen(config.listen).await?, listen(config.mcp_listen).await?);
    let ingest_listener = listen(config.ingest_listen).await?;
    tokio::spawn(prune(signals, shutdown.clone()));
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

/// All kinds of telemetry, with their databases opened. Blocks.
fn signals(config: &Config, gate: &Arc<Gate>) -> Result<Arc<[Box<dyn Signal>]>, DatabaseError> {
    let (retention, path) = (config.retention, |name: &str| config.data.join(name));
    let lines = logs::Store::open(&path("logs.db"), retention)?;
    let samples = metrics::Store::open(&path("metrics.db"), retention)?;
    let alerts = alerts::Store::open(&path("alerts.db"), retention)?;
    let happened = events::Store::open(&path("events.db"), retention)?;
    let spans = traces::Store::open(&path("traces.db"), retention)?;
    let kept = [
        samples.database.clone(),
        lines.database.clone(),
        happened.database.clone(),
        spans.database.clone(),
        alerts.database.clone(),
    ];
    let places = Places::new(gate.clone(), kept.clone());
    let [of_samples, of_lines, of_events, of_spans, of_alerts] =
        kept.each_ref().map(|own| places.of(own));
    let joined = metrics::Joined { samples, spans: spans.clone() };
    let (logs, metrics, events) = (lines.clone(), joined.clone(), happened.clone());
    let measure =
        Telemetry { logs, metrics, events, prices: config.prices, answered: Arc::default() };
    let signals: [Box<dyn Signal>; 5] = [
        Box::new(Logs::new(lines, of_lines)),
        Box::new(Events::new(happened, of_events)),
        Box::new(Traces::new(spans, of_spans)),
        Box::new(Metrics::new(joined, of_samples, config.prices)),
        Box::new(Alerts::new(alerts, measure, of_alerts, config.alerts.clone())),
    ];
    Ok(Arc::new(signals))
}

/// REST and MCP.
fn doors(
    config: &Config,
    signals: &Arc<[Box<dyn Signal>]>,
    gate: Arc<Gate>,
    validator: Arc<Validator>,
    shutdown: &Shutdown,
) -> (Router, Router) {
    let hosts = AllowedHosts::new(own_names(config));
    let queries = signals.iter().fold(Router::new(), |router, one| router.merge(one.rest()));
    let rest = rest::routes(queries, validator.clone()).layer(hosts.clone());
    let version = config.version.clone();
    let toolbox = tools::ObserverTools { signals: signals.clone(), gate, version };
    let tools = mcp::router(toolbox, validator, shutdown.token()).layer(hosts);
    (rest, tools)
}

/// What the collector may post and ask.
fn posts(signals: &Arc<[Box<dyn Signal>]>) -> Router {
    signals.iter().fold(Router::new(), |router, one| router.merge(one.ingest()))
}

/// The names of our Service, and what was configured.
fn own_names(config: &Config) -> Vec<String> {
    let own = ["observer", "observer.openchoreo-observability-plane"].map(str::to_owned);
    own.into_iter().chain(config.allowed_hosts.iter().cloned()).collect()
}

async fn prune(signals: Arc<[Box<dyn Signal>]>, shutdown: Shutdown) {
    // At once, too: an observer that is restarted again and again must forget as well.
    loop {
        let now = nanoseconds(jiff::Timestamp::now());
        for signal in signals.iter() {
            match signal.prune(now).await {
                Ok(0) => {}
                Ok(rows) => tracing::info!(rows, "what was too old or too much was removed"),
                Err(error) => tracing::error!(%error, "old rows could not be removed"),
            }
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

    /// Places of which nothing can be asked.
    fn places() -> Places {
        let nowhere = Uri::from_static("http://127.0.0.1:1");
        Places::new(Arc::new(Gate::new(&nowhere, Instance::default(), Via::Observer)), [])
    }

    /// Serves it at `address`, or somewhere; returns where.
    pub(crate) async fn ingest(
        store: &logs::Store,
        client: kube::Client,
        user: &str,
        address: Option<SocketAddr>,
        shutdown: &Shutdown,
    ) -> SocketAddr {
        let lines = Logs::new(store.clone(), places()).ingest();
        serve_posts(lines, client, user, address, shutdown).await
    }

    /// The routes of events and spans.
    pub(crate) fn routes(events: &events::Store, traces: &traces::Store) -> Router {
        let traces = Traces::new(traces.clone(), places()).ingest();
        Events::new(events.clone(), places()).ingest().merge(traces)
    }

    /// Serves routes for the collector at `address`, or somewhere; returns where.
    pub(crate) async fn serve_posts(
        routes: Router,
        client: kube::Client,
        user: &str,
        address: Option<SocketAddr>,
        shutdown: &Shutdown,
    ) -> SocketAddr {
        let router = ingest::guarded(routes, Doorman::new(client, [user]));
        let address = address.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        let listener = listen(address).await.expect("binds");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(serve(listener, router, shutdown.clone()));
        address
    }
}
