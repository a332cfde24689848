//! What a file of the user's was before any instance edited it.
//!
//! Each instance with an edit in the file keeps a copy of its own, taken from another instance's where there is one: so
//! whichever goes last can put the file back, in whatever order they go. Copies are made and dropped under the guard of
//! all instances, before and after the edit that they are for.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use nix::fcntl::Flock;
use serde::{Deserialize, Serialize};

use crate::{
    Error, Home, Homes,
    clients::edit,
    home::{create_private, remove, write_atomic},
};

/// A file as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// Its text; `None` if there was no file.
    pub(crate) text: Option<String>,
    /// Folders that did not exist, outermost first.
    pub(crate) created: Vec<PathBuf>,
}

impl Origin {
    /// Keeps what `path` is for `home`, unless that is known, and makes the folders it needs. Returns its text and the
    /// lock to edit it under.
    pub(crate) async fn keep(
        home: &Home,
        path: &Path,
    ) -> Result<(Flock<File>, Option<String>), Error> {
        let created = edit::missing_folders(path);
        if !created.is_empty() {
            Self { text: None, created }.store(home, path)?;
            edit::create_folders(path)?;
        }
        let lock = edit::lock(path).await?;
        let text = edit::read(path)?;
        Self { text: text.clone(), created: Vec::new() }.store(home, path)?;
        Ok((lock, text))
    }

    /// What is kept for `home`.
    pub(crate) fn of(home: &Home, path: &Path) -> Result<Option<Self>, Error> {
        let kept = kept(home, path);
        let Some(text) = edit::read(&kept)? else { return Ok(None) };
        let origin = serde_json::from_str(&text)
            .map_err(|error| Error::Stored { path: kept, why: error.to_string() })?;
        Ok(Some(origin))
    }

    /// Drops what is kept for `home`: its edit is no longer in the file.
    pub(crate) fn forget(home: &Home, path: &Path) -> Result<(), Error> {
        remove(&kept(home, path)).map(drop)
    }

    /// Takes away what was made for the file, and returns how many folders that were.
    pub(crate) fn remove_folders(&self) -> usize {
        edit::remove_folders(&self.created)
    }

    fn store(self, home: &Home, path: &Path) -> Result<(), Error> {
        if Self::of(home, path)?.is_some() {
            return Ok(());
        }
        // With an edit of another instance in it, the file is not what it was.
        let others = Homes::new(home.root()).list()?;
        let known = others.iter().find_map(|other| Self::of(other, path).ok().flatten());
        let origin = known.unwrap_or(self);
        let kept = kept(home, path);
        create_private(kept.parent().unwrap_or(home.path()))?;
        let text = serde_json::to_vec(&origin)
            .map_err(|error| Error::file("write", &kept, std::io::Error::other(error)))?;
        write_atomic(&kept, &text, 0o600)
    }
}

fn kept(home: &Home, path: &Path) -> PathBuf {
    let name: String = edit::digest(&path.to_string_lossy()).chars().take(12).collect();
    home.path().join("kept").join(format!("{name}.json"))
}
