//! A pod's volumes on disk.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{DownwardAPIVolumeFile, KeyToPath, PodSpec, Volume};

use super::fields::Fields;
use super::objects::{Content, Objects};
use super::payload::{self, Payload, PayloadFile};
use super::quantity;

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

/// Volumes in memory, which the shim mounts: directory and most bytes.
pub(super) fn in_memory(spec: &PodSpec, dir: &Path) -> Vec<(PathBuf, Option<u64>)> {
    let volumes = spec.volumes.iter().flatten();
    volumes
        .filter_map(|volume| {
            let empty = volume.empty_dir.as_ref()?;
            let memory = empty.medium.as_deref() == Some("Memory");
            let size = empty.size_limit.as_ref().and_then(|size| quantity::whole(&size.0));
            memory.then(|| (dir.join(&volume.name), size))
        })
        .collect()
}

/// Makes every volume of the pod below `dir`, or brings it up to date.
///
/// # Errors
/// The sentence a kubelet would show in `FailedMount`.
pub(super) async fn prepare(
    spec: &PodSpec,
    dir: &Path,
    fields: Fields<'_>,
    objects: &Objects,
) -> Result<Prepared, String> {
    let group = spec.security_context.as_ref().and_then(|context| context.fs_group);
    let group = group.and_then(|group| u32::try_from(group).ok());
    let mut prepared = Prepared::default();
    for volume in spec.volumes.iter().flatten() {
        let path = dir.join(&volume.name);
        let made = make(volume, &path, fields, objects, group).await.map_err(|error| {
            format!("MountVolume.SetUp failed for volume {:?} : {error}", volume.name)
        })?;
        prepared.paths.insert(volume.name.clone(), made.path);
        prepared.again_at = match (prepared.again_at, made.again_at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
    Ok(prepared)
}

struct Made {
    path: PathBuf,
    again_at: Option<Instant>,
}

async fn make(
    volume: &Volume,
    path: &Path,
    fields: Fields<'_>,
    objects: &Objects,
    group: Option<u32>,
) -> Result<Made, String> {
    let fail = |error: std::io::Error| error.to_string();
    let mut again_at = None;
    let mut files = Payload::new();
    if volume.empty_dir.is_some() {
        empty_dir(path, group).map_err(fail)?;
        return Ok(Made { path: path.to_owned(), again_at });
    }
    if let Some(host) = &volume.host_path {
        return host_path(&host.path, host.type_.as_deref().unwrap_or_default())
            .map(|path| Made { path, again_at });
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
    payload::write(path, &files, group).map_err(fail)?;
    Ok(Made { path: path.to_owned(), again_at })
}

fn empty_dir(path: &Path, group: Option<u32>) -> std::io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    fs::create_dir_all(path)?;
    chown(path, None, group)?;
    let mode = if group.is_some() { 0o2777 } else { 0o777 };
    fs::set_permissions(path, PermissionsExt::from_mode(mode))
}

fn host_path(path: &str, kind: &str) -> Result<PathBuf, String> {
    let target = PathBuf::from(path);
    let meta = fs::metadata(&target).ok();
    let is_dir = meta.as_ref().is_some_and(fs::Metadata::is_dir);
    let is_file = meta.as_ref().is_some_and(fs::Metadata::is_file);
    let made = match kind {
        "DirectoryOrCreate" if meta.is_none() => fs::create_dir_all(&target),
        "FileOrCreate" if meta.is_none() => fs::File::create(&target).map(|_| ()),
        "Directory" if !is_dir => Err(std::io::Error::other("it is no directory")),
        "File" if !is_file => Err(std::io::Error::other("it is no file")),
        _ if meta.is_none() => Err(std::io::ErrorKind::NotFound.into()),
        _ => Ok(()),
    };
    made.map(|()| target).map_err(|error| format!("hostPath {path}: {error}"))
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
