//! The controllers of the embedded cluster.
//!
//! Each is an ordinary client of the API server that works off a queue which watches fill; none polls, but `autoscale`
//! what pods use.
//! Watched kinds are shared: pods are in memory once, whoever needs them. A write's answer goes into the
//! cache at once, so that nobody acts twice on what its watch has not told yet.
//!
//! | controller | does |
//! |---|---|
//! | `collect` | deletes what has lost its owners; empties namespaces |
//! | `service_account` | `default` account and `kube-root-ca.crt` in every namespace |
//! | `account_token` | tokens of ServiceAccounts in Secrets |
//! | `deployment`, `replica_set` | rolling updates, pods |
//! | `stateful_set` | pods with names and claims of their own, one after the other |
//! | `daemon_set` | one pod on every node that fits |
//! | `job` | pods until enough of them have succeeded |
//! | `cron_job` | Jobs by the clock |
//! | `autoscale` | how many pods a target has, by what they use |
//! | `disruption` | how many pods of a budget may be evicted |
//! | `volume` | claims and volumes: bound, made, protected, removed |
//! | `node_taints` | taints of a node that is closed or not well |
//! | `taint_eviction` | deletes pods that do not tolerate their node |
//! | `policy_status` | that admission policies were looked at |
//! | `scheduler` | binds pods to the node that has room for them, the most important first; lets others make way |
//! | `endpoints` | EndpointSlices and Endpoints |
//!
//! What they decide is in pure functions (`decide.rs`, `rollout.rs`, `graph.rs`, `build.rs`, …), tested
//! without a server. To add one: write its `register`, and name that in [`CONTROLLERS`]. Entry point: [`run`].

mod account_token;
mod autoscale;
mod cache;
mod collect;
mod cron_job;
mod daemon_set;
mod deployment;
mod disruption;
mod endpoints;
mod events;
mod hash;
mod history;
mod job;
mod key;
mod node_fit;
mod node_taints;
mod owners;
mod pod_control;
mod pods;
mod policy_status;
mod queue;
mod registry;
mod replica_set;
mod scheduler;
mod selector;
mod service_account;
mod share;
mod stateful_set;
mod taint_eviction;
mod volume;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use kube::Client;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use autoscale::METRICS_PERIOD;
use registry::Registry;
pub(crate) use selector::matches as selects;
pub use volume::Disk;

/// What the controllers need to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// PEM of the certificates that sign the API server's, for `kube-root-ca.crt`.
    pub authority: String,
    /// Where the directories of PersistentVolumes are.
    pub disk: Arc<dyn Disk>,
    /// How often autoscalers look at what pods use.
    pub metrics_period: Duration,
}

/// How each controller is made. What they watch is told to them in this order.
const CONTROLLERS: &[fn(&mut Registry)] = &[
    collect::register,
    service_account::register,
    account_token::register,
    deployment::register,
    replica_set::register,
    stateful_set::register,
    daemon_set::register,
    job::register,
    cron_job::register,
    endpoints::register,
    disruption::register,
    autoscale::register,
    volume::register,
    node_taints::register,
    taint_eviction::register,
    policy_status::register,
    scheduler::register,
];

/// A controller that ended is started again after this time.
const RESTART: Duration = Duration::from_millis(500);

/// Runs all controllers until `shutdown`. `client` is `system:kube-controller-manager` at the API server;
/// `scheduler` is `system:kube-scheduler`. A controller that panics is started again; its queue is lost, so
/// everything starts anew with it.
pub async fn run(client: Client, scheduler: Client, config: Config, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        let all = AssertUnwindSafe(supervise(&client, &scheduler, &config)).catch_unwind();
        tokio::select! {
            () = shutdown.cancelled() => return,
            outcome = all => {
                let ended = if outcome.is_err() { "panicked" } else { "ended" };
                tracing::error!(ended, restart_in = ?RESTART, "the controllers are started again");
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(RESTART) => {}
        }
    }
}

/// Runs everything as tasks; returns when the first of them ends, which ends the others.
async fn supervise(client: &Client, scheduler: &Client, config: &Config) {
    let mut tasks = JoinSet::new();
    let mut registry = Registry::new(client.clone(), scheduler.clone(), config.clone());
    CONTROLLERS.iter().for_each(|register| register(&mut registry));
    for work in registry.finish() {
        tasks.spawn(work);
    }
    if let Some(Err(error)) = tasks.join_next().await {
        tracing::error!(%error, "a controller failed");
    }
}

#[cfg(test)]
mod tests;
