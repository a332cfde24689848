//! What a pod's volumes hold. The pod's shim makes them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{DownwardAPIVolumeFile, KeyToPath, PodSpec, Volume};

use super::fields::Fields;
use super::objects::{Content, Objects};
use super::quantity;
use crate::node::link::ShimLink;
use crate::node::shim::{MemoryVolume, Payload, PayloadFile, VolumeSpec};

/// How often the content of ConfigMaps and Secrets is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(20);
const TOKEN_SECONDS: i64 = 3607;
const DEFAULT_MODE: i32 = 0o644;

/// Where the volumes are, and when they are to be prepared again.
#[derive(Debug, Default, Clone)]
pub(super) struct Prepared {
    /// Host paths by volume name.
    pub(super) paths: BTreeMap<String, PathBuf>,
    /// None if nothing in them ever changes.
    pub(super) again_at: Option<Instant>,
}

/// Whether a volume is written from objects, which makes it read-only for containers, whatever the pod says.
pub(super) fn is_projection(volume: &Volume) -> bool {
    volume.config_map.is_some() || holds_secrets(volume)
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

/// Has the shim make every volume of the pod below `dir`, or bring it up to date.
///
/// # Errors
/// The sentence a kubelet would show in `FailedMount`.
pub(super) async fn prepare(
    spec: &PodSpec,
    dir: &Path,
    fields: Fields<'_>,
    objects: &Objects,
    shim: &ShimLink,
) -> Result<Prepared, String> {
    let group = group(spec);
    let mut prepared = Prepared::default();
    for volume in spec.volumes.iter().flatten() {
        let path = dir.join(&volume.name);
        let fail = |error: String| {
            format!("MountVolume.SetUp failed for volume {:?} : {error}", volume.name)
        };
        let wanted = wanted(volume, path, fields, objects, group).await.map_err(fail)?;
        let path = match &wanted.spec {
            VolumeSpec::Empty { path, .. }
            | VolumeSpec::Files { path, .. }
            | VolumeSpec::Host { path, .. } => path.clone(),
        };
        shim.volume(wanted.spec).await.map_err(|error| fail(error.to_string()))?;
        prepared.paths.insert(volume.name.clone(), path);
        prepared.again_at = match (prepared.again_at, wanted.again_at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
    Ok(prepared)
}

struct Wanted {
    spec: VolumeSpec,
    again_at: Option<Instant>,
}

async fn wanted(
    volume: &Volume,
    path: PathBuf,
    fields: Fields<'_>,
    objects: &Objects,
    group: Option<u32>,
) -> Result<Wanted, String> {
    let mut again_at = None;
    let mut files = Payload::new();
    if volume.empty_dir.is_some() {
        return Ok(Wanted { spec: VolumeSpec::Empty { path, group }, again_at });
    }
    if let Some(host) = &volume.host_path {
        let kind = host.type_.clone().unwrap_or_default();
        let spec = VolumeSpec::Host { path: PathBuf::from(&host.path), kind };
        return Ok(Wanted { spec, again_at });
    }
    if let Some(source) = &volume.config_map {
        let optional = source.optional == Some(true);
        let content = objects.config_map(&source.name, optional).await?;
        select(&mut files, content, source.items.as_deref(), mode(source.default_mode), optional)?;
        again_at = Some(Instant::now() + LOOK_AGAIN);
    } else if let Some(source) = &volume.secret {
        let optional = source.optional == Some(true);
        let name = source.secret_name.as_deref().unwrap_or_default();
        let content = objects.secret(name, optional).await?;
        select(&mut files, content, source.items.as_deref(), mode(source.default_mode), optional)?;
        again_at = Some(Instant::now() + LOOK_AGAIN);
    } else if let Some(source) = &volume.downward_api {
        let items = source.items.as_deref().unwrap_or_default();
        downward(&mut files, items, fields, mode(source.default_mode))?;
    } else if let Some(source) = &volume.projected {
        let default = mode(source.default_mode);
        for part in source.sources.iter().flatten() {
            if let Some(part) = &part.config_map {
                let optional = part.optional == Some(true);
                let content = objects.config_map(&part.name, optional).await?;
                select(&mut files, content, part.items.as_deref(), default, optional)?;
            } else if let Some(part) = &part.secret {
                let optional = part.optional == Some(true);
                let content = objects.secret(&part.name, optional).await?;
                select(&mut files, content, part.items.as_deref(), default, optional)?;
            } else if let Some(part) = &part.downward_api {
                downward(&mut files, part.items.as_deref().unwrap_or_default(), fields, default)?;
            } else if let Some(part) = &part.service_account_token {
                let seconds = part.expiration_seconds.unwrap_or(TOKEN_SECONDS);
                let token = objects.token(fields.pod, part.audience.as_deref(), seconds).await?;
                let left = token.expires.duration_since(Timestamp::now()).as_secs();
                // A new one when four fifths of its life are over.
                let renew = Duration::from_secs(u64::try_from(left * 4 / 5).unwrap_or(0).max(1));
                let at = Instant::now() + renew;
                again_at = Some(again_at.map_or(at, |before: Instant| before.min(at)));
                let bytes = token.text.into_bytes();
                files.insert(part.path.clone(), PayloadFile { bytes, mode: default });
            } else {
                return Err("a source of the projected volume is not supported".to_owned());
            }
        }
    } else {
        return Err("this kind of volume is not supported by the embedded node yet; \
             configMap, secret, emptyDir, projected, downwardAPI and hostPath are"
            .to_owned());
    }
    Ok(Wanted { spec: VolumeSpec::Files { path, files, group }, again_at })
}

fn mode(mode: Option<i32>) -> u32 {
    mode.unwrap_or(DEFAULT_MODE).unsigned_abs() & 0o777
}

/// Adds the wanted keys of an object.
fn select(
    files: &mut Payload,
    content: Option<Content>,
    items: Option<&[KeyToPath]>,
    default: u32,
    optional: bool,
) -> Result<(), String> {
    let Some(content) = content else {
        return Ok(());
    };
    let Some(items) = items.filter(|items| !items.is_empty()) else {
        for (key, bytes) in content.bytes {
            files.insert(key, PayloadFile { bytes, mode: default });
        }
        return Ok(());
    };
    for item in items {
        match content.bytes.get(&item.key) {
            Some(bytes) => {
                let mode = item.mode.map_or(default, |one| mode(Some(one)));
                files.insert(item.path.clone(), PayloadFile { bytes: bytes.clone(), mode });
            }
            None if optional => {}
            None => return Err(format!("references non-existent key: {}", item.key)),
        }
    }
    Ok(())
}

fn downward(
    files: &mut Payload,
    items: &[DownwardAPIVolumeFile],
    fields: Fields<'_>,
    default: u32,
) -> Result<(), String> {
    for item in items {
        let text = match (&item.field_ref, &item.resource_field_ref) {
            (Some(field), _) => fields.field(&field.field_path)?,
            (None, Some(resource)) => fields.resource(resource, None)?,
            (None, None) => return Err(format!("the file {} has no source", item.path)),
        };
        let mode = item.mode.map_or(default, |one| mode(Some(one)));
        files.insert(item.path.clone(), PayloadFile { bytes: text.into_bytes(), mode });
    }
    Ok(())
}
