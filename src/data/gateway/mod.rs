//! The gateway: a Gateway API proxy in front of the platform and of its
//! applications.
//!
//! One process serves one Gateway object. Watches keep a small [`world`] of
//! classes, routes and Services; every change compiles it anew into a
//! [`table`](router) that requests are matched against, and into the statuses
//! that the specification wants written.
//!
//! Beside the names of the routes, each route host can be reached by path:
//! `http://localhost:PORT/@<first label of the host>/…`, for tools that do not
//! resolve `*.localhost`.
//!
//! Invariants: compiling is pure and tested without a cluster; a request sees
//! one table from start to end; a status is written only when it changes, and
//! only our own part of it.
//!
//! Entry point: [`run`].

mod compile;
mod cookies;
mod cors;
mod counts;
mod filter;
mod forward;
mod host;
mod listen;
mod pathform;
mod proxy;
mod reconcile;
mod router;
mod status;
#[cfg(test)]
mod tests;
mod types;
mod upstream;
mod watch;
mod world;
mod write;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};

use curtain_role::{Health, HealthError, Instance, KubeAccess, KubeError, Shutdown};
use tokio::sync::Notify;

use self::counts::Counts;
use self::router::Router;
use self::upstream::Upstream;
use self::world::{Key, World};

/// The controller name that a GatewayClass of ours carries.
pub const CONTROLLER_NAME: &str = "curtain.dev/gateway";

/// Settings of the role.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address to listen on; ports come from the Gateway object.
    pub bind: IpAddr,
    /// Port of `/healthz`, `/readyz` and `/metrics`, usually 8086.
    pub health_port: u16,
    /// Namespace of the Gateway object.
    pub namespace: String,
    /// Name of the Gateway object. A Service of the same name, if there is
    /// one, gives the address in its status.
    pub name: String,
    /// Whether cookies of the platform's own sites (`curtain_…`) are kept from
    /// backends, and theirs from browsers: cookies ignore ports.
    pub strip_cookies: bool,
    /// The instance, as the commands that an answer gives must name it.
    pub instance: Instance,
    /// How to reach the API server.
    pub kube: KubeAccess,
}

/// Why the gateway ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No client for the API server.
    #[error(transparent)]
    Kube(#[from] KubeError),
    /// The health port was taken.
    #[error(transparent)]
    Health(#[from] HealthError),
    /// The API server could not be asked what it serves.
    #[error("cannot ask the API server which Gateway API kinds it serves: {0}")]
    Discovery(#[source] Box<kube::Error>),
}

/// What all tasks of the gateway share.
struct Shared {
    gateway: Key,
    world: RwLock<World>,
    /// Told when the world has changed.
    changed: Notify,
    router: RwLock<Arc<Router>>,
    upstream: Upstream,
    counts: Counts,
    strip_cookies: bool,
    instance: Instance,
}

impl Shared {
    fn router(&self) -> Arc<Router> {
        self.router.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Change the world and have it compiled.
    fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let result = change(&mut self.world.write().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_one();
        result
    }
}

/// Serve the Gateway until `shutdown`. Ready once its listeners are open.
///
/// # Errors
/// [`Error`] when something that is needed to start is missing.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), Error> {
    let kube = config.kube.client().await?;
    let health = Health::default();
    let ready = health.check("listeners of the Gateway");
    let gateway = Key::new(&config.namespace, &config.name);
    let shared = Arc::new(Shared {
        gateway,
        world: RwLock::default(),
        changed: Notify::new(),
        router: RwLock::default(),
        upstream: Upstream::new(),
        counts: Counts::default(),
        strip_cookies: config.strip_cookies,
        instance: config.instance,
    });
    let counted = shared.clone();
    let health = health.metrics(move || counted.counts.text());
    let health_address = SocketAddr::new(config.bind, config.health_port);
    tokio::select! {
        ended = health.serve(health_address, shutdown.clone()) => ended?,
        ended = watch::all(shared.clone(), kube.clone()) => ended?,
        () = reconcile::keep(shared, kube, config.bind, ready) => {}
        () = shutdown.wait() => {}
    }
    Ok(())
}
