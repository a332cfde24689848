//! Files that hold state or secrets: private, complete or absent, never half-written.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use crate::Error;

/// Reads a whole file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::File {
        action: "read",
        path: path.to_owned(),
        source,
    })
}

/// Makes a directory (0700) and the missing ones above it.
pub(crate) fn make_private_dir(path: &Path) -> Result<(), Error> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|source| Error::File {
        action: "create",
        path: path.to_owned(),
        source,
    })
}

/// Replaces a file (0600) atomically: a reader, or a crash, sees the old content or the new one. Synced to disk.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut batch = Batch::default();
    batch.add(path, bytes);
    batch.write()
}

/// As [`write_private`], but readable (0640) for the group of the directory.
pub(crate) fn write_for_group(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let write = || -> io::Result<()> {
        let waiting = beside(path);
        prepare(path, bytes)?;
        let directory = path.parent().unwrap_or(Path::new("."));
        chown(&waiting, None, Some(directory.metadata()?.gid()))?;
        std::fs::set_permissions(&waiting, PermissionsExt::from_mode(0o640))?;
        std::fs::rename(&waiting, path)?;
        File::open(directory)?.sync_all()
    };
    write().map_err(|source| Error::File { action: "write", path: path.to_owned(), source })
}

/// Files to be replaced as [`write_private`] does, in the order in which they were added: when one is there, so are
/// those before it. Syncing is what takes time, and all are synced together.
#[derive(Default)]
pub(crate) struct Batch(Vec<(PathBuf, Vec<u8>)>);

impl Batch {
    /// Puts a file at the end.
    pub(crate) fn add(&mut self, path: &Path, bytes: &[u8]) {
        self.0.push((path.to_owned(), bytes.to_owned()));
    }

    /// The content that the file will have.
    pub(crate) fn read(&self, path: &Path) -> Result<Vec<u8>, Error> {
        match self.0.iter().rev().find(|(other, _)| other == path) {
            Some((_, bytes)) => Ok(bytes.clone()),
            None => read(path),
        }
    }

    /// Writes them.
    pub(crate) fn write(self) -> Result<(), Error> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::File { action: "write", path, source }
        };
        if let [(path, bytes)] = self.0.as_slice() {
            // Without a thread: shims have to stay without any.
            prepare(path, bytes).map_err(failed(path))?;
        } else {
            std::thread::scope(|scope| {
                let files = self.0.iter();
                let running: Vec<_> = files
                    .map(|(path, bytes)| {
                        let write = move || prepare(path, bytes);
                        (path, std::thread::Builder::new().spawn_scoped(scope, write))
                    })
                    .collect();
                running.into_iter().try_for_each(|(path, thread)| {
                    let panicked = |_| Err(io::Error::other("the thread that writes it panicked"));
                    thread
                        .and_then(|thread| thread.join().unwrap_or_else(panicked))
                        .map_err(failed(path))
                })
            })?;
        }
        let mut directories = BTreeSet::new();
        for (path, _) in &self.0 {
            std::fs::rename(beside(path), path).map_err(failed(path))?;
            directories.extend(path.parent());
        }
        directories.into_iter().try_for_each(|directory| {
            File::open(directory).and_then(|d| d.sync_all()).map_err(failed(directory))
        })
    }
}

/// Where the new content waits.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

fn prepare(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(beside(path))?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Removes a file or a directory tree; one that is already absent is fine.
pub(crate) fn remove_tree(path: &Path) -> Result<(), Error> {
    let result = match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    match result {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(Error::File { action: "remove", path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_file_is_replaced_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        write_private(&path, b"one").unwrap();
        write_private(&path, b"two").unwrap();
        assert_eq!(read(&path).unwrap(), b"two");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        write_for_group(&path, b"three").unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o640);
        remove_tree(&path).unwrap();
        remove_tree(&path).unwrap();
    }

    #[test]
    fn a_batch_appears_in_order_and_stops_at_what_cannot_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let mut batch = Batch::default();
        batch.add(&path("key"), b"k");
        batch.add(&path("certificate"), b"c");
        assert_eq!(batch.read(&path("key")).unwrap(), b"k");
        batch.write().unwrap();
        assert_eq!(read(&path("certificate")).unwrap(), b"c");
        assert!(!path("key.new").exists());

        let mut batch = Batch::default();
        batch.add(&path("key"), b"other");
        batch.add(&path("no/such/directory"), b"x");
        let error = batch.write().unwrap_err().to_string();
        assert!(error.contains("no/such/directory"), "{error}");
        assert_eq!(
            read(&path("key")).unwrap(),
            b"k",
            "nothing is replaced before all is on the disk"
        );
    }
}
