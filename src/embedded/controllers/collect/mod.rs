//! Garbage collection: objects go when their owners are gone, by uid, never by name.
//!
//! Every kind that discovery names is watched, metadata only; the graph keeps about two hundred bytes an
//! object and decides. Kinds come and go with their CustomResourceDefinitions.

mod graph;
mod kinds;
mod namespace;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, Preconditions, PropagationPolicy,
};
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Client, ResourceExt};
use serde_json::json;
use tokio::task::{AbortHandle, JoinSet};

use super::key::Key;
use super::queue::Queue;
use super::registry::Registry;
use graph::{Decision, FOREGROUND, Graph, Node, ORPHAN, Owner, Policy, Uid};
use kinds::{Difference, Kind, Kinds};

const RETRY: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(5)];
/// An interrupted watch of definitions goes on after this time.
const AGAIN: Duration = Duration::from_millis(500);
/// When discovery is asked again after a definition changed.
const LATER: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(2)];
/// Attempts to change an object that others change at the same time.
const ATTEMPTS: usize = 5;

struct Collector {
    client: Client,
    kinds: Kinds,
    graph: Mutex<Graph>,
    queue: Queue<Uid>,
    /// One key: discover again.
    discovery: Queue<()>,
    /// Namespaces in which an object is gone.
    emptied: Queue<Arc<str>>,
}

/// Makes the collector, and the controller of namespaces that go.
pub(super) fn register(registry: &mut Registry) {
    let collector = Arc::new(Collector {
        client: registry.client.clone(),
        kinds: Kinds::default(),
        graph: Mutex::default(),
        queue: Queue::new(),
        discovery: Queue::new(),
        emptied: Queue::new(),
    });
    namespace::register(registry, &collector);
    registry.begin(collector.clone().watch());
    registry.begin(collector.clone().follow_definitions());
    registry.work(async move { collector.work().await });
}

impl Collector {
    /// Looks again when kinds come or go. Only metadata is watched: schemas are large.
    async fn follow_definitions(self: Arc<Self>) {
        let resource = ApiResource::erase::<CustomResourceDefinition>(&());
        let api: kube::Api<PartialObjectMeta<DynamicObject>> =
            kube::Api::all_with(self.client.clone(), &resource);
        let mut stream = std::pin::pin!(watcher(api, Config::default()));
        while let Some(event) = stream.next().await {
            match event {
                Ok(Event::Init | Event::InitApply(_)) => {}
                Ok(Event::InitDone | Event::Apply(_) | Event::Delete(_)) => self.discover(),
                Err(error) => {
                    tracing::warn!(%error, retry_in = ?AGAIN, "the watch of definitions was interrupted");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }

    fn graph(&self) -> MutexGuard<'_, Graph> {
        self.graph.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The set of kinds may have changed. A server may tell of a definition before it serves it, so this looks
    /// again a little later.
    fn discover(&self) {
        self.discovery.add(());
        LATER.iter().for_each(|delay| self.discovery.add_after((), *delay));
    }

    /// Keeps a watch on every kind, for ever. Dropping the future ends the watches.
    async fn watch(self: Arc<Self>) {
        let mut tasks = JoinSet::new();
        let mut watches: HashMap<Arc<Kind>, AbortHandle> = HashMap::new();
        self.discover();
        loop {
            tokio::select! {
                () = self.discovery.next() => match self.kinds.refresh(&self.client).await {
                    Ok(difference) => {
                        self.discovery.done(&());
                        self.clone().adjust(difference, &mut watches, &mut tasks);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "discovery failed and is tried again");
                        self.discovery.retry(());
                    }
                },
                // Watches never end by themselves; those that were stopped are only collected here.
                Some(_) = tasks.join_next() => {}
            }
        }
    }

    fn adjust(
        self: Arc<Self>,
        difference: Difference,
        watches: &mut HashMap<Arc<Kind>, AbortHandle>,
        tasks: &mut JoinSet<()>,
    ) {
        for kind in difference.removed {
            if let Some(watch) = watches.remove(&kind) {
                watch.abort();
            }
            for uid in self.graph().of_kind(&kind) {
                self.remove(&uid);
            }
        }
        for kind in difference.added {
            // Events belong to nobody and come in numbers.
            if kind.kind != "Event" {
                watches.insert(kind.clone(), tasks.spawn(self.clone().follow(kind)));
            }
        }
        let unresolved = self.graph().unresolved();
        unresolved.into_iter().for_each(|uid| self.queue.add(uid));
    }

    async fn follow(self: Arc<Self>, kind: Arc<Kind>) {
        let api = kube::Api::<PartialObjectMeta<DynamicObject>>::all_with(
            self.client.clone(),
            &kind.resource(),
        );
        let mut stream = std::pin::pin!(watcher(api, Config::default().streaming_lists()));
        let mut named = HashSet::new();
        let mut delay = RETRY[0];
        while let Some(event) = stream.next().await {
            match event {
                Ok(event) => {
                    delay = RETRY[0];
                    match event {
                        Event::Init => named.clear(),
                        Event::InitApply(object) => named.extend(self.apply(&kind, &object)),
                        Event::InitDone => {
                            let known = self.graph().of_kind(&kind);
                            known
                                .iter()
                                .filter(|uid| !named.contains(*uid))
                                .for_each(|uid| self.remove(uid));
                            named = HashSet::new();
                        }
                        Event::Apply(object) => drop(self.apply(&kind, &object)),
                        Event::Delete(object) => {
                            if let Some(uid) = object.uid() {
                                self.remove(&uid.into());
                            }
                        }
                    }
                }
                Err(error) => {
                    tracing::debug!(kind = kind.kind, %error, "the watch was interrupted");
                    // The kind itself may be gone.
                    self.discover();
                    tokio::time::sleep(delay).await;
                    delay = (delay * 2).min(RETRY[1]);
                }
            }
        }
    }

    fn apply(&self, kind: &Arc<Kind>, object: &PartialObjectMeta<DynamicObject>) -> Option<Uid> {
        let uid: Uid = object.uid()?.into();
        let has = |name: &str| object.finalizers().iter().any(|finalizer| finalizer == name);
        let owners = object.owner_references().iter().map(|owner| Owner {
            uid: owner.uid.as_str().into(),
            api_version: owner.api_version.as_str().into(),
            kind: owner.kind.as_str().into(),
            name: owner.name.as_str().into(),
            blocks: owner.block_owner_deletion == Some(true),
        });
        let node = Node {
            kind: kind.clone(),
            key: Key::of(object),
            owners: owners.collect(),
            deleting: object.metadata.deletion_timestamp.is_some(),
            foreground: has(FOREGROUND),
            orphan: has(ORPHAN),
        };
        let affected = self.graph().apply(uid.clone(), node);
        affected.into_iter().for_each(|uid| self.queue.add(uid));
        Some(uid)
    }

    fn remove(&self, uid: &Uid) {
        let (affected, namespace) = {
            let mut graph = self.graph();
            let namespace = graph.get(uid).map(|node| node.key.namespace.clone());
            (graph.remove(uid), namespace)
        };
        affected.into_iter().for_each(|uid| self.queue.add(uid));
        if let Some(namespace) = namespace.filter(|namespace| !namespace.is_empty()) {
            self.emptied.add(namespace);
        }
    }

    /// Decides and acts, for ever.
    async fn work(&self) {
        self.queue.work("collecting", |uid| async move { self.process(&uid).await }).await;
    }

    async fn process(&self, uid: &Uid) -> Result<(), kube::Error> {
        let (decision, node) = {
            let graph = self.graph();
            (graph.decide(uid), graph.get(uid).cloned())
        };
        let Some(node) = node else { return Ok(()) };
        match decision {
            Decision::Nothing => Ok(()),
            Decision::LookUp(owner) => self.look_up(uid, &node, owner).await,
            Decision::Delete(policy) => self.delete(uid, &node, policy).await,
            Decision::DropOwners(gone) => {
                let keep = |owner: &str| !gone.iter().any(|uid| **uid == *owner);
                self.change_owners(uid, &node, keep).await
            }
            Decision::Unblock => self.drop_finalizer(uid, &node, FOREGROUND).await,
            Decision::Dependents(dependents) => {
                dependents.into_iter().for_each(|uid| self.queue.add(uid));
                Ok(())
            }
            Decision::Orphan(dependents) => {
                for dependent in dependents {
                    let Some(node) = self.graph().get(&dependent).cloned() else { continue };
                    self.change_owners(&dependent, &node, |owner| owner != &**uid).await?;
                }
                self.drop_finalizer(uid, &node, ORPHAN).await
            }
        }
    }

    async fn look_up(&self, uid: &Uid, node: &Node, owner: Owner) -> Result<(), kube::Error> {
        // Nobody knows the kind: the object stays until somebody does.
        let Some(kind) = self.kinds.get(&owner.api_version, &owner.kind) else { return Ok(()) };
        let found =
            kind.api(&self.client, &node.key.namespace).get_metadata_opt(&owner.name).await?;
        let exists = found.is_some_and(|found| found.uid().as_deref() == Some(&*owner.uid));
        {
            let mut graph = self.graph();
            if exists { graph.mark_present(owner.uid) } else { graph.mark_absent(owner.uid) }
        }
        self.queue.add(uid.clone());
        Ok(())
    }

    async fn delete(&self, uid: &Uid, node: &Node, policy: Policy) -> Result<(), kube::Error> {
        let params = DeleteParams {
            propagation_policy: Some(match policy {
                Policy::Background => PropagationPolicy::Background,
                Policy::Foreground => PropagationPolicy::Foreground,
                Policy::Orphan => PropagationPolicy::Orphan,
            }),
            preconditions: Some(Preconditions {
                uid: Some(uid.to_string()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        match node.kind.api(&self.client, &node.key.namespace).delete(&node.key.name, &params).await
        {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Keeps only the references to owners whose uid `keep` accepts.
    async fn change_owners(
        &self,
        uid: &Uid,
        node: &Node,
        keep: impl Fn(&str) -> bool,
    ) -> Result<(), kube::Error> {
        self.change(uid, node, |object| {
            let mut owners = object.owner_references().to_vec();
            let before = owners.len();
            owners.retain(|owner| keep(&owner.uid));
            (owners.len() != before).then(|| json!({ "ownerReferences": owners }))
        })
        .await
    }

    async fn drop_finalizer(&self, uid: &Uid, node: &Node, name: &str) -> Result<(), kube::Error> {
        self.change(uid, node, |object| {
            let mut finalizers = object.finalizers().to_vec();
            let before = finalizers.len();
            finalizers.retain(|finalizer| finalizer != name);
            (finalizers.len() != before).then(|| json!({ "finalizers": finalizers }))
        })
        .await
    }

    /// Changes an object's metadata from what it is now; others may change it at the same time.
    async fn change(
        &self,
        uid: &Uid,
        node: &Node,
        change: impl Fn(&PartialObjectMeta<DynamicObject>) -> Option<serde_json::Value>,
    ) -> Result<(), kube::Error> {
        let api = node.kind.api(&self.client, &node.key.namespace);
        let mut last = Ok(());
        for _ in 0..ATTEMPTS {
            let Some(object) = api.get_metadata_opt(&node.key.name).await? else { return Ok(()) };
            if object.uid().as_deref() != Some(&**uid) {
                return Ok(());
            }
            let Some(mut metadata) = change(&object) else { return Ok(()) };
            metadata["resourceVersion"] = json!(object.resource_version());
            let patch = Patch::Merge(json!({ "metadata": metadata }));
            match api.patch(&node.key.name, &PatchParams::default(), &patch).await {
                Err(error @ kube::Error::Api(_)) if is_conflict(&error) => last = Err(error),
                Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
                answer => return answer.map(drop),
            }
        }
        last
    }

    /// Kinds whose objects live in namespaces.
    fn namespaced_kinds(&self) -> Vec<Arc<Kind>> {
        self.kinds.all().into_iter().filter(|kind| kind.namespaced).collect()
    }
}

fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}
