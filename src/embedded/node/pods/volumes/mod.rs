//! What a pod's volumes hold. The pod's shim makes them.

mod claims;
mod files;
mod tokens;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use k8s_openapi::api::core::v1::{PodSpec, Volume};

use super::fields::Fields;
use super::objects::Objects;
use super::quantity;
use crate::node::link::ShimLink;
use crate::node::shim::{MemoryVolume, VolumeSpec};
use files::Reading;
pub(super) use tokens::Tokens;

/// Where the volumes are, and when they are to be prepared again.
#[derive(Debug, Default, Clone)]
pub(super) struct Prepared {
    /// Host paths by volume name.
    pub(super) paths: BTreeMap<String, PathBuf>,
    /// None if nothing in them ever changes.
    pub(super) again_at: Option<Instant>,
}

/// Whether a volume is read-only for containers, whatever they say: it is written from objects, or its claim is mounted
/// that way.
pub(super) fn is_read_only(volume: &Volume) -> bool {
    let claim = volume.persistent_volume_claim.as_ref();
    volume.config_map.is_some()
        || holds_secrets(volume)
        || claim.is_some_and(|claim| claim.read_only == Some(true))
}

/// Whether what a volume holds must not be on a disk.
fn holds_secrets(volume: &Volume) -> bool {
    volume.secret.is_some() || volume.projected.is_some() || volume.downward_api.is_some()
}

/// Volumes in memory, which the shim mounts in the pod's own mount namespace.
pub(super) fn in_memory(spec: &PodSpec, dir: &Path) -> Vec<MemoryVolume> {
    let group = group(spec);
    let volumes = spec.volumes.iter().flatten();
    volumes
        .filter_map(|volume| {
            let path = dir.join(&volume.name);
            if holds_secrets(volume) {
                return Some(MemoryVolume { path, size: None, mode: 0o755, group: None });
            }
            let empty = volume.empty_dir.as_ref()?;
            let memory = empty.medium.as_deref() == Some("Memory");
            let size = empty.size_limit.as_ref().and_then(|size| quantity::whole(&size.0));
            let mode = if group.is_some() { 0o2777 } else { 0o777 };
            memory.then_some(MemoryVolume { path, size, mode, group })
        })
        .collect()
}

fn group(spec: &PodSpec) -> Option<u32> {
    let group = spec.security_context.as_ref().and_then(|context| context.fs_group);
    group.and_then(|group| u32::try_from(group).ok())
}

/// Has the shim make every volume of the pod below `dir`, or bring what was prepared before up to date. Volumes behind
/// claims are below `kept` or elsewhere on the host, and are left alone once they are prepared.
///
/// # Errors
/// The sentence a kubelet would show in `FailedMount`.
pub(super) async fn prepare(
    spec: &PodSpec,
    (dir, kept): (&Path, &Path),
    before: Option<&Prepared>,
    tokens: &mut Tokens,
    fields: Fields<'_>,
    objects: &Objects,
    shim: &ShimLink,
) -> Result<Prepared, String> {
    let group = group(spec);
    let mut prepared = Prepared::default();
    // Images are pulled for the containers that mount them.
    for volume in spec.volumes.iter().flatten().filter(|volume| volume.image.is_none()) {
        let path = dir.join(&volume.name);
        let fail = |error: String| {
            format!("MountVolume.SetUp failed for volume {:?} : {error}", volume.name)
        };
        let (path, wanted) = if volume.empty_dir.is_some() {
            (path.clone(), VolumeSpec::Empty { path, group })
        } else if let Some(source) = &volume.persistent_volume_claim {
            if let Some(path) = before.and_then(|before| before.paths.get(&volume.name)) {
                prepared.paths.insert(volume.name.clone(), path.clone());
                continue;
            }
            let behind = objects.volume_of(&source.claim_name).await.map_err(fail)?;
            claims::of(&behind, kept, spec, is_read_only(volume)).map_err(fail)?
        } else if let Some(host) = &volume.host_path {
            let path = PathBuf::from(&host.path);
            let kind = host.type_.clone().unwrap_or_default();
            (path.clone(), VolumeSpec::Host { path, kind })
        } else {
            let mut reading = Reading::new(fields, objects, tokens);
            reading.volume(volume).await.map_err(fail)?;
            let again = [prepared.again_at, reading.again_at];
            prepared.again_at = again.into_iter().flatten().min();
            (path.clone(), VolumeSpec::Files { path, files: reading.files, group })
        };
        shim.volume(wanted).await.map_err(|error| fail(error.to_string()))?;
        prepared.paths.insert(volume.name.clone(), path);
    }
    Ok(prepared)
}
