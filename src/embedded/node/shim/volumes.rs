//! A pod's volumes, as its shim makes them.
//!
//! Files of ConfigMaps and Secrets, tokens and fields come over the socket and are written here: into memory that is
//! mounted in the pod's own mount namespace where [`super::PodSetup::memory_volumes`] says so, which is how secrets
//! never reach a disk.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ownership::{self, GroupOwner};
use super::payload;
use crate::node::rootless::Ids;

/// A volume to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "volume")]
pub(crate) enum VolumeSpec {
    /// An empty directory, of this group if there is one; left alone if it exists.
    Empty { path: PathBuf, group: Option<u32> },
    /// A directory that holds exactly these files, which the group may read.
    Files { path: PathBuf, files: Payload, group: Option<u32> },
    /// A directory that outlives the pod, of this group if there is one; made if absent and that is said.
    Kept { path: PathBuf, make: bool, group: Option<GroupOwner> },
    /// A path of the host, checked or made as its `hostPath` type says.
    Host { path: PathBuf, kind: String },
}

/// A volume in memory, mounted once when the pod is set up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MemoryVolume {
    pub(crate) path: PathBuf,
    /// Most bytes.
    pub(crate) size: Option<u64>,
    pub(crate) mode: u32,
    pub(crate) group: Option<u32>,
}

impl MemoryVolume {
    /// As `mount` takes them.
    pub(super) fn options(&self) -> String {
        let mut options = format!("mode={:o}", self.mode);
        if let Some(size) = self.size {
            options.push_str(&format!(",size={size}"));
        }
        if let Some(group) = self.group.filter(|group| Ids::read().has_group(*group)) {
            options.push_str(&format!(",gid={group}"));
        }
        options
    }
}

/// Files by their path relative to the volume.
pub(crate) type Payload = BTreeMap<String, PayloadFile>;

/// A file of a volume. Its content may be secret and is not shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PayloadFile {
    #[serde(serialize_with = "encode", deserialize_with = "decode")]
    pub(crate) bytes: Vec<u8>,
    pub(crate) mode: u32,
}

impl fmt::Debug for PayloadFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PayloadFile").field("mode", &self.mode).finish_non_exhaustive()
    }
}

fn encode<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD.decode(text).map_err(serde::de::Error::custom)
}

/// Makes a volume, or brings it up to date.
pub(super) fn make(volume: &VolumeSpec) -> Result<(), String> {
    let text = |error: io::Error| error.to_string();
    match volume {
        VolumeSpec::Empty { path, group } => empty(path, *group).map_err(text),
        VolumeSpec::Files { path, files, group } => {
            payload::write(path, files, *group).map_err(text)
        }
        VolumeSpec::Kept { path, make, group } => kept(path, *make, *group).map_err(text),
        VolumeSpec::Host { path, kind } => {
            host(path, kind).map_err(|error| format!("hostPath {}: {error}", path.display()))
        }
    }
}

/// What exists is mounted in memory, or made before; what containers did to its mode since is theirs to do.
fn empty(path: &Path, group: Option<u32>) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    fs::create_dir_all(path)?;
    chown(path, None, ownership::there(group))?;
    let mode = if group.is_some() { 0o2777 } else { 0o777 };
    fs::set_permissions(path, PermissionsExt::from_mode(mode))
}

/// Like an empty directory at first: every user of a container may write it. Nobody else gets as far.
fn kept(path: &Path, make: bool, group: Option<GroupOwner>) -> io::Result<()> {
    if make && !path.exists() {
        fs::create_dir(path)?;
        fs::set_permissions(path, PermissionsExt::from_mode(0o777))?;
    }
    if !fs::symlink_metadata(path)?.is_dir() {
        return Err(io::Error::other("it is no directory"));
    }
    group.map_or(Ok(()), |group| ownership::give(path, group))
}

fn host(path: &Path, kind: &str) -> io::Result<()> {
    let meta = fs::metadata(path).ok();
    let is_dir = meta.as_ref().is_some_and(fs::Metadata::is_dir);
    let is_file = meta.as_ref().is_some_and(fs::Metadata::is_file);
    match kind {
        "DirectoryOrCreate" if meta.is_none() => fs::create_dir_all(path),
        "FileOrCreate" if meta.is_none() => fs::File::create(path).map(|_| ()),
        "Directory" if !is_dir => Err(io::Error::other("it is no directory")),
        "File" if !is_file => Err(io::Error::other("it is no file")),
        _ if meta.is_none() => Err(io::ErrorKind::NotFound.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_travels_and_is_not_shown() {
        let file = PayloadFile { bytes: vec![0, 255, 7], mode: 0o400 };
        let text = serde_json::to_string(&file).unwrap();
        assert_eq!(serde_json::from_str::<PayloadFile>(&text).unwrap(), file);
        let secret = PayloadFile { bytes: b"hunter2".to_vec(), mode: 0o400 };
        let shown = format!("{:?}", Payload::from([("password".to_owned(), secret)]));
        assert!(!shown.contains("hunter2") && !shown.contains("104"), "{shown}");
    }

    #[test]
    fn what_is_kept_is_made_once_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pvc-1");
        assert!(kept(&path, false, None).is_err(), "it is not there, and not ours to make");
        kept(&path, true, None).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o777);
        fs::write(path.join("file"), "x").unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).unwrap();
        kept(&path, true, None).unwrap();
        assert!(path.join("file").exists());
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o700, "as it was left");
        let link = dir.path().join("pvc-2");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(kept(&link, true, None).is_err());
    }

    #[test]
    fn a_host_path_is_what_its_type_says() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        host(&at("made/deep"), "DirectoryOrCreate").unwrap();
        host(&at("file"), "FileOrCreate").unwrap();
        host(&at("file"), "File").unwrap();
        assert!(host(&at("file"), "Directory").is_err());
        assert!(host(&at("made"), "File").is_err());
        assert!(host(&at("absent"), "").is_err());
    }
}
