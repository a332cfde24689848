//! PersistentVolumes and the claims for them: bound to each other, made, protected while in use, and removed.
//!
//! A reconciliation decides what is to be done about one claim or one volume as they are (`decide.rs`) and does it;
//! the changes bring both back. Everything but the removal of directories has one worker, so that no volume is given
//! away twice.

mod decide;
mod facts;
mod matching;
mod protect;
mod provision;
mod reclaim;
#[cfg(test)]
mod samples;
mod write;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::PostParams;
use kube::{Client, Resource, ResourceExt};

use super::cache::{Cache, Change};
use super::events::{Recorder, Severity};
use super::key::Key;
use super::queue::Queue;
use super::registry::Registry;
use decide::{Notice, Step, Turn, View, may_go, of_claim, of_volume};

pub(super) use facts::{NODE, asked_of, claims_of, class, is_bound, phase_of, volume_of, waits};
pub(super) use matching::best;

/// The node's disk. Directories are root's to make and remove, which controllers are not.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Where the directory of the volume of this name is, or will be; `None` for what is no name.
    fn directory(&self, volume: &str) -> Option<PathBuf>;

    /// Removes it; one that is not there is fine. Fails with a sentence.
    fn remove<'a>(&'a self, volume: &'a str) -> BoxFuture<'a, Result<(), String>>;
}

/// Something to look at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum What {
    Claim(Key),
    Volume(Key),
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Claim(key) => write!(f, "claim {key}"),
            What::Volume(key) => write!(f, "volume {key}"),
        }
    }
}

struct Controller {
    client: Client,
    disk: Arc<dyn Disk>,
    claims: Arc<Cache<PersistentVolumeClaim>>,
    volumes: Arc<Cache<PersistentVolume>>,
    classes: Arc<Cache<StorageClass>>,
    nodes: Arc<Cache<Node>>,
    pods: Arc<Cache<Pod>>,
    recorder: Recorder,
    queue: Queue<What>,
    /// Volumes whose claims are gone.
    released: Queue<Key>,
}

/// Makes the controller.
pub(super) fn register(registry: &mut Registry) {
    let client = registry.client.clone();
    let controller = Arc::new(Controller {
        recorder: Recorder::new(client.clone(), "persistentvolume-controller"),
        client,
        disk: registry.config.disk.clone(),
        claims: registry.cache(),
        volumes: registry.cache(),
        classes: registry.cache(),
        nodes: registry.cache(),
        pods: registry.cache(),
        queue: Queue::new(),
        released: Queue::new(),
    });
    registry.tell(&controller, Controller::claim_changed);
    registry.tell(&controller, Controller::volume_changed);
    registry.tell(&controller, Controller::class_changed);
    registry.tell(&controller, Controller::pod_changed);
    let reclaiming = controller.clone();
    registry.work(async move { controller.work().await });
    registry.work(async move { reclaiming.reclaim_all().await });
}

impl Controller {
    /// A claim concerns itself, and the volume that it has or had.
    fn claim_changed(&self, change: &Change<PersistentVolumeClaim>) {
        if let Some(claim) = &change.new {
            self.queue.add(What::Claim(Key::of(claim.as_ref())));
        }
        for claim in change.old.iter().chain(&change.new) {
            if !volume_of(claim).is_empty() {
                self.queue.add(What::Volume(Key::new("", volume_of(claim))));
            }
        }
    }

    /// A volume concerns itself and its claim; one that is free, whoever waits.
    fn volume_changed(&self, change: &Change<PersistentVolume>) {
        if let Some(volume) = change.latest() {
            self.queue.add(What::Volume(Key::of(volume.as_ref())));
        }
        let volumes = change.old.iter().chain(&change.new);
        for reference in volumes.filter_map(|volume| facts::claim_ref(volume)) {
            self.queue.add(What::Claim(facts::claim_key(reference)));
        }
        if change.new.as_ref().is_some_and(|volume| facts::phase(volume) == "Available") {
            self.look_at_claims(|_| true);
        }
    }

    fn class_changed(&self, change: &Change<StorageClass>) {
        if let Some(changed) = &change.new {
            self.look_at_claims(|claim| class(claim) == changed.name_any());
        }
    }

    /// A pod that is gone uses its claims no more.
    fn pod_changed(&self, change: &Change<Pod>) {
        if let (Some(pod), None) = (&change.old, &change.new) {
            let namespace = pod.namespace().unwrap_or_default();
            for name in pod.spec.iter().flat_map(claims_of) {
                self.queue.add(What::Claim(Key::new(&namespace, name)));
            }
        }
    }

    fn look_at_claims(&self, wanted: impl Fn(&PersistentVolumeClaim) -> bool) {
        let claims = self.claims.all();
        claims
            .iter()
            .filter(|claim| !is_bound(claim) && wanted(claim))
            .for_each(|claim| self.queue.add(What::Claim(Key::of(claim.as_ref()))));
    }

    /// Works for ever.
    async fn work(&self) {
        self.queue
            .work("claims and volumes", |what| async move {
                match &what {
                    What::Claim(key) => self.claim(key).await,
                    What::Volume(key) => self.volume(key).await,
                }
            })
            .await;
    }

    async fn claim(&self, key: &Key) -> Result<(), kube::Error> {
        let Some(claim) = self.claims.get(key) else { return Ok(()) };
        let class = self.classes.get(&Key::new("", class(&claim)));
        let node = claim.annotations().get(NODE).and_then(|n| self.nodes.get(&Key::new("", n)));
        let volumes = self.volumes.all();
        let view = View {
            claim: &claim,
            volumes: &volumes,
            class: class.as_deref(),
            node: node.as_deref(),
        };
        match of_claim(&view) {
            Step::Wait(notice) => {
                if let Some(notice) = notice {
                    self.say(claim.as_ref(), &notice).await;
                }
            }
            Step::Bind(volume) => self.bind(&claim, &volume).await?,
            Step::Provision => {
                if let Some(class) = &class {
                    self.provision(&claim, class, node.as_deref()).await?;
                }
            }
            Step::Await(provisioner) => {
                if self.ask(&claim, &provisioner).await? {
                    let message = format!(
                        "Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered."
                    );
                    let (severity, reason) = (Severity::Normal, "ExternalProvisioning");
                    self.say(claim.as_ref(), &Notice { severity, reason, message }).await;
                }
            }
            Step::Lose(notice) => self.lose(&claim, notice).await?,
        }
        self.let_claim_go(&claim).await
    }

    /// Makes a volume for a claim; the volume's change brings the claim back, to be bound to it.
    async fn provision(
        &self,
        claim: &PersistentVolumeClaim,
        class: &StorageClass,
        node: Option<&Node>,
    ) -> Result<(), kube::Error> {
        let name = provision::name(claim);
        let Some(directory) = self.disk.directory(&name) else { return Ok(()) };
        // A claim of a class that does not wait has no node yet; where there is one, it is that.
        let nodes = self.nodes.all();
        let only = match nodes.as_slice() {
            [only] => Some(only.as_ref()),
            _ => None,
        };
        self.ask(claim, &class.provisioner).await?;
        let volume = provision::volume(claim, class, node.or(only), &directory);
        match self.volumes_api().create(&PostParams::default(), &volume).await {
            Ok(made) => {
                self.volumes.put(made);
                let message = format!("Successfully provisioned volume {name}");
                let (severity, reason) = (Severity::Normal, "ProvisioningSucceeded");
                self.say(claim, &Notice { severity, reason, message }).await;
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn volume(&self, key: &Key) -> Result<(), kube::Error> {
        let Some(volume) = self.volumes.get(key) else { return Ok(()) };
        let claim_key = facts::claim_ref(&volume).map(facts::claim_key);
        let claim = claim_key.as_ref().and_then(|key| self.claims.get(key));
        match of_volume(&volume, claim.as_deref()) {
            Turn::Offer => self.write_phase(&volume, "Available", None).await.map(drop)?,
            Turn::Claim => claim_key.into_iter().for_each(|key| self.queue.add(What::Claim(key))),
            Turn::Keep => self.write_phase(&volume, "Bound", None).await.map(drop)?,
            Turn::Leave => {}
            Turn::Unbind => self.unbind(&volume).await?,
            Turn::Release => {
                if facts::phase(&volume) != "Failed" {
                    self.write_phase(&volume, "Released", None).await?;
                }
                self.released.add(key.clone());
            }
        }
        if may_go(&volume) {
            self.released.add(key.clone());
        }
        self.let_volume_go(&volume).await
    }

    async fn say<K: Resource<DynamicType = ()>>(&self, object: &K, notice: &Notice) {
        self.recorder.record(object, notice.severity, notice.reason, &notice.message).await;
    }
}
