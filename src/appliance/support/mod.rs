//! Everything that helps somebody else to understand an instance, in one archive, without its secrets.
//!
//! Purpose: [`collect`] asks the machine, the provider and the cluster, each as far as it answers: what could not be had is
//! named in the archive and in the result, and is never an error.
//!
//! Invariants:
//! - values of Secrets and of whatever is named like one are left out where they stand;
//! - all of it is searched once more for every credential the instance is known to have, and for what looks like one;
//! - nothing of this module's own is on the disk before that; every part and every wait is bounded.

mod archive;
mod cluster;
mod folder;
mod hide;
mod known;
mod logs;
mod machine;
mod mask;
mod objects;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use curtain_provider::Surroundings;
use jiff::{Timestamp, Unit};

use self::{folder::Folder, known::Known, mask::Mask};
use crate::{Error, Home, Homes, home::write_atomic, status::missing};

/// Who collects: this program, and what it is told of where it runs.
#[derive(Clone, Debug)]
pub struct Collector {
    /// This program.
    pub program: PathBuf,
    /// Its version.
    pub version: String,
    /// Where a provider finds what it needs.
    pub around: Surroundings,
}

/// An archive of evidence.
pub struct Evidence {
    /// A name for its file, which says whose it is and of when.
    pub name: String,
    /// How many files are in it.
    pub files: usize,
    /// What could not be collected, and why, a line each.
    pub missing: Vec<String>,
    archive: Vec<u8>,
}

impl Evidence {
    /// Writes the archive to `path`, which only its owner may read. A file that is there is replaced.
    ///
    /// # Errors
    /// A file that cannot be written; nothing is left of it then.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        write_atomic(path, &self.archive)
    }
}

/// Collects what there is about the instance of `home`, for about `limit`.
///
/// # Errors
/// [`Error::NotFound`] where nothing of an instance is recorded, or an archive that cannot be made: there is none with
/// what could not be masked.
pub async fn collect(
    homes: &Homes,
    home: &Home,
    collector: &Collector,
    limit: Duration,
) -> Result<Evidence, Error> {
    if !home.exists() {
        return Err(missing(homes, home)?);
    }
    let now = Timestamp::now();
    let now = now.round(Unit::Second).unwrap_or(now);
    let deadline = Instant::now() + limit;
    let failed = |error: io::Error| Error::file("make the archive of", home.path(), error);
    let mut folder = Folder::new(deadline);
    let mut known = Known::none().map_err(failed)?;
    known.read(home.path());
    machine::collect(&mut folder, homes, home, collector, now).await;
    cluster::collect(&mut folder, &mut known, home).await;

    let masked = tokio::task::spawn_blocking(move || -> io::Result<_> {
        let mask = Mask::of(&known)?;
        Ok(folder.finish(&mask))
    });
    let masked = masked.await.map_err(|error| failed(io::Error::other(error)))?;
    let (files, missing) = masked.map_err(failed)?;
    let name = format!("curtain-{}-{}", home.name(), now.strftime("%Y%m%dT%H%M%SZ"));
    let archive = archive::pack(&name, &files, now).map_err(failed)?;
    Ok(Evidence { name: format!("{name}.tar.gz"), files: files.len(), missing, archive })
}

/// Packs every file below `folder` as the folder `name`, without credentials: those that the files of the instance in
/// `home` hold, and whatever looks like one.
///
/// # Errors
/// A file that cannot be read, or a credential that cannot be looked for: any file may have them still.
pub(crate) fn packed(
    folder: &Path,
    home: &Home,
    name: &str,
    now: Timestamp,
) -> io::Result<Vec<u8>> {
    let mut known = Known::none()?;
    known.read(home.path());
    let mask = Mask::of(&known)?;
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next)? {
            let (kind, path) = entry.map(|entry| (entry.file_type(), entry.path()))?;
            let kind = kind?;
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                let below = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
                files.push((below, mask.apply(&fs::read(&path)?)));
            }
            // What is neither holds nothing, and a link leads elsewhere.
        }
    }
    archive::pack(name, &files, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nodes_say_is_packed_without_credentials_or_links() {
        let dir = tempfile::tempdir().unwrap();
        let home = Homes::new(dir.path().join("data")).instance(&"x".parse().unwrap());
        crate::home::create_private(home.path()).unwrap();
        fs::write(home.kubeconfig(), "users:\n- user:\n    token: correct-horse\n").unwrap();
        let (folder, journal) = (dir.path().join("nodes"), dir.path().join("nodes/a/kubeadm.log"));
        fs::create_dir_all(journal.parent().unwrap()).unwrap();
        fs::write(&journal, "kubeadm join --token abcdef.0123456789abcdef; correct-horse\n")
            .unwrap();
        curtain_machine::files::link(&home.kubeconfig(), &folder.join("link")).unwrap();
        let archive = packed(&folder, &home, "evidence", Timestamp::UNIX_EPOCH).unwrap();
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(archive.as_slice()));
        let files: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let mut text = String::new();
                io::Read::read_to_string(&mut entry, &mut text).unwrap();
                (entry.path().unwrap().display().to_string(), text)
            })
            .collect();
        let masked = "kubeadm join --token [masked]; [masked]\n".to_owned();
        assert_eq!(files, [("evidence/a/kubeadm.log".to_owned(), masked)]);
    }
}
