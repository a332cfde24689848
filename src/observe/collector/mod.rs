//! The role `collector`: follows the logs of components and posts them to the observer.
//!
//! It watches the pods that carry the platform's labels and reads each started container through
//! `pods/log?follow`, the same on every provider. It has no state: on a start it asks the observer how far each
//! log is stored, and goes on there. When the observer is away, a few megabytes wait here and the rest in the
//! containers' log files.

mod follow;
mod lines;
mod pods;
mod ship;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use curtain_role::{Backoff, Health, HealthError, KubeAccess, KubeError, Shutdown};
use futures::StreamExt;
use http::Uri;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::wire::Position;
use follow::Follower;
use pods::{Progress, containers};
use ship::{Inlet, Shipper};

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
    let work = collect(&config, client, &health, shutdown.clone());
    tokio::try_join!(
        async {
            work.await;
            Ok(())
        },
        health.clone().serve(config.health_listen, shutdown.clone()),
    )?;
    Ok(())
}

async fn collect(config: &Config, client: Client, health: &Health, shutdown: Shutdown) {
    let (connected, watching) = (health.check("observer"), health.check("pods"));
    let (shipper, inlet) = Shipper::new(config.observer.clone(), config.token.clone());
    let Some(stored) = shipper.positions(&shutdown).await else { return };
    connected.pass();
    let stored = stored.into_iter().map(|s| ((s.pod_uid, s.container), s.last)).collect();
    let shipping = tokio::spawn(shipper.run(shutdown.clone()));

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
                readers.apply(&pod);
            }
            Some(Ok(Event::InitDone)) => {
                readers.keep(&listed);
                watching.pass();
            }
            Some(Ok(Event::Apply(pod))) => readers.apply(&pod),
            Some(Ok(Event::Delete(pod))) => readers.remove(&pod),
        }
    }
    drop(readers);
    let _ = shipping.await;
}

/// The followers of all containers.
struct Readers {
    client: Client,
    inlet: Inlet,
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
mod tests;
