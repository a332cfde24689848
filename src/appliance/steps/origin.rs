//! What a file of the user's was before any instance edited it, and how an edit is taken back.
//!
//! Each instance with an edit in the file keeps a copy of its own, taken from another instance's where there is one: so
//! whichever goes last can put the file back, in whatever order they go. Copies are made and dropped under the guard of
//! all instances, before and after the edit that they are for.

use std::path::{Path, PathBuf};

use curtain_machine::lock::Lock;
use serde::{Deserialize, Serialize};

use crate::{
    Error, Home, Homes,
    clients::edit,
    home::{create_private, remove, write_atomic},
    lock,
};

/// Version of the format this build writes. It reads every version up to this one.
const VERSION: u32 = 1;

/// A file as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// Of the format; the first one did not say it.
    #[serde(default)]
    version: u32,
    /// Its text; `None` if there was no file.
    text: Option<String>,
    /// Folders that did not exist, outermost first.
    created: Vec<PathBuf>,
}

/// What a file is without an edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rest {
    /// Its text.
    pub(crate) text: String,
    /// Whether that says what the file said before any edit, and nothing else.
    pub(crate) as_before: bool,
}

impl Origin {
    /// Keeps what `path` is for `home`, unless that is known, and makes the folders it needs. Returns its text and the
    /// lock to edit it under.
    pub(crate) async fn keep(home: &Home, path: &Path) -> Result<(Lock, Option<String>), Error> {
        let created = edit::missing_folders(path);
        if !created.is_empty() {
            Self::new(None, created).store(home, path)?;
            edit::create_folders(path)?;
        }
        let lock = edit::lock(path).await?;
        let text = edit::read(path)?;
        Self::new(text.clone(), Vec::new()).store(home, path)?;
        Ok((lock, text))
    }

    fn new(text: Option<String>, created: Vec<PathBuf>) -> Self {
        Self { version: VERSION, text, created }
    }

    /// What is kept for `home`.
    fn of(home: &Home, path: &Path) -> Result<Option<Self>, Error> {
        let kept = kept(home, path);
        let Some(text) = edit::read(&kept)? else { return Ok(None) };
        Self::parse(&text).map(Some).map_err(|why| Error::Stored { path: kept, why })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let origin: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if origin.version > VERSION {
            let found = origin.version;
            return Err(format!("it has format {found}, this build knows formats up to {VERSION}"));
        }
        Ok(origin)
    }

    fn store(self, home: &Home, path: &Path) -> Result<(), Error> {
        if Self::of(home, path)?.is_some() {
            return Ok(());
        }
        // With an edit of another instance in it, the file is not what it was.
        let others = Homes::new(home.root()).list()?;
        let known = others.iter().find_map(|other| Self::of(other, path).ok().flatten());
        let origin = Self { version: VERSION, ..known.unwrap_or(self) };
        let kept = kept(home, path);
        create_private(kept.parent().unwrap_or(home.path()))?;
        let text = serde_json::to_vec(&origin)
            .map_err(|error| Error::file("write", &kept, std::io::Error::other(error)))?;
        write_atomic(&kept, &text)
    }
}

/// Takes the edit of `home` in `path` back, and returns how many things were removed. `without` says what the given text
/// of the file is without the edit, `None` if that is not in it; it also gets the text from before any edit, empty if
/// there was no file, where that is known.
pub(crate) async fn take_back(
    home: &Home,
    path: &Path,
    without: impl FnOnce(&str, Option<&str>) -> Result<Option<Rest>, Error>,
) -> Result<usize, Error> {
    let _guard = lock::guard(home).await?;
    let origin = Origin::of(home, path)?;
    let removed = restore(path, origin.as_ref(), without).await?;
    // The edit is no longer in the file.
    remove(&kept(home, path))?;
    Ok(removed)
}

async fn restore(
    path: &Path,
    origin: Option<&Origin>,
    without: impl FnOnce(&str, Option<&str>) -> Result<Option<Rest>, Error>,
) -> Result<usize, Error> {
    let folders = || origin.map_or(0, |origin| edit::remove_folders(&origin.created));
    if !path.parent().is_some_and(Path::is_dir) {
        return Ok(folders());
    }
    let _lock = edit::lock(path).await?;
    edit::clean(path)?;
    let Some(text) = edit::read(path)? else { return Ok(folders()) };
    let before = origin.map(|origin| origin.text.as_deref().unwrap_or_default());
    let Some(rest) = without(&text, before)? else { return Ok(0) };
    match origin.filter(|_| rest.as_before) {
        Some(Origin { text: None, .. }) => {
            remove(path)?;
            return Ok(1 + folders());
        }
        Some(Origin { text: Some(former), .. }) => edit::write(path, former)?,
        None => edit::write(path, &rest.text)?,
    }
    Ok(1)
}

fn kept(home: &Home, path: &Path) -> PathBuf {
    let name: String = edit::digest(&path.to_string_lossy()).chars().take(12).collect();
    home.path().join("kept").join(format!("{name}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_up_to_our_own_are_read() {
        let first = r#"{"text":"x","created":["/a"]}"#;
        let read = Origin::parse(first).unwrap();
        assert_eq!((read.text.as_deref(), read.created), (Some("x"), vec!["/a".into()]));
        let own = Origin::new(None, vec!["/a".into()]);
        let written = serde_json::to_string(&own).unwrap();
        assert_eq!(written, r#"{"version":1,"text":null,"created":["/a"]}"#);
        assert_eq!(Origin::parse(&written), Ok(own));
        let why = Origin::parse(r#"{"version":2,"text":"x","created":[]}"#).unwrap_err();
        assert!(why.contains("format 2"), "{why}");
    }

    #[tokio::test]
    async fn what_a_newer_build_kept_stays_and_so_does_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let home = Homes::new(dir.path().join("data")).instance(&"x".parse().unwrap());
        let path = dir.path().join("file");
        std::fs::write(&path, "edited").unwrap();
        let kept = kept(&home, &path);
        create_private(kept.parent().unwrap()).unwrap();
        std::fs::write(&kept, r#"{"version":2,"text":"x","created":[]}"#).unwrap();
        let error = take_back(&home, &path, |_, _| panic!("not asked")).await.unwrap_err();
        assert!(matches!(&error, Error::Stored { path, .. } if *path == kept), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "edited");
        assert!(kept.exists());
    }
}
