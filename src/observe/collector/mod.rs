//! The role `collector`: follows the logs of components and the events of their objects, measures what they use and ask
//! of each other, takes the spans that they send, and posts all of it to the observer.
//!
//! It watches the pods that carry the platform's labels and reads each started container through
//! `pods/log?follow`, the same on every provider. It has no state: on a start it asks the observer how far each
//! log is stored, and goes on there; events it lists again. When the observer is away, a few megabytes wait here and the
//! rest in the containers' log files, in the API server, and with those who send spans.

mod belongs;
mod door;
mod events;
mod follow;
mod known;
mod lines;
mod meter;
mod otlp;
mod pods;
mod queue;
mod ship;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use curtain_role::{
    Backoff, Health, HealthError, KubeAccess, KubeError, ServeError, Shutdown, listen,
};
use futures::StreamExt;
use http::Uri;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::wire::Position;
use door::Door;
use follow::Follower;
use known::Pods;
use meter::Meter;
use pods::{Progress, containers};
use queue::{Inlet, Queue};
use ship::Shipped;

/// Which pods have logs that someone can ask for.
pub const SELECTOR: &str = "openchoreo.dev/component";

/// How the collector is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Base URL of the observer's door for it.
    pub observer: Uri,
    /// File with the ServiceAccount's token.
    pub token: PathBuf,
    /// Label selector of the pods to follow, such as [`SELECTOR`].
    pub selector: String,
    /// Where spans come by gRPC.
    pub otlp_grpc_listen: SocketAddr,
    /// Where spans come by HTTP.
    pub otlp_http_listen: SocketAddr,
    /// Where the health checks listen.
    pub health_listen: SocketAddr,
    /// The API server of the cluster.
    pub kube: KubeAccess,
}

/// Why the collector ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No client for the cluster.
    #[error(transparent)]
    Kube(#[from] KubeError),
    /// A door for spans cannot be served.
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
    let client = config.kube.client().await?;
    let known = Pods::default();
    let door = Door::new(config.observer.clone(), config.token.clone());
    let listeners =
        (listen(config.otlp_grpc_listen).await?, listen(config.otlp_http_listen).await?);
    let events = events::Follower::new(client.clone(), known.clone(), door.clone());
    let spans = otlp::Receiver::new(known.clone(), door.clone());
    let meter = Meter::new(client.clone(), known.clone(), door.clone());
    let work = collect(&config, client, (&health, known), door, shutdown.clone());
    tokio::try_join!(
        async {
            work.await;
            Ok(())
        },
        async {
            events.run(&health, shutdown.clone()).await;
            Ok(())
        },
        async {
            meter.run(shutdown.clone()).await;
            Ok(())
        },
        async { spans.serve(listeners, shutdown.clone()).await.map_err(Error::from) },
        async {
            let health = health.clone().serve(config.health_listen, shutdown.clone());
            health.await.map_err(Error::from)
        },
    )?;
    Ok(())
}

async fn collect(
    config: &Config,
    client: Client,
    (health, known): (&Health, Pods),
    door: Door,
    shutdown: Shutdown,
) {
    let (connected, watching) = (health.check("observer"), health.check("pods"));
    let Some(stored) = ship::positions(&door, &shutdown).await else { return };
    connected.pass();
    let stored = stored.into_iter().map(|s| ((s.pod_uid, s.container), s.last)).collect();
    let (queue, inlet) = Queue::new(door);
    let shipping = tokio::spawn(queue.run(shutdown.clone()));

    let mut readers = Readers {
        client: client.clone(),
        inlet,
        stored,
        pods: HashMap::new(),
        tasks: JoinSet::new(),
    };
    let api: Api<Pod> = Api::all(client);
    let selected = watcher::Config::default().labels(&config.selector).streaming_lists();
    let mut events = std::pin::pin!(watcher(api, selected).backoff(Backoff::default()));
    let mut listed = Vec::new();
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            // Only collects what has ended.
            Some(_) = readers.tasks.join_next() => continue,
            () = shutdown.wait() => break,
        };
        match event {
            None => break,
            Some(Err(error)) => tracing::warn!(%error, "the watch of pods was interrupted"),
            Some(Ok(Event::Init)) => listed.clear(),
            Some(Ok(Event::InitApply(pod))) => {
                listed.extend(pod.uid());
                known.apply(&pod);
                readers.apply(&pod);
            }
            Some(Ok(Event::InitDone)) => {
                readers.keep(&listed);
                known.keep(&listed, true);
                watching.pass();
            }
            Some(Ok(Event::Apply(pod))) => {
                known.apply(&pod);
                readers.apply(&pod);
            }
            Some(Ok(Event::Delete(pod))) => {
                known.remove(&pod);
                readers.remove(&pod);
            }
        }
    }
    drop(readers);
    let _ = shipping.await;
}

/// The followers of all containers.
struct Readers {
    client: Client,
    inlet: Inlet<Shipped>,
    /// Where the observer's store ends, for logs that were read before this start.
    stored: HashMap<(String, String), Position>,
    /// By uid of the pod and name of the container. Dropping a sender tells its follower that the pod is gone.
    pods: HashMap<String, HashMap<String, watch::Sender<Progress>>>,
    tasks: JoinSet<()>,
}

impl Readers {
    fn apply(&mut self, pod: &Pod) {
        let Some(uid) = pod.uid() else { return };
        for (source, progress) in containers(pod) {
            let known = self.pods.entry(uid.clone()).or_default();
            match known.get(&source.container) {
                Some(sender) => {
                    sender.send_if_modified(|last| std::mem::replace(last, progress) != progress);
                }
                None => {
                    let (sender, receiver) = watch::channel(progress);
                    let name = source.container.clone();
                    let last = self.stored.remove(&(uid.clone(), name.clone()));
                    let follower = Follower::new(
                        self.client.clone(),
                        source,
                        self.inlet.clone(),
                        last,
                        receiver,
                    );
                    known.insert(name, sender);
                    self.tasks.spawn(follower.run());
                }
            }
        }
    }

    fn remove(&mut self, pod: &Pod) {
        if let Some(uid) = pod.uid() {
            self.pods.remove(&uid);
        }
    }

    /// A new list is complete: other pods are gone.
    fn keep(&mut self, uids: &[String]) {
        self.pods.retain(|uid, _| uids.contains(uid));
    }
}

#[cfg(test)]
pub(crate) mod tests;
