//! The instance's folder: the first effect, and the last to go.

use std::{fs, io, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{
    Error,
    effect::{Boxed, Step},
    home::{create_private, remove},
    world::World,
};

/// The folder, and those above it that did not exist before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HomeStep {
    /// What was created, outermost first.
    pub created: Vec<PathBuf>,
}

impl Step for HomeStep {
    fn name(&self) -> String {
        "home".to_owned()
    }

    fn title(&self) -> String {
        "folder of the instance".to_owned()
    }

    fn probe<'a>(&'a self, world: &'a World<'_>) -> Boxed<'a, Result<bool, Error>> {
        Box::pin(async move { Ok(world.home.path().is_dir()) })
    }

    fn act<'a>(&'a self, world: &'a World<'_>) -> Boxed<'a, Result<(), Error>> {
        Box::pin(async move { create_private(world.home.path()).map(drop) })
    }

    fn undo<'a>(&'a self, world: &'a World<'_>) -> Boxed<'a, Result<usize, Error>> {
        Box::pin(async move {
            let home = world.home;
            // The ledger goes last: until then a crash leaves something that says what is here.
            let last = [home.ledger(), home.lock()];
            let mut removed = 0;
            let entries = match fs::read_dir(home.path()) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
                Err(source) => return Err(Error::file("read", home.path(), source)),
            };
            for path in entries
                .filter_map(|entry| Some(entry.ok()?.path()))
                .filter(|path| !last.contains(path))
            {
                removed += usize::from(remove(&path)?);
            }
            for path in &last {
                removed += usize::from(remove(path)?);
            }
            removed += usize::from(remove(home.path())?);
            for folder in self.created.iter().rev().filter(|folder| home.path() != folder.as_path())
            {
                // Somebody else may have put something there meanwhile; then it stays.
                removed += usize::from(fs::remove_dir(folder).is_ok());
            }
            Ok(removed)
        })
    }
}
