//! Volumes behind claims. Pure.

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{PersistentVolume, PodSpec};
use kube::ResourceExt;

use crate::node::shim::{GroupOwner, VolumeSpec};
use crate::volume;

/// The group that a pod's volumes are given to, if it wants one.
fn owner(spec: &PodSpec, read_only: bool) -> Option<GroupOwner> {
    let policy = spec.security_context.as_ref()?.fs_group_change_policy.as_deref();
    let always = policy != Some("OnRootMismatch");
    super::group(spec).filter(|_| !read_only).map(|id| GroupOwner { id, always })
}

/// What the shim makes of a PersistentVolume, and where it is. `root` is where the directories are that are made for
/// claims; the pod mounts it read-only if it says so.
///
/// # Errors
/// Why the node cannot mount it.
pub(super) fn of(
    volume: &PersistentVolume,
    root: &Path,
    spec: &PodSpec,
    read_only: bool,
) -> Result<(PathBuf, VolumeSpec), String> {
    let source = volume.spec.clone().unwrap_or_default();
    if source.volume_mode.as_deref() == Some("Block") {
        return Err("block volumes are not supported by the embedded node".to_owned());
    }
    let group = owner(spec, read_only);
    if let Some(host) = source.host_path {
        let path = PathBuf::from(&host.path);
        // What is elsewhere on the host is not ours to give away.
        if volume::directory(root, &volume.name_any()).as_ref() == Some(&path) {
            return Ok((path.clone(), VolumeSpec::Kept { path, make: true, group }));
        }
        let kind = host.type_.unwrap_or_default();
        return Ok((path.clone(), VolumeSpec::Host { path, kind }));
    }
    if let Some(local) = source.local {
        let path = PathBuf::from(&local.path);
        return Ok((path.clone(), VolumeSpec::Kept { path, make: false, group }));
    }
    Err("this kind of PersistentVolume is not supported by the embedded node; \
         hostPath and local are"
        .to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn made(source: Value, pod: Value, read_only: bool) -> Result<VolumeSpec, String> {
        let mut volume = json!({"metadata": {"name": "pvc-1"}, "spec": source});
        volume["spec"]["volumeMode"] = "Filesystem".into();
        let volume = serde_json::from_value(volume).unwrap();
        let mut spec = json!({"containers": []});
        spec["securityContext"] = pod;
        let spec = serde_json::from_value(spec).unwrap();
        of(&volume, Path::new("/volumes"), &spec, read_only).map(|(_, made)| made)
    }

    #[test]
    fn only_directories_that_are_made_for_claims_are_made_and_given_away() {
        let group = json!({"fsGroup": 7});
        let ours = json!({"hostPath": {"path": "/volumes/pvc-1", "type": "DirectoryOrCreate"}});
        let path = PathBuf::from("/volumes/pvc-1");
        let owner = Some(GroupOwner { id: 7, always: true });
        let kept = |group| VolumeSpec::Kept { path: path.clone(), make: true, group };
        assert_eq!(made(ours.clone(), group.clone(), false), Ok(kept(owner)));
        assert_eq!(made(ours.clone(), group.clone(), true), Ok(kept(None)));
        let seldom = json!({"fsGroup": 7, "fsGroupChangePolicy": "OnRootMismatch"});
        let owner = Some(GroupOwner { id: 7, always: false });
        assert_eq!(made(ours, seldom, false), Ok(kept(owner)));

        for other in ["/volumes/pvc-2", "/volumes/pvc-1/..", "/srv"] {
            let host = json!({"hostPath": {"path": other, "type": "Directory"}});
            let expected = VolumeSpec::Host { path: other.into(), kind: "Directory".into() };
            assert_eq!(made(host, group.clone(), false), Ok(expected));
        }
        let local = made(json!({"local": {"path": "/mnt"}}), group.clone(), false);
        assert!(matches!(local, Ok(VolumeSpec::Kept { make: false, .. })), "{local:?}");
        assert!(made(json!({"nfs": {"path": "/", "server": "nas"}}), group, false).is_err());
    }
}
