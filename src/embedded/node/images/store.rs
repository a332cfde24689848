//! The store: `index.json`, `layers/<digest>`, and a lock.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use super::archive::{Archive, Described};
use super::budget::Budget;
use super::decode::Digest;
use super::manifest::ImageConfig;
use super::reference::Reference;
use super::{ImageError, layer};
use crate::files;

const VERSION: u32 = 1;
/// The file that names all images; the node reads it, as the group of the directory it is in.
pub(crate) const INDEX: &str = "index.json";

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Index {
    version: u32,
    pub(super) images: BTreeMap<String, Image>,
}

impl Default for Index {
    fn default() -> Self {
        Self { version: VERSION, images: BTreeMap::new() }
    }
}

/// A stored image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Digest of its configuration, `sha256:…`.
    pub id: String,
    /// Directories of its layers below [`layers_dir`], the topmost first.
    pub layers: Vec<String>,
    /// How to run it.
    pub config: ImageConfig,
    /// Bytes of its layers, unpacked.
    pub size: u64,
    /// Whether it came from its registry, which may have another by now; else somebody gave it to this machine.
    #[serde(default)]
    pub pulled: bool,
}

/// What [`load`] stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadedImage {
    /// Full reference.
    pub reference: String,
    /// Digest of the configuration, `sha256:…`.
    pub id: String,
    /// Number of layers.
    pub layers: usize,
    /// Bytes of its layers, unpacked.
    pub size: u64,
}

/// Stores every image of an archive: `docker save` or OCI layout as a tar file, plain, gzip or zstd. An image of the
/// same name is replaced; containers that run keep theirs.
///
/// # Errors
/// Any [`ImageError`]; the store is then as it was before.
pub fn load(home: &Path, reader: impl Read) -> Result<Vec<LoadedImage>, ImageError> {
    load_if(home, reader, |_, _| Ok(()))
}

/// As [`load`], if `admit`, which gets the names in the archive and the images that are there, does not say why not.
///
/// # Errors
/// Any [`ImageError`]; the store is then as it was before. [`ImageError::Refused`] is what `admit` says.
pub fn load_if(
    home: &Path,
    reader: impl Read,
    admit: impl FnOnce(&BTreeSet<String>, &BTreeMap<String, Image>) -> Result<(), String>,
) -> Result<Vec<LoadedImage>, ImageError> {
    store(home, reader, false, admit)
}

/// As [`load_if`]; whether the image is `pulled` goes into the index. Layers that the store has need not come along then.
pub(super) fn store(
    home: &Path,
    reader: impl Read,
    pulled: bool,
    admit: impl FnOnce(&BTreeSet<String>, &BTreeMap<String, Image>) -> Result<(), String>,
) -> Result<Vec<LoadedImage>, ImageError> {
    let store = Store::lock(home)?;
    store.put(reader, pulled, Budget::of, admit)
}

/// As [`load`], with other limits.
#[cfg(test)]
pub(super) fn load_within(
    home: &Path,
    reader: impl Read,
    budget: impl FnOnce(&Path) -> Budget,
) -> Result<Vec<LoadedImage>, ImageError> {
    let store = Store::lock(home)?;
    store.put(reader, false, budget, |_, _| Ok(()))
}

/// All images by full reference.
///
/// # Errors
/// When the index cannot be read.
pub fn list(home: &Path) -> Result<BTreeMap<String, Image>, ImageError> {
    Ok(read_index(&store_dir(home))?.images)
}

/// The image a reference stands for, if it is stored.
///
/// # Errors
/// When the reference is malformed or the index cannot be read.
pub fn find(home: &Path, reference: &str) -> Result<Option<Image>, ImageError> {
    let reference: Reference = reference.parse()?;
    Ok(list(home)?.remove(reference.as_str()))
}

/// Where layers are; mounts name them relative to it.
pub fn layers_dir(home: &Path) -> PathBuf {
    store_dir(home).join("layers")
}

/// Where the node keeps what comes from registries until it is stored: its own directory in the store's.
pub(crate) fn pulls_dir(home: &Path) -> PathBuf {
    store_dir(home).join("pulls")
}

/// Where images are.
pub(crate) fn store_dir(home: &Path) -> PathBuf {
    home.join("images")
}

pub(super) fn read_index(dir: &Path) -> Result<Index, ImageError> {
    let path = dir.join(INDEX);
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Index::default()),
        result => result.map_err(ImageError::store(&path))?,
    };
    serde_json::from_slice(&bytes)
        .map_err(|source| ImageError::Document { part: path.display().to_string(), source })
}

/// The locked store: one writer at a time, whatever process it is in.
pub(super) struct Store {
    pub(super) dir: PathBuf,
    _lock: Flock<File>,
}

impl Store {
    pub(super) fn lock(home: &Path) -> Result<Self, ImageError> {
        let dir = store_dir(home);
        make_dir(&dir.join("layers"))?;
        let path = dir.join("lock");
        let file = File::options()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(ImageError::store(&path))?;
        let lock = Flock::lock(file, FlockArg::LockExclusive)
            .map_err(|(_, errno)| ImageError::store(path)(errno.into()))?;
        Ok(Self { dir, _lock: lock })
    }

    /// Stores what is in an archive, as [`store`] says.
    fn put(
        &self,
        reader: impl Read,
        pulled: bool,
        budget: impl FnOnce(&Path) -> Budget,
        admit: impl FnOnce(&BTreeSet<String>, &BTreeMap<String, Image>) -> Result<(), String>,
    ) -> Result<Vec<LoadedImage>, ImageError> {
        let staging = Staging::new(&self.dir)?;
        let budget = budget(&staging.dir);
        let archive = Archive::spool(reader, &staging.dir, &budget)?;
        let described = archive.images(pulled)?;
        let names = described.iter().flat_map(|image| &image.references).map(Reference::to_string);
        // Under the lock: nobody gives the store another image until this one is stored.
        admit(&names.collect(), &read_index(&self.dir)?.images)
            .map_err(|why| ImageError::Refused { why })?;
        let unpacked = self.unpack(&described, &staging.dir, &budget)?;
        self.publish(&described, unpacked, pulled)
    }

    /// Unpacks the layers that are not there yet, each into `staging`: its final name and where it is.
    fn unpack(
        &self,
        images: &[Described],
        staging: &Path,
        budget: &Budget,
    ) -> Result<BTreeMap<String, PathBuf>, ImageError> {
        let mut unpacked = BTreeMap::new();
        for (file, digest) in images.iter().flat_map(|image| &image.layers) {
            let name = digest.short();
            let there = unpacked.get(name).cloned().unwrap_or_else(|| self.layer(name));
            if there.exists() {
                same(&there, digest)?;
                continue;
            }
            let Some(file) = file else {
                return Err(ImageError::Missing { part: format!("the layer {digest}") });
            };
            let into = staging.join(name);
            fs::create_dir(&into).map_err(ImageError::store(&into))?;
            // The directory becomes a root that every user enters.
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs::set_permissions(&into, mode).map_err(ImageError::store(&into))?;
            let found = layer::unpack(file, digest, &into, budget)?;
            if found != *digest {
                return Err(ImageError::Digest {
                    part: "a layer".to_owned(),
                    expected: digest.to_string(),
                    found: found.to_string(),
                });
            }
            layer::set_digest(&into, digest)?;
            unpacked.insert(name.to_owned(), into);
        }
        Ok(unpacked)
    }

    /// Gives unpacked layers their names, then the images theirs.
    fn publish(
        &self,
        images: &[Described],
        unpacked: BTreeMap<String, PathBuf>,
        pulled: bool,
    ) -> Result<Vec<LoadedImage>, ImageError> {
        for (name, from) in unpacked {
            let to = self.layer(&name);
            fs::rename(&from, &to).map_err(ImageError::store(&to))?;
        }
        let mut index = read_index(&self.dir)?;
        let mut loaded = Vec::new();
        for image in images {
            let layers: Vec<String> =
                image.layers.iter().rev().map(|(_, digest)| digest.short().to_owned()).collect();
            let size = layers.iter().map(|name| size_of_tree(&self.layer(name))).sum();
            for reference in &image.references {
                loaded.push(LoadedImage {
                    reference: reference.to_string(),
                    id: image.id.to_string(),
                    layers: layers.len(),
                    size,
                });
                index.images.insert(
                    reference.to_string(),
                    Image {
                        id: image.id.to_string(),
                        layers: layers.clone(),
                        config: image.config.clone(),
                        size,
                        pulled,
                    },
                );
            }
        }
        self.write_index(&index)?;
        Ok(loaded)
    }

    /// Replaces the index; on the disk when it returns.
    pub(super) fn write_index(&self, index: &Index) -> Result<(), ImageError> {
        let path = self.dir.join(INDEX);
        let bytes = serde_json::to_vec(index)
            .map_err(|source| ImageError::Document { part: path.display().to_string(), source })?;
        files::write_for_group(&path, &bytes).map_err(|error| match error {
            crate::Error::File { source, .. } => ImageError::store(path)(source),
            other => ImageError::store(path)(io::Error::other(other.to_string())),
        })
    }

    pub(super) fn layer(&self, name: &str) -> PathBuf {
        self.dir.join("layers").join(name)
    }
}

/// Checks that a directory, whose name is short, has the layer that is wanted.
fn same(there: &Path, wanted: &Digest) -> Result<(), ImageError> {
    match layer::digest(there)? {
        Some(stored) if stored != *wanted => {
            Err(ImageError::Clash { layer: wanted.to_string(), stored: stored.to_string() })
        }
        _ => Ok(()),
    }
}

/// A directory for one load or removal; the store's lock makes it the only one. Removed at the end, or by the next.
pub(super) struct Staging {
    pub(super) dir: PathBuf,
}

impl Staging {
    pub(super) fn new(store: &Path) -> Result<Self, ImageError> {
        let dir = store.join("staging");
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(ImageError::store(dir)(error));
            }
            _ => {}
        }
        make_dir(&dir)?;
        Ok(Self { dir })
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// What is in it is for root alone: the kernel shows it to containers.
fn make_dir(path: &Path) -> Result<(), ImageError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(ImageError::store(path))
}

pub(super) fn size_of_tree(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => size_of_tree(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}
