//! The role `api-server`: REST and identity on one port, bearer MCP on another.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};

use axum::Router;
use curtain_platform::remote::{Gateway, Planes};
use curtain_role::{
    Health, HealthError, Instance, KubeAccess, KubeError, ServeError, Shutdown, listen,
    origin::AllowedHosts, serve,
};
use kube::Client;

use crate::{
    audit::{Audit, Retention, StoreError, observed_routes},
    authz::{Authorizer, Clock, Policies, sweep, watch_policies},
    identity::{
        Directory, Doorman, Issuer, KeyError, Validator,
        routes::{Identity, routes as identity_routes},
        watch_subjects,
    },
    live::Live,
    mcp,
    objects::Objects,
    rest::{self, Api, System},
};

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
    /// Directory of the audit records; it must exist.
    pub data: PathBuf,
    /// How many of those are kept.
    pub retention: Retention,
    /// The user that may tell what the observer was asked, such as `system:serviceaccount:NAMESPACE:observer`.
    pub observer: String,
    /// The same for the SRE agent.
    pub sre_agent: String,
    /// `iss` of tokens.
    pub issuer: String,
    /// `aud` of tokens.
    pub audience: String,
    /// The instance, for the commands that errors suggest.
    pub instance: Instance,
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
    /// The audit records cannot be kept.
    #[error(transparent)]
    Audit(#[from] StoreError),
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
    let path = config.identity_dir.join("tls.key");
    let pem = std::fs::read(&path).map_err(|source| Error::Key { path, source })?;
    let issuer = Issuer::new(&pem, config.issuer.clone(), config.audience.clone())?;
    let client = config.kube.client().await?;

    let health = Health::default();
    let clock = Clock::default();
    let (path, retention) = (config.data.join("audit.redb"), config.retention);
    let by = clock.clone();
    let opened = tokio::task::spawn_blocking(move || Audit::open(&path, retention, by)).await;
    let audit = opened.map_err(|_| StoreError::Interrupted)??;
    let about = About {
        clock,
        audit: audit.clone(),
        roles: [config.observer.clone(), config.sre_agent.clone()],
        namespace: config.namespace.clone(),
        instance: config.instance.clone(),
        hosts: AllowedHosts::new(own_names(&config)),
        version: config.version.clone(),
        revision: config.revision.clone(),
    };
    let planes = Planes::Gateway(config.gateway.clone());
    let (rest, mcp) = doors(client, issuer, planes, about, &health, &shutdown);

    let (rest_listener, mcp_listener) =
        (listen(config.listen).await?, listen(config.mcp_listen).await?);
    tracing::info!(rest = %config.listen, mcp = %config.mcp_listen, "api-server listens");
    let served = tokio::try_join!(
        async { Ok(serve(rest_listener, rest, shutdown.clone()).await?) },
        async { Ok(serve(mcp_listener, mcp, shutdown.clone()).await?) },
        async { Ok(health.serve(config.health_listen, shutdown.clone()).await?) },
    );
    audit.flush().await;
    served.map(drop)
}

/// What the doors need to know of themselves.
pub(crate) struct About {
    /// By what grants end.
    pub(crate) clock: Clock,
    /// Where records go.
    pub(crate) audit: Audit,
    /// The users that the observer and the SRE agent are.
    pub(crate) roles: [String; 2],
    /// The namespace with the subjects' Secrets.
    pub(crate) namespace: String,
    /// The instance.
    pub(crate) instance: Instance,
    /// Host names to answer to.
    pub(crate) hosts: AllowedHosts,
    /// Version of the binary.
    pub(crate) version: String,
    /// Build of the binary.
    pub(crate) revision: String,
}

/// REST with identity, and bearer MCP. What they follow in the cluster is followed from now on; `health` says when it
/// is known.
pub(crate) fn doors(
    client: Client,
    issuer: Issuer,
    planes: Planes,
    about: About,
    health: &Health,
    shutdown: &Shutdown,
) -> (Router, Router) {
    let About { clock, audit, roles, namespace, instance, hosts, version, revision } = about;
    let (directory, policies) = (Directory::default(), Policies::default());
    let authorizer = Authorizer::new(policies.subscribe(), clock.clone(), instance.clone());
    tokio::spawn(sweep(client.clone(), policies.subscribe(), clock, shutdown.clone()));
    let (subjects_ready, policies_ready) = (health.check("subjects"), health.check("policies"));
    let (subjects_client, watched, stop) = (client.clone(), directory.clone(), shutdown.clone());
    tokio::spawn(async move {
        watch_subjects(subjects_client, &namespace, watched, subjects_ready, stop).await;
    });
    tokio::spawn(watch_policies(client.clone(), policies, policies_ready, shutdown.clone()));

    let validator = Arc::new(Validator::own(&issuer, directory.clone(), instance.clone()));
    let identity = Arc::new(Identity::new(issuer, directory.clone(), instance));
    let doorman = Doorman::new(client.clone(), roles);
    let objects = Objects::new(client, authorizer);
    let live = Live::new(objects.clone(), planes);
    let system = System { health: health.clone(), version: version.clone(), revision };
    let api = Api {
        objects: objects.clone(),
        live: live.clone(),
        directory,
        audit: audit.clone(),
        shutdown: shutdown.clone(),
    };
    let rest = rest::routes(api, validator.clone(), system)
        .merge(identity_routes(identity, validator.clone()))
        .merge(observed_routes(audit.clone(), doorman))
        .layer(hosts.clone());
    let tools = mcp::ControlPlane::new(objects, live, audit, version);
    let mcp = mcp::router(tools, validator, shutdown.token()).layer(hosts);
    (rest, mcp)
}

/// The names of our Service, and what was configured.
fn own_names(config: &Config) -> Vec<String> {
    let service = "openchoreo-api".to_owned();
    let qualified = format!("{service}.{}", config.namespace);
    [service, qualified].into_iter().chain(config.allowed_hosts.iter().cloned()).collect()
}
