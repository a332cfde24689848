//! The role `api-server`: REST and identity on one port, bearer MCP on another.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::Router;
use curtain_platform::remote::{Gateway, Planes};
use curtain_role::{Health, HealthError, KubeAccess, KubeError, Shutdown, origin::AllowedHosts};
use tokio::net::TcpListener;

use crate::{
    authz::{Authorizer, Policies, watch_policies},
    identity::{
        Directory, Issuer, KeyError, Validator,
        routes::{Identity, routes as identity_routes},
        watch_subjects,
    },
    live::Live,
    mcp,
    objects::Objects,
    rest::{self, Api, System},
};

/// How long requests in flight may go on when the role is asked to end: less than the pod's grace.
const AFTERMATH: Duration = Duration::from_secs(3);

/// How the api-server is set up.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where REST and identity listen.
    pub listen: SocketAddr,
    /// Where bearer MCP listens.
    pub mcp_listen: SocketAddr,
    /// Where the health checks listen.
    pub health_listen: SocketAddr,
    /// The namespace with the subjects' Secrets.
    pub namespace: String,
    /// Directory with the signing key, `tls.key`.
    pub identity_dir: PathBuf,
    /// `iss` of tokens.
    pub issuer: String,
    /// `aud` of tokens.
    pub audience: String,
    /// Host names to answer to beside the loopback and cluster ones.
    pub allowed_hosts: Vec<String>,
    /// The API server of the cluster.
    pub kube: KubeAccess,
    /// The cluster gateway, the way into the planes.
    pub gateway: Gateway,
    /// Version of the binary, for `/version`.
    pub version: String,
    /// Build of the binary, for `/version`.
    pub revision: String,
}

/// Why the api-server ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The signing key could not be read.
    #[error(
        "cannot read the signing key {path}: {source}; is the Secret identity-signing-key mounted there?"
    )]
    Key {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The signing key is none.
    #[error(transparent)]
    BadKey(#[from] KeyError),
    /// No client for the cluster.
    #[error(transparent)]
    Kube(#[from] KubeError),
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
    let path = config.identity_dir.join("tls.key");
    let pem = std::fs::read(&path).map_err(|source| Error::Key { path, source })?;
    let issuer = Issuer::new(&pem, config.issuer.clone(), config.audience.clone())?;
    let client = config.kube.client().await?;

    let health = Health::default();
    let (directory, policies) = (Directory::default(), Policies::default());
    let authorizer = Authorizer::new(policies.subscribe());
    let subjects_ready = health.check("subjects");
    let policies_ready = health.check("policies");
    let (watched, stop, namespace) =
        (directory.clone(), shutdown.clone(), config.namespace.clone());
    let subjects_client = client.clone();
    tokio::spawn(async move {
        watch_subjects(subjects_client, &namespace, watched, subjects_ready, stop).await;
    });
    tokio::spawn(watch_policies(client.clone(), policies, policies_ready, shutdown.clone()));

    let validator = Arc::new(Validator::own(&issuer, directory.clone()));
    let objects = Objects::new(client, authorizer);
    let live = Live::new(objects.clone(), Planes::Gateway(config.gateway.clone()));
    let system = System {
        health: health.clone(),
        version: config.version.clone(),
        revision: config.revision.clone(),
    };
    let api = Api { objects: objects.clone(), live: live.clone(), shutdown: shutdown.clone() };
    let hosts = AllowedHosts::new(own_names(&config));
    let rest = rest::routes(api, validator.clone(), system)
        .merge(identity_routes(Arc::new(Identity::new(issuer, directory)), validator.clone()))
        .layer(hosts.clone());
    let tools = mcp::ControlPlane::new(objects, live, config.version.clone());
    let mcp = mcp::router(tools, validator, shutdown.token()).layer(hosts);

    let rest_listener = listen(config.listen).await?;
    let mcp_listener = listen(config.mcp_listen).await?;
    tracing::info!(rest = %config.listen, mcp = %config.mcp_listen, "api-server listens");
    tokio::try_join!(
        serve(rest_listener, rest, shutdown.clone()),
        serve(mcp_listener, mcp, shutdown.clone()),
        async { Ok(health.serve(config.health_listen, shutdown.clone()).await?) },
    )?;
    Ok(())
}

/// The names of our Service, and what was configured.
fn own_names(config: &Config) -> Vec<String> {
    let service = "openchoreo-api".to_owned();
    let qualified = format!("{service}.{}", config.namespace);
    [service, qualified].into_iter().chain(config.allowed_hosts.iter().cloned()).collect()
}

async fn listen(addr: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(addr).await.map_err(|source| Error::Listen { addr, source })
}

/// Serves `router`; when asked to end, gives the requests in flight a moment to finish.
async fn serve(listener: TcpListener, router: Router, shutdown: Shutdown) -> Result<(), Error> {
    let asked = shutdown.clone();
    let served =
        axum::serve(listener, router).with_graceful_shutdown(async move { asked.wait().await });
    let too_long = async {
        shutdown.wait().await;
        tokio::time::sleep(AFTERMATH).await;
    };
    tokio::select! {
        served = served => served.map_err(Error::Serve),
        () = too_long => {
            tracing::warn!("requests were still in flight at the end");
            Ok(())
        }
    }
}
