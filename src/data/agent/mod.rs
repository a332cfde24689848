//! The cluster agent: a plane's only link to the control plane.
//!
//! It dials the hub once per plane it stands for and then serves HTTP/2
//! requests on that tunnel, passing those below `/k8s/` to the API server of
//! its own cluster with its own service account.
//!
//! Invariants: nobody dials in; no credential from the tunnel reaches the API
//! server (`Authorization` and impersonation headers are dropped), so what a
//! control plane can do is what the agent's RBAC says; a lost tunnel is tried
//! again for ever, from 50 ms on.
//!
//! Entry point: [`run`].

mod link;
mod pass;

use std::net::IpAddr;
use std::path::PathBuf;

use curtain_role::{Health, HealthError, KubeAccess, KubeError, Shutdown};
pub use curtain_tunnel::PlaneId;
use curtain_tunnel::certs::CertError;
use futures::future::join_all;
use http::Uri;

/// Settings of the role.
#[derive(Debug, Clone)]
pub struct Config {
    /// The hub, `wss://HOST:PORT/ws`.
    pub server_url: Uri,
    /// The planes this agent stands for; each gets a tunnel of its own.
    pub planes: Vec<PlaneId>,
    /// Directory with `tls.crt` and `tls.key`, the agent's certificate.
    pub certificates: PathBuf,
    /// The CA of the hub's certificate, a PEM file.
    pub server_ca: PathBuf,
    /// How to reach this cluster's API server.
    pub kube: KubeAccess,
    /// Address for health checks.
    pub bind: IpAddr,
    /// Port of `/healthz` and `/readyz`, usually 8086.
    pub health_port: u16,
}

/// Why the agent ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing to stand for.
    #[error("no plane is given; write --plane dataplane/ID at least once")]
    NoPlane,
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

/// Stand for the planes until `shutdown`. Ready while every tunnel is open.
///
/// # Errors
/// [`Error`] when something that is needed to start is missing.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), Error> {
    if config.planes.is_empty() {
        return Err(Error::NoPlane);
    }
    // Broken certificates should end the role at once; later ones are read anew.
    link::tls(&config)?;
    let kube = config.kube.client().await?;
    let health = Health::default();
    let links = config.planes.iter().map(|plane| {
        let check = health.check(match plane.kind {
            curtain_tunnel::PlaneType::Data => "tunnel of the data plane",
            curtain_tunnel::PlaneType::Workflow => "tunnel of the workflow plane",
            curtain_tunnel::PlaneType::Observability => "tunnel of the observability plane",
        });
        link::keep(&config, plane, kube.clone(), check)
    });
    let links = join_all(links.collect::<Vec<_>>());
    let health = health.serve((config.bind, config.health_port).into(), shutdown.clone());
    tokio::select! {
        ended = health => ended?,
        _ = links => {}
        () = shutdown.wait() => {}
    }
    Ok(())
}
