//! What a Deployment and its ReplicaSets say: numbers, annotations, hashes.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

use crate::controllers::share::share;

pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
pub(super) const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
pub(super) const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
pub(super) const MAX: &str = "deployment.kubernetes.io/max-replicas";
pub(super) const HASH: &str = "pod-template-hash";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Wanted replicas of a Deployment.
pub(super) fn wanted(deployment: &Deployment) -> i32 {
    deployment.spec.replicas.unwrap_or(1)
}

/// Wanted replicas of a ReplicaSet.
pub(super) fn size(set: &ReplicaSet) -> i32 {
    set.spec.replicas.unwrap_or(1)
}

/// Sum of wanted replicas.
pub(super) fn total(sets: &[Arc<ReplicaSet>]) -> i32 {
    sets.iter().map(|set| size(set)).sum()
}

pub(super) fn available(set: &ReplicaSet) -> i32 {
    set.status.as_ref().and_then(|status| status.available_replicas).unwrap_or_default()
}

pub(super) fn is_rolling(deployment: &Deployment) -> bool {
    let strategy = deployment.spec.strategy.as_ref();
    strategy.and_then(|s| s.type_.as_deref()).is_none_or(|kind| kind == "RollingUpdate")
}

/// How many pods there may be above the wanted number, and how many may be missing. Never both zero.
pub(super) fn fenceposts(deployment: &Deployment) -> (i32, i32) {
    if !is_rolling(deployment) {
        return (0, 0);
    }
    let rolling =
        deployment.spec.strategy.as_ref().and_then(|strategy| strategy.rolling_update.as_ref());
    let quarter = IntOrString::String("25%".into());
    let share = |value: Option<&IntOrString>, up: bool| {
        share(value.unwrap_or(&quarter), wanted(deployment), up)
    };
    let surge = share(rolling.and_then(|r| r.max_surge.as_ref()), true);
    let unavailable = share(rolling.and_then(|r| r.max_unavailable.as_ref()), false);
    if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable) }
}

/// How many pods may be missing: never more than are wanted.
pub(super) fn max_unavailable(deployment: &Deployment) -> i32 {
    let wanted = wanted(deployment);
    if !is_rolling(deployment) || wanted == 0 {
        return 0;
    }
    fenceposts(deployment).1.min(wanted)
}

/// How many pods there may be above the wanted number.
pub(super) fn max_surge(deployment: &Deployment) -> i32 {
    fenceposts(deployment).0
}

/// The template without the label that only ReplicaSets carry.
pub(super) fn same_template(set: &ReplicaSet, template: &PodTemplateSpec) -> bool {
    let Some(mut own) = set.spec.template.clone() else { return false };
    if let Some(labels) = own.metadata.as_mut().and_then(|meta| meta.labels.as_mut()) {
        labels.remove(HASH);
    }
    let bare = |mut template: PodTemplateSpec| {
        if let Some(meta) = template.metadata.as_mut() {
            meta.labels = meta.labels.take().filter(|labels| !labels.is_empty());
        }
        template
    };
    bare(own) == bare(template.clone())
}

/// The revision that an object's annotation names; 0 when none.
pub(super) fn revision(annotations: &BTreeMap<String, String>) -> i64 {
    annotations.get(REVISION).and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// The annotations of the new ReplicaSet: the Deployment's own, its revision, and its size.
pub(super) fn set_annotations(
    deployment: &Deployment,
    former: &BTreeMap<String, String>,
    revision_number: i64,
) -> BTreeMap<String, String> {
    let mut annotations = former.clone();
    let own = [LAST_APPLIED, REVISION, REVISION_HISTORY, DESIRED, MAX];
    for (name, value) in deployment.annotations() {
        if !own.contains(&name.as_str()) {
            annotations.insert(name.clone(), value.clone());
        }
    }
    let before = revision(former);
    if before < revision_number {
        annotations.insert(REVISION.into(), revision_number.to_string());
        if before > 0 {
            let history = former.get(REVISION_HISTORY).map(|h| format!("{h},{before}"));
            annotations
                .insert(REVISION_HISTORY.into(), history.unwrap_or_else(|| before.to_string()));
        }
    }
    annotations.extend(size_annotations(deployment));
    annotations
}

/// What a ReplicaSet remembers of the Deployment's size when it was last scaled.
pub(super) fn size_annotations(deployment: &Deployment) -> [(String, String); 2] {
    let wanted = wanted(deployment);
    [
        (DESIRED.to_owned(), wanted.to_string()),
        (MAX.to_owned(), (wanted + max_surge(deployment)).to_string()),
    ]
}

/// A number in an annotation.
pub(super) fn annotated(set: &ReplicaSet, name: &str) -> Option<i32> {
    set.annotations().get(name).and_then(|text| text.parse().ok())
}

/// The ReplicaSet of the current template (the oldest, should there be several), and the others by age.
pub(super) fn split(
    deployment: &Deployment,
    sets: Vec<Arc<ReplicaSet>>,
) -> (Option<Arc<ReplicaSet>>, Vec<Arc<ReplicaSet>>) {
    let mut sets = sets;
    sets.sort_by(|a, b| {
        let age = |set: &ReplicaSet| (set.creation_timestamp().map(|time| time.0), set.name_any());
        age(a).cmp(&age(b))
    });
    let at = sets.iter().position(|set| same_template(set, &deployment.spec.template));
    let new = at.map(|at| sets.remove(at));
    (new, sets)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(
        replicas: i32,
        surge: serde_json::Value,
        unavailable: serde_json::Value,
    ) -> Deployment {
        serde_json::from_value(json!({"metadata":{"name":"web"},"spec":{"replicas":replicas,"selector":{},
            "strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":surge,"maxUnavailable":unavailable}},
            "template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[]}}}}))
        .expect("a Deployment")
    }

    #[test]
    fn fenceposts_round_up_and_down_and_are_never_both_zero() {
        let posts =
            |replicas, surge, unavailable| fenceposts(&deployment(replicas, surge, unavailable));
        assert_eq!(posts(3, json!("25%"), json!("25%")), (1, 0));
        assert_eq!(posts(10, json!("25%"), json!("25%")), (3, 2));
        assert_eq!(posts(3, json!(0), json!("25%")), (0, 1));
        assert_eq!(posts(4, json!(2), json!(1)), (2, 1));
        assert_eq!(max_unavailable(&deployment(1, json!(0), json!(5))), 1);
    }

    #[test]
    fn annotations_follow_the_deployment_and_keep_the_history() {
        let mut d = deployment(3, json!(1), json!(0));
        d.annotations_mut()
            .extend([("note".to_owned(), "x".to_owned()), (REVISION.to_owned(), "9".to_owned())]);
        let first = set_annotations(&d, &BTreeMap::new(), 1);
        assert_eq!(first.get(REVISION).map(String::as_str), Some("1"));
        assert_eq!(first.get("note").map(String::as_str), Some("x"));
        assert_eq!((first[DESIRED].as_str(), first[MAX].as_str()), ("3", "4"));
        let third = set_annotations(&d, &first, 3);
        assert_eq!((third[REVISION].as_str(), third[REVISION_HISTORY].as_str()), ("3", "1"));
        assert_eq!(set_annotations(&d, &third, 2)[REVISION], "3");
    }
}
