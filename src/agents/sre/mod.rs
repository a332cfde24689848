//! The SRE agent: woken by an alert, it looks at the platform through the tools that any agent has, and reports the
//! likeliest causes with what speaks for them and what would help.
//!
//! Where a model is configured, it is asked over the same evidence and with the same tools what the rules make of it
//! (`reason`); without one, or when it cannot be asked, the rules' word stands.
//!
//! [`evidence`] is gathered once and then only read; [`rules`] judge it, the same for ever for the same evidence, and
//! abstain when it does not say enough; [`report`] is in the shape that clients of OpenChoreo know. The agent reads. A
//! change is made by a person, or by itself only where a person granted that kind of change (`apply`).
//!
//! Three doors: REST and bearer MCP for people and agents with tokens of the instance, and one for the observer alone,
//! which tells of alerts. Entry point: [`run`].

pub mod alert;
mod apply;
mod attempt;
mod chat;
pub mod conclude;
mod decide;
pub mod evidence;
mod fix;
mod leave;
mod places;
mod plain;
mod reason;
mod refusal;
pub mod report;
mod rest;
pub mod rules;
mod store;
mod tables;
mod tools;
mod work;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use curtain_control::audit::Witness;
use curtain_control::authz::{Gate, Via};
use curtain_control::identity::client::{Credentials, TokenClient, TokenClientError};
use curtain_control::identity::{ControlUrlError, Doorman, Secret, Validator};
use curtain_control::mcp;
use curtain_role::origin::AllowedHosts;
use curtain_role::{
    Health, HealthError, Instance, KubeAccess, KubeError, ServeError, Shutdown, listen, serve,
};
use http::Uri;

use crate::platform::{Held, Platform, Tools};
use chat::Chats;
use leave::Own;
use rest::Office;
use store::Store;
pub use store::StoreError;
use work::Analyst;

/// How the agent is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where REST listens.
    pub listen: SocketAddr,
    /// Where bearer MCP listens.
    pub mcp_listen: SocketAddr,
    /// Where the observer tells of alerts.
    pub alerts_listen: SocketAddr,
    /// Where the health checks listen.
    pub health_listen: SocketAddr,
    /// Directory of the database; it must exist.
    pub data: PathBuf,
    /// Directory with the files `client-id` and `client-secret`: who the agent is.
    pub identity: PathBuf,
    /// Directory with the files `RCA_MODEL_NAME`, `RCA_LLM_API_KEY` and `RCA_LLM_BASE_URL`, as far as a model is
    /// configured, and `RCA_COST_LIMIT_USD` with the prices that it takes. It is read for each analysis.
    pub model: PathBuf,
    /// Base URL of the control plane's REST API: tokens, decisions and signing keys.
    pub control: Uri,
    /// URL of the control plane's MCP server.
    pub control_mcp: Uri,
    /// URL of the observer's MCP server.
    pub observer_mcp: Uri,
    /// `iss` of tokens.
    pub issuer: String,
    /// `aud` of tokens.
    pub audience: String,
    /// The user that may tell of alerts, such as `system:serviceaccount:NAMESPACE:observer`.
    pub observer: String,
    /// The instance, for the commands that errors suggest.
    pub instance: Instance,
    /// Host names to answer to beside the loopback and cluster ones.
    pub allowed_hosts: Vec<String>,
    /// The API server of the cluster, for token reviews.
    pub kube: KubeAccess,
    /// Version of the binary.
    pub version: String,
}

/// Why the agent ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its identity cannot be read.
    #[error("cannot read {path}, which says who the agent is: {source}")]
    Identity {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The reports.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No client for the cluster.
    #[error(transparent)]
    Kube(#[from] KubeError),
    /// No client for the control plane.
    #[error(transparent)]
    Token(#[from] TokenClientError),
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
    let store = Store::open(&config.data.join("reports.db"))?;
    ready.pass();
    let base = config.control.to_string();
    let (name, credentials) = identity(&config).await?;
    let tokens = Arc::new(TokenClient::new(&base, config.instance.clone(), credentials)?);
    let witness = Witness::start(&config.control, shutdown.clone());
    let gate = Gate::new(&config.control, config.instance.clone(), Via::SreAgent);
    let gate = Arc::new(gate.witnessed(witness));
    let servers = (config.control_mcp.clone(), config.observer_mcp.clone());
    let platform = Arc::new(Platform::new(servers.clone(), tokens.clone(), &config.instance));
    let leave = Arc::new(Own::new(gate.clone(), tokens, &name));
    let instance = config.instance.clone();
    let eyes = move |token: Secret| -> Arc<dyn Tools> {
        Arc::new(Platform::new(servers.clone(), Arc::new(Held(token)), &instance))
    };
    let chats = Chats::new(config.model.clone(), Arc::new(eyes));
    let model = config.model.clone();
    let analyst = Analyst::new(store, (platform, leave), model.clone(), shutdown.clone());
    analyst.resume().await?;
    let office = Office { analyst, gate, chats };

    let doorman = Doorman::new(config.kube.client().await?, [&config.observer]);
    let instance = config.instance.clone();
    let validator = Validator::remote(&config.control, &config.issuer, &config.audience, instance)?;
    let (rest, tools) = doors(&config, &office, Arc::new(validator), &shutdown);
    let alerts = rest::alerts(office, doorman);

    let (listener, mcp_listener) = (listen(config.listen).await?, listen(config.mcp_listen).await?);
    let alerts_listener = listen(config.alerts_listen).await?;
    tracing::info!(rest = %config.listen, mcp = %config.mcp_listen, "the SRE agent listens");
    // It ends by itself, or with the process.
    tokio::spawn(async move { reason::greet(&model).await });
    tokio::try_join!(
        async { serve(listener, rest, shutdown.clone()).await.map_err(Error::from) },
        async { serve(mcp_listener, tools, shutdown.clone()).await.map_err(Error::from) },
        async { serve(alerts_listener, alerts, shutdown.clone()).await.map_err(Error::from) },
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
    office: &Office,
    validator: Arc<Validator>,
    shutdown: &Shutdown,
) -> (Router, Router) {
    let own = ["sre-agent", "sre-agent.openchoreo-observability-plane"].map(str::to_owned);
    let names = own.into_iter().chain(config.allowed_hosts.iter().cloned());
    let hosts = AllowedHosts::new(names.collect::<Vec<_>>());
    let rest = rest::reports(office.clone(), validator.clone()).layer(hosts.clone());
    let toolbox = tools::ReportTools { office: office.clone(), version: config.version.clone() };
    let tools = mcp::router(toolbox, validator, shutdown.token()).layer(hosts);
    (rest, tools)
}

/// Who the agent is: its name, and what proves it.
async fn identity(config: &Config) -> Result<(String, Credentials), Error> {
    let read = async |name: &str| {
        let path = config.identity.join(name);
        let text = tokio::fs::read_to_string(&path).await;
        text.map(|text| text.trim().to_owned()).map_err(|source| Error::Identity { path, source })
    };
    let id = read("client-id").await?;
    let secret = Secret::new(read("client-secret").await?);
    Ok((id.clone(), Credentials::Client { id, secret }))
}

#[cfg(test)]
mod tests;
