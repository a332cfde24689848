//! Removing images, and what nothing needs any more.
//!
//! In this order, under the store's lock: the layers that would go are taken, so that no container begins to run from one;
//! the index without the images is on the disk; the layers lose their names; they are deleted. Killed anywhere in between,
//! the store has the images or has them not, and the next [`prune`] or [`remove`] finishes what is left: layers that no image
//! names, or a directory that is nobody's.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::store::{Index, Staging, Store, read_index, size_of_tree};
use super::{ImageError, Reference, hold};

/// What was removed, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freed {
    /// Full references.
    pub references: Vec<String>,
    /// Those that a container runs from, and that were left therefore.
    pub held: Vec<String>,
    /// Number of layers.
    pub layers: usize,
    /// Bytes of the layers.
    pub bytes: u64,
}

/// Removes the images of these names, all or none, and the layers that nothing needs any more.
///
/// # Errors
/// [`ImageError::Absent`] and [`ImageError::Held`]; a store that cannot be written.
pub fn remove(home: &Path, references: &[String]) -> Result<Freed, ImageError> {
    let full = |text: &String| text.parse().map(|one: Reference| one.to_string());
    let unwanted = references.iter().map(full).collect::<Result<BTreeSet<_>, _>>()?;
    let store = Store::lock(home)?;
    let plan = Plan::make(&store, &unwanted)?;
    let index = read_index(&store.dir)?;
    if let Some(reference) = unwanted.iter().find(|name| !index.images.contains_key(*name)) {
        return Err(ImageError::Absent { reference: reference.clone() });
    }
    if let Some(reference) = plan.held.first() {
        return Err(ImageError::Held { reference: reference.clone() });
    }
    plan.carry_out(&store)
}

/// Removes those images of these names that are there and that no container runs from, and the layers that nothing needs
/// any more; with `dry`, tells what that would be.
///
/// # Errors
/// A store that cannot be read or written.
pub fn prune(home: &Path, unwanted: &[String], dry: bool) -> Result<Freed, ImageError> {
    let store = Store::lock(home)?;
    let plan = Plan::make(&store, &unwanted.iter().cloned().collect())?;
    if dry { plan.told(&store) } else { plan.carry_out(&store) }
}

/// What goes.
struct Plan {
    /// The index without the images that go.
    rest: Index,
    references: Vec<String>,
    held: Vec<String>,
    /// The layers that go, each locked for as long as this is there.
    layers: BTreeMap<String, File>,
}

impl Plan {
    fn make(store: &Store, unwanted: &BTreeSet<String>) -> Result<Self, ImageError> {
        let mut rest = read_index(&store.dir)?;
        let (going, staying): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut rest.images)
            .into_iter()
            .partition(|(name, _)| unwanted.contains(name));
        rest.images = staying;
        let mut needed: BTreeSet<String> =
            rest.images.values().flat_map(|image| image.layers.iter().cloned()).collect();
        let (mut layers, mut used) = (BTreeMap::new(), BTreeSet::new());
        for name in names(&store.layer(""))? {
            if needed.contains(&name) {
                continue;
            }
            let path = store.layer(&name);
            if let Some(taken) = hold::take(&path).map_err(ImageError::store(&path))? {
                layers.insert(name, taken);
            } else {
                used.insert(name);
            }
        }
        let (mut references, mut held) = (Vec::new(), Vec::new());
        for (name, image) in going {
            if image.layers.iter().any(|layer| used.contains(layer)) {
                needed.extend(image.layers.iter().cloned());
                held.push(name.clone());
                rest.images.insert(name, image);
            } else {
                references.push(name);
            }
        }
        layers.retain(|name, _| !needed.contains(name));
        Ok(Self { rest, references, held, layers })
    }

    fn told(self, store: &Store) -> Result<Freed, ImageError> {
        let Self { references, held, layers, .. } = self;
        // Whoever starts a container meanwhile does not wait.
        let names: Vec<String> = layers.into_keys().collect();
        let bytes = names.iter().map(|name| size_of_tree(&store.layer(name))).sum();
        Ok(Freed { references, held, layers: names.len(), bytes })
    }

    fn carry_out(self, store: &Store) -> Result<Freed, ImageError> {
        // What an earlier one left, killed, goes with it.
        let staging = Staging::new(&store.dir)?;
        if !self.references.is_empty() {
            store.write_index(&self.rest)?;
        }
        let Self { references, held, layers, .. } = self;
        for name in layers.keys() {
            let (from, to) = (store.layer(name), staging.dir.join(name));
            fs::rename(&from, &to).map_err(ImageError::store(from))?;
        }
        let count = layers.len();
        // Whoever waited for one finds it gone.
        drop(layers);
        let bytes = size_of_tree(&staging.dir);
        fs::remove_dir_all(&staging.dir).map_err(ImageError::store(&staging.dir))?;
        Ok(Freed { references, held, layers: count, bytes })
    }
}

/// What is in a directory.
fn names(dir: &Path) -> Result<Vec<String>, ImageError> {
    let read = || -> io::Result<Vec<String>> {
        fs::read_dir(dir)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    };
    read().map_err(ImageError::store(dir))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::slice;

    use super::super::store::{INDEX, layers_dir};
    use super::super::tests::{docker_save, tar_of};
    use super::super::{find, hold::hold, list, load};
    use super::*;

    fn layer(text: &str) -> Vec<u8> {
        tar_of(&[(text, text.as_bytes())])
    }

    fn give(home: &Path, name: &str, layers: &[Vec<u8>]) {
        load(home, Cursor::new(docker_save(name, layers, layers))).unwrap();
    }

    fn full(name: &str) -> String {
        format!("docker.io/library/{name}")
    }

    fn layers(home: &Path) -> usize {
        fs::read_dir(layers_dir(home)).unwrap().count()
    }

    #[test]
    fn what_others_need_stays() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path();
        let (base, one, two) = (layer("base"), layer("one"), layer("two"));
        give(home, "one:1", &[base.clone(), one]);
        give(home, "two:1", &[base, two]);
        let freed = remove(home, &["one:1".to_owned()]).unwrap();
        assert_eq!((freed.references, freed.layers, freed.bytes), (vec![full("one:1")], 1, 3));
        assert_eq!((layers(home), list(home).unwrap().len()), (2, 1));
        let error = remove(home, &["two:1".to_owned(), "one:1".to_owned()]).unwrap_err();
        assert!(matches!(error, ImageError::Absent { .. }), "{error}");
        assert!(find(home, "two:1").unwrap().is_some(), "all or none");
        assert!(matches!(remove(home, &["?".to_owned()]), Err(ImageError::Reference { .. })));
        assert_eq!(remove(home, &["two:1".to_owned()]).unwrap().layers, 2);
        assert_eq!(layers(home), 0);
        assert!(!home.join("images/staging").exists());
    }

    #[test]
    fn what_a_container_runs_from_stays_and_so_does_what_it_ran_from_before() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path();
        give(home, "app:1", slice::from_ref(&layer("old")));
        let running =
            hold(&layers_dir(home), &find(home, "app:1").unwrap().unwrap().layers).unwrap();
        let error = remove(home, &["app:1".to_owned()]).unwrap_err();
        assert!(matches!(error, ImageError::Held { .. }), "{error}");
        give(home, "lazy:1", slice::from_ref(&layer("lazy")));
        let all = [full("app:1"), full("lazy:1")];
        let told = prune(home, &all, true).unwrap();
        assert_eq!((told.layers, list(home).unwrap().len(), layers(home)), (1, 2, 2), "{told:?}");
        let freed = prune(home, &all, false).unwrap();
        assert_eq!(freed, told);
        assert_eq!((&freed.references, &freed.held), (&vec![full("lazy:1")], &vec![full("app:1")]));
        // The name has another image now; the container runs on from the one that has none.
        give(home, "app:1", slice::from_ref(&layer("new")));
        assert_eq!(remove(home, &["app:1".to_owned()]).unwrap().layers, 1);
        assert_eq!((layers(home), prune(home, &[], false).unwrap().layers), (1, 0));
        drop(running);
        assert_eq!(prune(home, &[], false).unwrap().layers, 1);
        assert_eq!(layers(home), 0);
    }

    #[test]
    fn a_removal_that_was_killed_is_finished_by_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path();
        let parts = [layer("one"), layer("two")];
        give(home, "app:1", &parts);
        let stored = find(home, "app:1").unwrap().unwrap();
        // Killed after the index was written, and then after the first layer had lost its name.
        let index = home.join("images").join(INDEX);
        let before = fs::read(&index).unwrap();
        fs::write(&index, br#"{"version":1,"images":{}}"#).unwrap();
        let staging = home.join("images/staging");
        fs::create_dir(&staging).unwrap();
        fs::rename(layers_dir(home).join(&stored.layers[0]), staging.join("half")).unwrap();
        // The image may come again: what is there of it is whole, the rest is unpacked anew.
        give(home, "app:1", &parts);
        assert_eq!(fs::read(&index).unwrap(), before);
        assert_eq!(layers(home), 2);
        fs::write(&index, br#"{"version":1,"images":{}}"#).unwrap();
        fs::create_dir(&staging).unwrap();
        fs::rename(layers_dir(home).join(&stored.layers[0]), staging.join("half")).unwrap();
        assert_eq!(prune(home, &[], false).unwrap().layers, 1);
        assert_eq!((layers(home), staging.exists()), (0, false));
    }
}
