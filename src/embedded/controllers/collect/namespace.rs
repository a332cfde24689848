//! Deleting a namespace: everything in it goes first, then the namespace.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, NamespaceCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{DeleteParams, DynamicObject, ListParams, PostParams};
use kube::{Api, Client, ResourceExt};

use super::Collector;
use super::kinds::Kind;
use crate::controllers::cache::{Cache, Change};
use crate::controllers::key::Key;
use crate::controllers::registry::Registry;

/// The finalizer of the specification that stands for "its content is still there".
const CONTENT: &str = "kubernetes";
/// Looks again after this time although nothing was told: events of a kind may be lost with the kind.
const PATIENCE: Duration = Duration::from_secs(10);

struct Controller {
    client: Client,
    namespaces: Arc<Cache<Namespace>>,
    collector: Arc<Collector>,
}

/// What is left in a namespace.
#[derive(Debug, Default)]
struct Rest {
    /// Plural, group, number of objects.
    content: Vec<(String, usize)>,
    /// Finalizer and number of objects that wait for it.
    finalizers: Vec<(String, usize)>,
    /// Errors, one a kind.
    failures: Vec<String>,
}

/// Makes the controller, which shares the collector's sight of the kinds.
pub(super) fn register(registry: &mut Registry, collector: &Arc<Collector>) {
    let controller = Arc::new(Controller {
        client: registry.client.clone(),
        namespaces: registry.cache(),
        collector: collector.clone(),
    });
    registry.tell(&controller, Controller::namespace_changed);
    registry.work(async move { controller.work().await });
}

impl Controller {
    fn namespace_changed(&self, change: &Change<Namespace>) {
        if let Some(namespace) =
            change.new.as_ref().filter(|n| n.metadata.deletion_timestamp.is_some())
        {
            self.collector.emptied.add(namespace.name_any().into());
        }
    }

    /// Works for ever.
    async fn work(&self) {
        let queue = &self.collector.emptied;
        let reconcile = |name: Arc<str>| async move {
            if self.reconcile(&name).await? {
                queue.add_after(name, PATIENCE);
            }
            Ok(())
        };
        queue.work("emptying the namespace", reconcile).await;
    }

    /// True when the namespace still has content.
    async fn reconcile(&self, name: &str) -> Result<bool, kube::Error> {
        let Some(namespace) = self.namespaces.get(&Key::new("", name)) else { return Ok(false) };
        let finalizers = namespace.spec.as_ref().and_then(|spec| spec.finalizers.as_ref());
        let waits = finalizers.into_iter().flatten().any(|finalizer| finalizer == CONTENT);
        if namespace.metadata.deletion_timestamp.is_none() || !waits {
            return Ok(false);
        }
        let mut rest = Rest::default();
        for kind in self.collector.namespaced_kinds() {
            if let Err(error) = self.purge(&kind, name, &mut rest).await {
                rest.failures.push(format!("{}: {error}", kind.plural));
            }
        }
        if rest.content.is_empty() && rest.failures.is_empty() {
            return self.finalize(&namespace).await.map(|()| false);
        }
        self.report(&namespace, &rest).await?;
        Ok(true)
    }

    /// Deletes all objects of a kind, and counts what still stays.
    async fn purge(
        &self,
        kind: &Kind,
        namespace: &str,
        rest: &mut Rest,
    ) -> Result<(), kube::Error> {
        let api: Api<DynamicObject> = kind.api(&self.client, namespace);
        let found = api.list_metadata(&ListParams::default()).await?.items;
        if found.iter().all(|object| object.metadata.deletion_timestamp.is_some()) {
            // All of them are on their way already.
        } else if kind.collections {
            api.delete_collection(&DeleteParams::background(), &ListParams::default()).await?;
        } else {
            for object in &found {
                match api.delete(&object.name_any(), &DeleteParams::background()).await {
                    Err(kube::Error::Api(status)) if status.code == 404 => {}
                    answer => drop(answer?),
                }
            }
        }
        let left = if found.is_empty() {
            found
        } else {
            api.list_metadata(&ListParams::default()).await?.items
        };
        if left.is_empty() {
            return Ok(());
        }
        let name = if kind.group.is_empty() {
            format!("{}.", kind.plural)
        } else {
            format!("{}.{}", kind.plural, kind.group)
        };
        rest.content.push((name, left.len()));
        for finalizer in left.iter().flat_map(|object| object.finalizers()) {
            match rest.finalizers.iter_mut().find(|(known, _)| known == finalizer) {
                Some((_, count)) => *count += 1,
                None => rest.finalizers.push((finalizer.clone(), 1)),
            }
        }
        Ok(())
    }

    async fn finalize(&self, namespace: &Namespace) -> Result<(), kube::Error> {
        let mut updated = namespace.clone();
        if let Some(finalizers) = updated.spec.as_mut().and_then(|spec| spec.finalizers.as_mut()) {
            finalizers.retain(|finalizer| finalizer != CONTENT);
        }
        let name = namespace.name_any();
        let api: Api<Namespace> = Api::all(self.client.clone());
        let answer: Result<Namespace, _> =
            api.replace_subresource("finalize", &name, &PostParams::default(), &updated).await;
        match answer {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn report(&self, namespace: &Namespace, rest: &Rest) -> Result<(), kube::Error> {
        let status = namespace.status.clone().unwrap_or_default();
        let conditions =
            conditions(status.conditions.clone().unwrap_or_default(), rest, Timestamp::now());
        if status.conditions.as_ref() == Some(&conditions) {
            return Ok(());
        }
        let mut updated = namespace.clone();
        updated.status.get_or_insert_default().conditions = Some(conditions);
        let api: Api<Namespace> = Api::all(self.client.clone());
        match api.replace_status(&namespace.name_any(), &PostParams::default(), &updated).await {
            Ok(answer) => {
                self.namespaces.put(answer);
                Ok(())
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// The conditions that tell why a namespace is still there.
fn conditions(
    former: Vec<NamespaceCondition>,
    rest: &Rest,
    now: Timestamp,
) -> Vec<NamespaceCondition> {
    let counted = |list: &[(String, usize)], before: &str, after: &str| {
        let parts: Vec<String> = list
            .iter()
            .map(|(name, count)| format!("{name} has {count} resource instances"))
            .collect();
        (!list.is_empty()).then(|| format!("{before}{}{after}", parts.join(", ")))
    };
    let finalizers: Vec<String> = rest
        .finalizers
        .iter()
        .map(|(name, count)| format!("{name} in {count} resource instances"))
        .collect();
    let facts = [
        (
            "NamespaceDeletionDiscoveryFailure",
            None,
            "ResourcesDiscovered",
            "",
            "All resources successfully discovered",
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            None,
            "ParsedGroupVersions",
            "",
            "All legacy kube types successfully parsed",
        ),
        (
            "NamespaceDeletionContentFailure",
            (!rest.failures.is_empty()).then(|| {
                format!(
                    "Failed to delete all resource types, {} remaining: {}",
                    rest.failures.len(),
                    rest.failures.join(", ")
                )
            }),
            "ContentDeleted",
            "ContentDeletionFailed",
            "All content successfully deleted, may be waiting on finalization",
        ),
        (
            "NamespaceContentRemaining",
            counted(&rest.content, "Some resources are remaining: ", ""),
            "ContentRemoved",
            "SomeResourcesRemain",
            "All content successfully removed",
        ),
        (
            "NamespaceFinalizersRemaining",
            (!finalizers.is_empty()).then(|| {
                format!(
                    "Some content in the namespace has finalizers remaining: {}",
                    finalizers.join(", ")
                )
            }),
            "ContentHasNoFinalizers",
            "SomeFinalizersRemain",
            "All content-preserving finalizers finished",
        ),
    ];
    facts
        .into_iter()
        .map(|(kind, problem, good, bad, fine)| {
            let status = if problem.is_some() { "True" } else { "False" };
            let reason = if problem.is_some() { bad } else { good };
            let message = problem.unwrap_or_else(|| fine.to_owned());
            let known = former.iter().find(|c| c.type_ == kind && c.status == status);
            NamespaceCondition {
                type_: kind.to_owned(),
                status: status.to_owned(),
                reason: Some(reason.to_owned()),
                message: Some(message),
                last_transition_time: known
                    .and_then(|known| known.last_transition_time.clone())
                    .or(Some(Time(now))),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_name_what_remains_and_keep_their_times() {
        let rest = Rest {
            content: vec![("pods.".into(), 2), ("things.example.dev".into(), 1)],
            finalizers: vec![("example.dev/hold".into(), 1)],
            failures: Vec::new(),
        };
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        let first = conditions(Vec::new(), &rest, at("2026-01-01T00:00:00Z"));
        let remaining = &first[3];
        assert_eq!(
            (remaining.status.as_str(), remaining.reason.as_deref()),
            ("True", Some("SomeResourcesRemain"))
        );
        assert_eq!(
            remaining.message.as_deref(),
            Some(
                "Some resources are remaining: pods. has 2 resource instances, things.example.dev has 1 resource instances"
            )
        );
        assert_eq!(
            first[4].message.as_deref(),
            Some(
                "Some content in the namespace has finalizers remaining: example.dev/hold in 1 resource instances"
            )
        );
        assert_eq!(conditions(first.clone(), &rest, at("2026-01-01T00:01:00Z")), first);
        let empty = conditions(first, &Rest::default(), at("2026-01-01T00:02:00Z"));
        assert!(empty.iter().all(|c| c.status == "False"));
    }
}
