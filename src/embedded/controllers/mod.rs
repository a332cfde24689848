//! The controllers of the embedded cluster.
//!
//! Each is an ordinary client of the API server that works off a queue which watches fill; none polls.
//! Watched kinds are shared: pods are in memory once, whoever needs them. A write's answer goes into the
//! cache at once, so that nobody acts twice on what its watch has not told yet.
//!
//! | controller | does |
//! |---|---|
//! | `collect` | deletes what has lost its owners; empties namespaces |
//! | `service_account` | `default` account and `kube-root-ca.crt` in every namespace |
//! | `deployment`, `replica_set` | rolling updates, pods |
//! | `scheduler` | binds pods to the node |
//! | `endpoints` | EndpointSlices and Endpoints |
//!
//! What they decide is in pure functions (`decide.rs`, `rollout.rs`, `graph.rs`, `build.rs`, …), tested
//! without a server. Entry point: [`run`].

mod cache;
mod collect;
mod deployment;
mod endpoints;
mod events;
mod key;
mod pods;
mod queue;
mod replica_set;
mod scheduler;
mod selector;
mod service_account;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{
    ConfigMap, Endpoints, Namespace, Node, Pod, Service, ServiceAccount,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject};
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{Config as Watch, Event, watcher};
use kube::{Api, Client};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use cache::{Cache, follow};

/// What the controllers need to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// PEM of the certificates that sign the API server's, for `kube-root-ca.crt`.
    pub authority: String,
}

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

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs everything as tasks; returns when the first of them ends, which ends the others.
async fn supervise(client: &Client, scheduler: &Client, config: &Config) {
    let mut tasks = JoinSet::new();
    for work in build(client, scheduler, config) {
        tasks.spawn(work);
    }
    if let Some(Err(error)) = tasks.join_next().await {
        tracing::error!(%error, "a controller failed");
    }
}

fn build(client: &Client, scheduler: &Client, config: &Config) -> Vec<Work> {
    let deployments = Cache::<Deployment>::new();
    let sets = Cache::<ReplicaSet>::new();
    let pods = Cache::<Pod>::new();
    let services = Cache::<Service>::new();
    let slices = Cache::<EndpointSlice>::new();
    let endpoints = Cache::<Endpoints>::new();
    let namespaces = Cache::<Namespace>::new();
    let nodes = Cache::<Node>::new();
    let accounts = Cache::<ServiceAccount>::new();
    let authorities = Cache::<ConfigMap>::new();

    let collector = collect::Collector::new(client.clone());
    let namespace = Arc::new(collect::NamespaceController::new(
        client.clone(),
        namespaces.clone(),
        collector.clone(),
    ));
    let account = Arc::new(service_account::Controller::new(
        client.clone(),
        config.authority.clone(),
        namespaces.clone(),
        accounts.clone(),
        authorities.clone(),
    ));
    let deployment = Arc::new(deployment::Controller::new(
        client.clone(),
        deployments.clone(),
        sets.clone(),
        pods.clone(),
    ));
    let replica_set =
        Arc::new(replica_set::Controller::new(client.clone(), sets.clone(), pods.clone()));
    let endpoint = Arc::new(endpoints::Controller::new(
        client.clone(),
        services.clone(),
        pods.clone(),
        slices.clone(),
        endpoints.clone(),
    ));
    let binder =
        Arc::new(scheduler::Controller::new(scheduler.clone(), pods.clone(), nodes.clone()));

    // Workers start once what they decide on is known: a ReplicaSet that has not heard of its pods yet would
    // make new ones.
    let gate = Gate::new();
    let mut all: Vec<Work> = Vec::new();
    macro_rules! watch {
        ($api:expr, $config:expr, $cache:expr, $($controller:ident . $method:ident),+) => {{
            $(let $controller = $controller.clone();)+
            let changed = move |change| { $($controller.$method(&change);)+ };
            let synced = gate.expect();
            all.push(Box::pin(follow($api, $config, $cache, changed, synced)));
        }};
    }
    let named = |name: &str| Watch::default().fields(&format!("metadata.name={name}"));
    watch!(Api::all(client.clone()), Watch::default(), deployments, deployment.deployment_changed);
    watch!(
        Api::all(client.clone()),
        Watch::default(),
        sets,
        deployment.set_changed,
        replica_set.set_changed
    );
    watch!(
        Api::all(client.clone()),
        Watch::default(),
        pods,
        deployment.pod_changed,
        replica_set.pod_changed,
        endpoint.pod_changed,
        binder.pod_changed
    );
    watch!(Api::all(client.clone()), Watch::default(), services, endpoint.service_changed);
    watch!(Api::all(client.clone()), Watch::default(), slices, endpoint.slice_changed);
    watch!(Api::all(client.clone()), Watch::default(), endpoints, endpoint.endpoints_changed);
    watch!(
        Api::all(client.clone()),
        Watch::default(),
        namespaces,
        account.namespace_changed,
        namespace.namespace_changed
    );
    watch!(
        Api::all(client.clone()),
        named(service_account::DEFAULT),
        accounts,
        account.account_changed
    );
    watch!(
        Api::all(client.clone()),
        named(service_account::ROOT_CA),
        authorities,
        account.authority_changed
    );
    watch!(Api::all(client.clone()), Watch::default(), nodes, binder.node_changed);

    macro_rules! worker {
        ($controller:expr) => {{
            let (controller, open) = ($controller, gate.opened());
            all.push(Box::pin(async move {
                open.cancelled().await;
                controller.work().await;
            }));
        }};
    }
    worker!(deployment);
    worker!(replica_set);
    worker!(endpoint);
    worker!(account);
    worker!(binder);
    worker!(namespace);
    worker!(collector.clone());
    all.push(Box::pin(collector.clone().watch()));
    all.push(Box::pin(follow_definitions(client.clone(), collector)));
    all
}

/// Opens when all expected lists are complete.
struct Gate {
    waiting: Arc<std::sync::atomic::AtomicUsize>,
    open: CancellationToken,
}

impl Gate {
    fn new() -> Self {
        Gate { waiting: Arc::default(), open: CancellationToken::new() }
    }

    /// One more list; call the result when it is complete.
    fn expect(&self) -> impl FnOnce() + Send + 'static {
        use std::sync::atomic::Ordering::SeqCst;
        self.waiting.fetch_add(1, SeqCst);
        let (waiting, open) = (self.waiting.clone(), self.open.clone());
        move || {
            if waiting.fetch_sub(1, SeqCst) == 1 {
                open.cancel();
            }
        }
    }

    fn opened(&self) -> CancellationToken {
        self.open.clone()
    }
}

/// Tells the collector when kinds come or go. Only metadata is watched: schemas are large.
async fn follow_definitions(client: Client, collector: Arc<collect::Collector>) {
    use futures::StreamExt;
    let resource = ApiResource::erase::<CustomResourceDefinition>(&());
    let api: Api<PartialObjectMeta<DynamicObject>> = Api::all_with(client, &resource);
    let mut stream = std::pin::pin!(watcher(api, Watch::default()));
    while let Some(event) = stream.next().await {
        match event {
            Ok(Event::Init | Event::InitApply(_)) => {}
            Ok(Event::InitDone | Event::Apply(_) | Event::Delete(_)) => collector.discover(),
            Err(error) => {
                tracing::warn!(%error, retry_in = ?RESTART, "the watch of definitions was interrupted");
                tokio::time::sleep(RESTART).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
