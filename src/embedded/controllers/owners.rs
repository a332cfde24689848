//! Whom a change of what is controlled concerns.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{Resource, ResourceExt};

use super::cache::{Cache, Change};
use super::key::Key;
use super::selector::{controller, matches};

/// Those of `owners` whom a change concerns: who controls it, before and after; of an orphan, whoever might adopt it by
/// what `selector` says of it.
pub(super) fn concerned<C: Resource, K: Resource<DynamicType = ()>>(
    change: &Change<C>,
    owners: &Cache<K>,
    selector: fn(&K) -> Option<&LabelSelector>,
) -> Vec<Key> {
    let mut keys = Vec::new();
    for object in change.old.iter().chain(&change.new) {
        let namespace = object.namespace().unwrap_or_default();
        match controller(object.meta()) {
            Some(owner) if owner.kind == K::kind(&()) => {
                keys.push(Key::new(&namespace, &owner.name));
            }
            Some(_) => {}
            None => {
                let labels = object.meta().labels.as_ref();
                let might = |owner: &K| selector(owner).is_some_and(|it| matches(it, labels));
                let all = owners.in_namespace(&namespace);
                keys.extend(all.iter().filter(|it| might(it)).map(|it| Key::of(it.as_ref())));
            }
        }
    }
    keys
}
