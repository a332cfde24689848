//! Whether the claims of a pod let it run, and on which node.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::ResourceExt;

use crate::controllers::cache::Cache;
use crate::controllers::key::Key;
use crate::controllers::node_fit::reaches;
use crate::controllers::volume::{
    asked_of, best, claims_of, class, is_bound, phase_of, volume_of, waits,
};

/// What a class says that makes no volumes.
const NOBODY: &str = "kubernetes.io/no-provisioner";

/// Whether a pod has claims at all.
pub(super) fn has_some(pod: &Pod) -> bool {
    pod.spec.as_ref().is_some_and(|spec| claims_of(spec).next().is_some())
}

/// The claims of a pod that may run where their volumes are.
#[derive(Debug, Default)]
pub(super) struct Storage {
    /// Volumes of claims that have one.
    bound: Vec<Arc<PersistentVolume>>,
    /// Claims that get one with their first pod, and whether one can be made.
    waiting: Vec<(Arc<PersistentVolumeClaim>, bool)>,
    volumes: Vec<Arc<PersistentVolume>>,
    /// Names of claims that are for one pod.
    alone: Vec<String>,
}

/// What is to be done before the pod is bound to a node.
#[derive(Debug)]
pub(super) enum Volumes {
    /// Nothing.
    Ready,
    /// These claims are to get their volumes on it.
    Wanted(Vec<Arc<PersistentVolumeClaim>>),
}

impl Storage {
    /// Looks the pod's claims up.
    ///
    /// # Errors
    /// Why the pod may run nowhere, in the words of real schedulers.
    pub(super) fn of(
        pod: &Pod,
        claims: &Cache<PersistentVolumeClaim>,
        volumes: &Cache<PersistentVolume>,
        classes: &Cache<StorageClass>,
    ) -> Result<Self, String> {
        let mut storage = Self::default();
        let namespace = pod.namespace().unwrap_or_default();
        for name in pod.spec.iter().flat_map(claims_of) {
            let claim = claims.get(&Key::new(&namespace, name));
            let class = claim.as_deref().and_then(|claim| classes.get(&Key::new("", class(claim))));
            let bound = claim.as_deref().map(volume_of).and_then(|v| volumes.get(&Key::new("", v)));
            storage.add(name, claim, class.as_deref(), bound)?;
        }
        if !storage.waiting.is_empty() {
            storage.volumes = volumes.all();
        }
        Ok(storage)
    }

    fn add(
        &mut self,
        name: &str,
        claim: Option<Arc<PersistentVolumeClaim>>,
        class: Option<&StorageClass>,
        volume: Option<Arc<PersistentVolume>>,
    ) -> Result<(), String> {
        let Some(claim) = claim else {
            return Err(format!("persistentvolumeclaim {name:?} not found"));
        };
        if phase_of(&claim) == "Lost" {
            let volume = volume_of(&claim);
            return Err(format!(
                "persistentvolumeclaim {name:?} bound to non-existent persistentvolume {volume:?}"
            ));
        }
        if claim.metadata.deletion_timestamp.is_some() {
            return Err(format!("persistentvolumeclaim {name:?} is being deleted"));
        }
        let modes = claim.spec.as_ref().and_then(|spec| spec.access_modes.as_deref());
        if modes.unwrap_or_default().iter().any(|mode| mode == "ReadWriteOncePod") {
            self.alone.push(name.to_owned());
        }
        match (is_bound(&claim), volume, class) {
            (true, Some(volume), _) => self.bound.push(volume),
            (true, None, _) => {
                return Err(format!("persistentvolume {:?} not found", volume_of(&claim)));
            }
            // One that is kept for a volume is bound by it, whatever its class.
            (false, _, Some(class)) if waits(class) && volume_of(&claim).is_empty() => {
                self.waiting.push((claim, class.provisioner != NOBODY));
            }
            (false, ..) => return Err("pod has unbound immediate PersistentVolumeClaims".into()),
        }
        Ok(())
    }

    /// The claims that no two pods may have.
    pub(super) fn alone(&self) -> &[String] {
        &self.alone
    }

    /// One claim, which no two pods may have.
    #[cfg(test)]
    pub(super) fn for_one(claim: &str) -> Self {
        Self { alone: vec![claim.to_owned()], ..Self::default() }
    }

    /// Whether a node has what the claims ask for.
    ///
    /// # Errors
    /// What the node has not.
    pub(super) fn on(&self, node: &Node) -> Result<Volumes, String> {
        if !self.bound.iter().all(|volume| reaches(volume, node)) {
            return Err("node(s) had volume node affinity conflict".into());
        }
        // One after the other, so that no two get the same; those that need least choose first.
        let mut free = self.volumes.clone();
        let mut waiting: Vec<_> = self.waiting.iter().collect();
        waiting.sort_by_key(|(claim, _)| asked_of(claim));
        for (claim, made) in waiting {
            match best(claim, &free, Some(node), true) {
                Some(chosen) => free.retain(|volume| !Arc::ptr_eq(volume, &chosen)),
                None if *made => {}
                None => {
                    return Err("node(s) didn't find available persistent volumes to bind".into());
                }
            }
        }
        let wanted: Vec<_> = self.waiting.iter().map(|(claim, _)| claim.clone()).collect();
        Ok(if wanted.is_empty() { Volumes::Ready } else { Volumes::Wanted(wanted) })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of<K: serde::de::DeserializeOwned>(object: Value) -> K {
        serde_json::from_value(object).expect("well-formed")
    }

    fn claim(change: impl FnOnce(&mut Value)) -> Option<Arc<PersistentVolumeClaim>> {
        let mut claim = json!({"metadata": {"namespace": "default", "name": "data"},
            "spec": {"storageClassName": "c", "accessModes": ["ReadWriteOnce"]}});
        change(&mut claim);
        Some(Arc::new(of(claim)))
    }

    fn class(mode: &str, provisioner: &str) -> StorageClass {
        of(
            json!({"metadata": {"name": "c"}, "provisioner": provisioner, "volumeBindingMode": mode}),
        )
    }

    fn refused(
        claim: Option<Arc<PersistentVolumeClaim>>,
        class: Option<&StorageClass>,
    ) -> Result<(), String> {
        Storage::default().add("data", claim, class, None)
    }

    #[test]
    fn a_pod_waits_for_claims_that_are_not_there_or_have_no_volume() {
        let immediate = class("Immediate", "example.com/disk");
        let deleted = |c: &mut Value| {
            c["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        };
        let lost = |c: &mut Value| {
            c["status"] = json!({"phase": "Lost"});
            c["spec"]["volumeName"] = "v".into();
        };
        let orphan = |c: &mut Value| {
            c["metadata"]["annotations"] = json!({"pv.kubernetes.io/bind-completed": "yes"});
            c["spec"]["volumeName"] = "v".into();
        };
        for (claim, expected) in [
            (None, "persistentvolumeclaim \"data\" not found"),
            (claim(deleted), "persistentvolumeclaim \"data\" is being deleted"),
            (
                claim(lost),
                "persistentvolumeclaim \"data\" bound to non-existent persistentvolume \"v\"",
            ),
            (claim(orphan), "persistentvolume \"v\" not found"),
            (claim(|_| ()), "pod has unbound immediate PersistentVolumeClaims"),
        ] {
            assert_eq!(refused(claim, Some(&immediate)), Err(expected.to_owned()));
        }
        assert!(refused(claim(|_| ()), None).is_err(), "there is no such class");
    }

    #[test]
    fn a_node_is_fit_where_volumes_are_or_can_be_made() {
        let node: Node = of(json!({"metadata": {"name": "n"}}));
        let mut made = Storage::default();
        let late = class("WaitForFirstConsumer", "curtain.dev/host-path");
        made.add("data", claim(|_| ()), Some(&late), None).expect("it waits for a node");
        assert!(matches!(made.on(&node), Ok(Volumes::Wanted(claims)) if claims.len() == 1));
        assert!(made.alone().is_empty());
        let single = claim(|c| c["spec"]["accessModes"] = json!(["ReadWriteOncePod"]));
        made.add("single", single, Some(&late), None).expect("it waits for a node");
        assert_eq!(made.alone(), ["single"]);

        let mut found = Storage::default();
        let local = class("WaitForFirstConsumer", NOBODY);
        found.add("data", claim(|_| ()), Some(&local), None).expect("it waits for a node");
        let none = "node(s) didn't find available persistent volumes to bind";
        assert_eq!(found.on(&node).expect_err("there is none"), none);
        let volume = |node: &str| -> Arc<PersistentVolume> {
            Arc::new(of(
                json!({"metadata": {"name": "v"}, "status": {"phase": "Available"}, "spec": {
                "accessModes": ["ReadWriteOnce"], "storageClassName": "c",
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchFields": [
                    {"key": "metadata.name", "operator": "In", "values": [node]}]}]}}}}),
            ))
        };
        found.volumes = vec![volume("m")];
        assert_eq!(found.on(&node).expect_err("it is elsewhere"), none);
        found.volumes = vec![volume("n")];
        assert!(matches!(found.on(&node), Ok(Volumes::Wanted(_))));

        let second = claim(|c| c["metadata"]["name"] = "more".into());
        found.add("more", second, Some(&local), None).expect("it waits for a node");
        assert_eq!(found.on(&node).expect_err("both cannot have it"), none);
        let mut another = PersistentVolume::clone(&volume("n"));
        another.metadata.name = Some("w".into());
        found.volumes.push(Arc::new(another));
        assert!(matches!(found.on(&node), Ok(Volumes::Wanted(claims)) if claims.len() == 2));

        let mut bound = Storage { bound: vec![volume("n")], ..Storage::default() };
        assert!(matches!(bound.on(&node), Ok(Volumes::Ready)));
        bound.bound.push(volume("m"));
        let conflict = "node(s) had volume node affinity conflict";
        assert_eq!(bound.on(&node).expect_err("one is elsewhere"), conflict);
    }
}
