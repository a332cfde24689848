//! Which volume a claim gets. Pure.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim};

use super::facts::{bytes, capacity, claim_ref, class, class_of, is_block, is_for, phase, request};
use crate::controllers::node_fit::reaches;
use crate::controllers::selector::matches;

/// What keeps a volume from being what a claim asks for, in the words of real clusters.
pub(super) fn mismatch(
    volume: &PersistentVolume,
    claim: &PersistentVolumeClaim,
) -> Option<&'static str> {
    let (offered, wanted) = (volume.spec.as_ref()?, claim.spec.as_ref()?);
    let modes = offered.access_modes.iter().flatten().collect::<Vec<_>>();
    if bytes(capacity(volume)) < bytes(request(claim)) {
        Some("requested PV is too small")
    } else if class_of(volume) != class(claim) {
        Some("storageClassName does not match")
    } else if is_block(offered.volume_mode.as_ref()) != is_block(wanted.volume_mode.as_ref()) {
        Some("incompatible volumeMode")
    } else if !wanted.access_modes.iter().flatten().all(|mode| modes.contains(&mode)) {
        Some("incompatible accessMode")
    } else {
        None
    }
}

/// The volume for a claim: the one that is kept for it, or else the smallest free one that does. A claim that waits
/// for its first pod (`free` is false) gets only what is kept for it. `node` is where the volume has to be.
pub(in crate::controllers) fn best(
    claim: &PersistentVolumeClaim,
    volumes: &[Arc<PersistentVolume>],
    node: Option<&Node>,
    free: bool,
) -> Option<Arc<PersistentVolume>> {
    let fits = |volume: &&Arc<PersistentVolume>| {
        volume.metadata.deletion_timestamp.is_none()
            && node.is_none_or(|node| reaches(volume, node))
            && mismatch(volume, claim).is_none()
    };
    if let Some(kept) = volumes.iter().filter(fits).find(|volume| is_for(volume, claim)) {
        return Some(kept.clone());
    }
    let selector = claim.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    let candidates = volumes.iter().filter(fits).filter(|volume| {
        free && claim_ref(volume).is_none()
            && phase(volume) == "Available"
            && selector.is_none_or(|selector| matches(selector, volume.metadata.labels.as_ref()))
    });
    candidates.min_by_key(|volume| (bytes(capacity(volume)), volume.metadata.name.clone())).cloned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::controllers::volume::samples::{claim, volume, with};

    fn found(claim: &PersistentVolumeClaim, volumes: &[Value], free: bool) -> Option<String> {
        let node: Node =
            serde_json::from_value(json!({"metadata": {"name": "n"}})).expect("a Node");
        let volumes = volumes.iter().map(|v| Arc::new(volume(v.clone()))).collect::<Vec<_>>();
        best(claim, &volumes, Some(&node), free)?.metadata.name.clone()
    }

    fn free(name: &str, size: &str) -> Value {
        json!({"metadata": {"name": name, "labels": {"disk": name}}, "spec": {"capacity": {"storage": size},
            "accessModes": ["ReadWriteOnce"], "storageClassName": "manual", "hostPath": {"path": "/srv"}},
            "status": {"phase": "Available"}})
    }

    #[test]
    fn the_smallest_that_does_is_taken() {
        let wanted = claim(json!({"storageClassName": "manual"}));
        let all = [free("small", "500Mi"), free("large", "5Gi"), free("fitting", "1Gi")];
        assert_eq!(found(&wanted, &all, true).as_deref(), Some("fitting"));
        assert_eq!(found(&wanted, &all, false), None, "it waits for its first pod");
        assert_eq!(found(&wanted, &all[..1], true), None);
        let selector = json!({"matchLabels": {"disk": "large"}});
        let picky = claim(json!({"storageClassName": "manual", "selector": selector}));
        assert_eq!(found(&picky, &all, true).as_deref(), Some("large"));
    }

    #[test]
    fn what_does_not_do_is_passed_over() {
        let wanted = claim(json!({"storageClassName": "manual"}));
        for (path, value) in [
            ("/status/phase", json!("Released")),
            ("/spec/storageClassName", json!("other")),
            ("/spec/accessModes", json!(["ReadOnlyMany"])),
            ("/spec/claimRef", json!({"namespace": "default", "name": "other"})),
            ("/spec/claimRef", json!({"namespace": "default", "name": "data", "uid": "former"})),
            ("/spec/volumeMode", json!("Block")),
            ("/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z")),
            (
                "/spec/nodeAffinity",
                json!({"required": {"nodeSelectorTerms": [{"matchFields": [
                    {"key": "metadata.name", "operator": "In", "values": ["m"]}]}]}}),
            ),
        ] {
            let volume = with(free("one", "1Gi"), path, value);
            assert_eq!(found(&wanted, &[volume], true), None, "{path}");
        }
        let kept = json!({"namespace": "default", "name": "data"});
        let kept = with(free("kept", "5Gi"), "/spec/claimRef", kept);
        let all = [free("fitting", "1Gi"), kept];
        assert_eq!(found(&wanted, &all, false).as_deref(), Some("kept"));
    }
}
