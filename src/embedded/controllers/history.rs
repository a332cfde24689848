//! ControllerRevisions: what the templates of StatefulSets and DaemonSets were, to roll back to.
//!
//! A revision's data is the strategic merge patch that brings its template back, as `kubectl rollout undo` sends it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use super::cache::Cache;
use super::hash::hash;
use super::registry::{Kind, Registry};
use super::selector::{Claim, claim, controlled_by, owner_reference};

/// On revisions, a hash of the template; on pods, which revision they are of.
pub(super) const HASH: &str = "controller-revision-hash";
const REVISION_HASH: &str = "controller.kubernetes.io/hash";

/// Reads revisions from the cache, and writes them for one controller.
pub(super) struct History {
    client: Client,
    revisions: Arc<Cache<ControllerRevision>>,
}

/// What became of the template.
pub(super) enum Current {
    /// Its revision.
    Is(Arc<ControllerRevision>),
    /// The name of a new revision is taken by another template: the collision is to be counted.
    Taken,
}

impl History {
    pub(super) fn new(registry: &mut Registry) -> Self {
        History { client: registry.client.clone(), revisions: registry.cache() }
    }

    fn api<K: Kind>(&self, owner: &K) -> Api<ControllerRevision> {
        Api::namespaced(self.client.clone(), &owner.namespace().unwrap_or_default())
    }

    /// The revisions that it controls, oldest first, after adopting and releasing.
    pub(super) async fn claim<K: Kind>(
        &self,
        owner: &K,
        selector: &LabelSelector,
    ) -> Result<Vec<Arc<ControllerRevision>>, kube::Error> {
        let Some(uid) = owner.uid() else { return Ok(Vec::new()) };
        let namespace = owner.namespace().unwrap_or_default();
        let deleting = owner.meta().deletion_timestamp.is_some();
        for revision in self.revisions.in_namespace(&namespace) {
            let mut owners = revision.owner_references().to_vec();
            match claim(&uid, deleting, selector, &revision.metadata) {
                Claim::Ignore | Claim::Keep => continue,
                Claim::Adopt => owners.extend(owner_reference(owner)),
                Claim::Release => owners.retain(|owner| owner.uid != uid),
            }
            let patch = json!({"metadata":{"uid":revision.metadata.uid,"ownerReferences":owners}});
            self.patch(owner, &revision, patch).await?;
        }
        let mut revisions = self.revisions.in_namespace(&namespace);
        revisions.retain(|revision| controlled_by(&revision.metadata, Some(&uid)));
        sort(&mut revisions);
        Ok(revisions)
    }

    async fn patch<K: Kind>(
        &self,
        owner: &K,
        revision: &ControllerRevision,
        patch: Value,
    ) -> Result<Option<Arc<ControllerRevision>>, kube::Error> {
        let (name, params) = (revision.name_any(), PatchParams::default());
        match self.api(owner).patch(&name, &params, &Patch::Merge(&patch)).await {
            Ok(revision) => {
                self.revisions.put(revision.clone());
                Ok(Some(Arc::new(revision)))
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409 | 422) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The revision of the template: the newest, an older one that becomes the newest, or a new one.
    pub(super) async fn current<K: Kind>(
        &self,
        owner: &K,
        template: &PodTemplateSpec,
        revisions: &[Arc<ControllerRevision>],
        collisions: Option<i32>,
    ) -> Result<Current, kube::Error> {
        let data = data(template);
        let newest = revisions.last().and_then(|newest| newest.revision).unwrap_or_default();
        if let Some(known) = revisions.iter().rev().find(|revision| revision.data.0 == data) {
            if known.revision.unwrap_or_default() == newest {
                return Ok(Current::Is(known.clone()));
            }
            let raised = self.patch(owner, known, json!({"revision": newest + 1})).await?;
            return Ok(Current::Is(raised.unwrap_or_else(|| known.clone())));
        }
        let Some(fresh) = new(owner, template, data, newest + 1, collisions) else {
            return Ok(Current::Taken);
        };
        let api = self.api(owner);
        match api.create(&PostParams::default(), &fresh).await {
            Ok(created) => {
                self.revisions.put(created.clone());
                Ok(Current::Is(Arc::new(created)))
            }
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                let existing = api.get(&fresh.name_any()).await?;
                let ours = controlled_by(&existing.metadata, owner.meta().uid.as_deref());
                if ours && existing.data.0 == fresh.data.0 {
                    self.revisions.put(existing.clone());
                    return Ok(Current::Is(Arc::new(existing)));
                }
                Ok(Current::Taken)
            }
            Err(error) => Err(error),
        }
    }

    /// Deletes the oldest revisions that nobody uses, until there are no more than `limit` of those.
    pub(super) async fn truncate<K: Kind>(
        &self,
        owner: &K,
        revisions: &[Arc<ControllerRevision>],
        used: &BTreeSet<&str>,
        limit: Option<i32>,
    ) -> Result<(), kube::Error> {
        for revision in expired(revisions, used, limit.unwrap_or(10)) {
            match self.api(owner).delete(&revision.name_any(), &DeleteParams::default()).await {
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn sort(revisions: &mut [Arc<ControllerRevision>]) {
    let created =
        |r: &ControllerRevision| r.metadata.creation_timestamp.as_ref().map(|time| time.0);
    revisions.sort_by(|a, b| {
        (a.revision, created(a), &a.metadata.name).cmp(&(b.revision, created(b), &b.metadata.name))
    });
}

/// The patch that brings a template back.
fn data(template: &PodTemplateSpec) -> Value {
    let mut template = json!(template);
    template["$patch"] = "replace".into();
    json!({"spec": {"template": template}})
}

/// The template of a revision, if that is what it holds.
pub(super) fn template(revision: &ControllerRevision) -> Option<PodTemplateSpec> {
    let mut template = revision.data.0.pointer("/spec/template")?.clone();
    template.as_object_mut()?.remove("$patch");
    serde_json::from_value(template).ok()
}

/// The hash in a revision's label.
pub(super) fn hash_of(revision: &ControllerRevision) -> &str {
    revision.labels().get(HASH).map(String::as_str).unwrap_or_default()
}

fn new<K: Kind>(
    owner: &K,
    template: &PodTemplateSpec,
    data: Value,
    revision: i64,
    collisions: Option<i32>,
) -> Option<ControllerRevision> {
    let hash = hash(&data, collisions);
    let mut labels: BTreeMap<String, String> =
        template.metadata.as_ref().and_then(|meta| meta.labels.clone()).unwrap_or_default();
    labels.insert(REVISION_HASH.into(), hash.clone());
    labels.insert(HASH.into(), hash.clone());
    // Names of objects are at most 253 characters long.
    let mut prefix = owner.name_any();
    prefix.truncate(223);
    Some(ControllerRevision {
        metadata: ObjectMeta {
            name: Some(format!("{prefix}-{hash}")),
            namespace: owner.namespace(),
            labels: Some(labels),
            annotations: Some(owner.annotations().clone()),
            owner_references: Some(vec![owner_reference(owner)?]),
            ..ObjectMeta::default()
        },
        data: RawExtension(data),
        revision: Some(revision),
    })
}

/// The oldest of those that nobody uses, above `limit`.
fn expired(
    revisions: &[Arc<ControllerRevision>],
    used: &BTreeSet<&str>,
    limit: i32,
) -> Vec<Arc<ControllerRevision>> {
    let unused: Vec<_> = revisions
        .iter()
        .filter(|revision| {
            let name = revision.metadata.name.as_deref().unwrap_or_default();
            !used.contains(name) && !used.contains(hash_of(revision))
        })
        .cloned()
        .collect();
    let surplus = unused.len().saturating_sub(usize::try_from(limit).unwrap_or_default());
    unused.into_iter().take(surplus).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision(name: &str, number: i64) -> Arc<ControllerRevision> {
        let mut revision = ControllerRevision { revision: Some(number), ..Default::default() };
        revision.metadata.name = Some(name.into());
        revision.labels_mut().insert(HASH.into(), format!("hash-of-{name}"));
        Arc::new(revision)
    }

    #[test]
    fn templates_come_back_as_they_were() {
        let given: PodTemplateSpec = serde_json::from_value(
            json!({"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}),
        )
        .expect("a template");
        let data = data(&given);
        assert_eq!(data["spec"]["template"]["$patch"], "replace");
        let held = ControllerRevision { data: RawExtension(data), ..Default::default() };
        assert_eq!(template(&held), Some(given));
        assert_eq!(template(&ControllerRevision::default()), None);
    }

    #[test]
    fn the_oldest_unused_go_first() {
        let mut revisions =
            vec![revision("c", 3), revision("a", 1), revision("d", 4), revision("b", 2)];
        sort(&mut revisions);
        let names = |limit: i32, used: &[&str]| {
            let used = used.iter().copied().collect();
            expired(&revisions, &used, limit).iter().map(|r| r.name_any()).collect::<Vec<_>>()
        };
        assert_eq!(names(2, &["d"]), ["a"]);
        assert_eq!(names(0, &["d", "hash-of-b"]), ["a", "c"], "named by pods in either way");
        assert_eq!(names(10, &[]), Vec::<String>::new());
    }
}
