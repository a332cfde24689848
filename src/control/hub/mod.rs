//! The cluster gateway: where the agents of planes dial in, and through which
//! the control plane reaches them.
//!
//! Two doors. *Agents* (`/ws`) open a tunnel with a client certificate; which
//! planes it stands for is decided by the CAs in the plane objects, not by the
//! TLS handshake. *Internal* (`/api/…`, mutual TLS with a CA of its own) turns
//! `/api/proxy/{type}/{id}/{ns|_cluster}/{name}/k8s/{path}` into a request at
//! an agent of that plane, streaming both ways.
//!
//! Invariants: an agent serves only the plane objects whose CA signed its
//! certificate, and loses them the moment the object says otherwise; the state
//! of connections is this process' memory and is written to
//! `status.agentConnection` as it changes.
//!
//! Entry point: [`run`].

mod agents;
mod answer;
mod internal;
mod planes;
mod route;
mod server;
mod status;
mod table;
#[cfg(test)]
mod tests;
mod trust;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use curtain_role::{Health, HealthError, KubeAccess, KubeError, ServeError, Shutdown, listen};
use curtain_tunnel::certs::CertError;
use tokio::sync::{Mutex, Notify};

use self::planes::Planes;
use self::table::Table;

/// Settings of the role.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address to listen on.
    pub bind: IpAddr,
    /// Port for agents, usually 8443.
    pub agent_port: u16,
    /// Port for the control plane, usually 8444.
    pub internal_port: u16,
    /// Port of `/healthz` and `/readyz`, usually 8086.
    pub health_port: u16,
    /// Directory with `tls.crt` and `tls.key`, served at both doors, and
    /// `ca.crt`, which signs the certificates of internal clients.
    pub certificates: PathBuf,
    /// How to reach the control plane's API server.
    pub kube: KubeAccess,
}

/// Why the cluster gateway ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A port was taken.
    #[error(transparent)]
    Listen(#[from] ServeError),
    /// Certificates are missing or broken.
    #[error(transparent)]
    Certificates(#[from] CertError),
    /// No client for the API server.
    #[error(transparent)]
    Kube(#[from] KubeError),
    /// The health port was taken.
    #[error(transparent)]
    Health(#[from] HealthError),
}

/// What both doors share.
struct Hub {
    table: Table,
    planes: Planes,
    kube: kube::Client,
    /// Told when connections or planes have changed.
    changed: Notify,
    /// Held while it is asked whom connections stand for.
    rechecking: Mutex<()>,
}

/// Serve both doors until `shutdown`.
///
/// # Errors
/// [`Error`] when something that is needed to start is missing.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), Error> {
    let agents = listen((config.bind, config.agent_port).into()).await?;
    let internal = listen((config.bind, config.internal_port).into()).await?;
    let certificates = server::Certificates::read(&config.certificates)?;
    let kube = config.kube.client().await?;
    let health = Health::default();
    let watching = health.check("plane objects");
    let health = health.serve((config.bind, config.health_port).into(), shutdown.clone());
    let hub = Arc::new(Hub {
        table: Table::default(),
        planes: Planes::default(),
        kube,
        changed: Notify::new(),
        rechecking: Mutex::default(),
    });
    tokio::select! {
        ended = health => ended?,
        () = planes::watch(hub.clone(), watching) => {}
        () = status::write(hub.clone()) => {}
        () = certificates.renew(shutdown.clone()) => {}
        () = server::serve(agents, certificates.agents(), agents::Door(hub.clone())) => {}
        () = server::serve(internal, certificates.internal(), internal::Door(hub)) => {}
        () = shutdown.wait() => {}
    }
    Ok(())
}
