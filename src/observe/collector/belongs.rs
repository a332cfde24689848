//! Whose an object is that is no pod of a component: by its labels, by those of the pods it makes, by the release it
//! comes from, and in the end by its namespace.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Namespace, ObjectReference};
use kube::api::{ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use kube::{Api, Client, ResourceExt};
use serde_json::Value;

use super::known::Pods;
use crate::owner::Owner;

/// Owners that are remembered; when there are more, all are asked for again.
const REMEMBERED: usize = 1024;
/// How long; a component may adopt what was there before it.
const FRESH: Duration = Duration::from_secs(600);
const PATIENCE: Duration = Duration::from_secs(5);

/// Kinds that are looked at, with their plural: those that make pods or stand before them. The role's permissions name
/// the same.
const KINDS: [(&str, &str, &str); 12] = [
    ("v1", "Pod", "pods"),
    ("v1", "Service", "services"),
    ("v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
    ("apps/v1", "Deployment", "deployments"),
    ("apps/v1", "ReplicaSet", "replicasets"),
    ("apps/v1", "StatefulSet", "statefulsets"),
    ("apps/v1", "DaemonSet", "daemonsets"),
    ("batch/v1", "Job", "jobs"),
    ("batch/v1", "CronJob", "cronjobs"),
    ("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    ("openchoreo.dev/v1alpha1", "RenderedRelease", "renderedreleases"),
    ("openchoreo.dev/v1alpha1", "ReleaseBinding", "releasebindings"),
];

/// Where the labels of an object's pods are.
const TEMPLATES: [&str; 2] =
    ["/spec/template/metadata/labels", "/spec/jobTemplate/spec/template/metadata/labels"];

type Labels = BTreeMap<String, String>;

/// Finds owners, and remembers them.
pub(super) struct Registry {
    client: Client,
    pods: Pods,
    known: HashMap<String, (Instant, Arc<Owner>)>,
}

impl Registry {
    pub(super) fn new(client: Client, pods: Pods) -> Registry {
        Registry { client, pods, known: HashMap::new() }
    }

    /// The owner of an object; `None` when it is not the platform's. An error is worth another try.
    pub(super) async fn owner(
        &mut self,
        object: &ObjectReference,
    ) -> Result<Option<Arc<Owner>>, kube::Error> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (namespace, uid) = (text(&object.namespace), text(&object.uid));
        if namespace.is_empty() {
            return Ok(None);
        }
        if let Some(owner) = self.pods.of_uid(&uid).and_then(|pod| pod.owner().cloned()) {
            return Ok(Some(Arc::new(owner)));
        }
        let around = self.namespace(&namespace).await?;
        let (kind, name) = (text(&object.kind), text(&object.name));
        let key = format!("{kind}/{namespace}/{name}/{uid}");
        let owner = match self.remembered(&key) {
            Some(owner) => owner,
            None => {
                let labels = self.labels(&kind, (&namespace, &name), &uid).await?;
                let owner = Owner::of(&labels).or(&around);
                self.remember(key, owner)
            }
        };
        Ok((!owner.namespace.is_empty()).then_some(owner))
    }

    fn remembered(&self, key: &str) -> Option<Arc<Owner>> {
        let (when, owner) = self.known.get(key)?;
        (when.elapsed() < FRESH).then(|| owner.clone())
    }

    fn remember(&mut self, key: String, owner: Owner) -> Arc<Owner> {
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        let owner = Arc::new(owner);
        self.known.insert(key, (Instant::now(), owner.clone()));
        owner
    }

    /// What the labels of a namespace say.
    async fn namespace(&mut self, name: &str) -> Result<Arc<Owner>, kube::Error> {
        let key = format!("Namespace/{name}");
        if let Some(owner) = self.remembered(&key) {
            return Ok(owner);
        }
        let api: Api<Namespace> = Api::all(self.client.clone());
        let found = bounded(api.get_opt(name)).await?;
        Ok(self.remember(key, found.map(|found| Owner::of(found.labels())).unwrap_or_default()))
    }

    /// The labels that say whose an object is, or none when it is gone or of a kind that we do not look at.
    async fn labels(
        &self,
        kind: &str,
        (namespace, name): (&str, &str),
        uid: &str,
    ) -> Result<Labels, kube::Error> {
        let Some(object) = self.get(kind, namespace, name).await? else { return Ok(Labels::new()) };
        if !uid.is_empty() && object.uid().as_deref() != Some(uid) {
            // Another one of the same name.
            return Ok(Labels::new());
        }
        if kind == "ReleaseBinding" {
            // It has no labels of its own; what it has rendered before does.
            return Ok(match rendered(&object) {
                Some(name) => {
                    let release = self.get("RenderedRelease", namespace, &name).await?;
                    release.map(|release| release.labels().clone()).unwrap_or_default()
                }
                None => Labels::new(),
            });
        }
        let mut labels = object.labels().clone();
        for template in TEMPLATES.iter().filter_map(|path| object.data.pointer(path)) {
            for (name, value) in template.as_object().into_iter().flatten() {
                if let Value::String(value) = value {
                    labels.entry(name.clone()).or_insert_with(|| value.clone());
                }
            }
        }
        let release = |labels: &Labels, what: &str| {
            labels.get(&format!("openchoreo.dev/rendered-release-{what}")).cloned()
        };
        if !labels.contains_key(super::SELECTOR)
            && let (Some(namespace), Some(name)) =
                (release(&labels, "namespace"), release(&labels, "name"))
            && let Some(release) = self.get("RenderedRelease", &namespace, &name).await?
        {
            for (name, value) in release.labels() {
                labels.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        Ok(labels)
    }

    async fn get(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<DynamicObject>, kube::Error> {
        let Some((version, kind, plural)) = KINDS.iter().find(|(_, one, _)| *one == kind) else {
            return Ok(None);
        };
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let resource =
            ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), namespace, &resource);
        match bounded(api.get_opt(name)).await {
            // Somebody has taken a permission away; the namespace says enough.
            Err(kube::Error::Api(status)) if status.code == 403 => Ok(None),
            found => found,
        }
    }
}

/// The name of what a release binding renders.
fn rendered(binding: &DynamicObject) -> Option<String> {
    let text = |path: &str| binding.data.pointer(path)?.as_str();
    Some(format!("{}-{}", text("/spec/owner/componentName")?, text("/spec/environment")?))
}

/// Everything that waits has a bound.
async fn bounded<T>(work: impl Future<Output = Result<T, kube::Error>>) -> Result<T, kube::Error> {
    let late = || kube::Error::Service("the API server did not answer in time".into());
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(late()))
}
