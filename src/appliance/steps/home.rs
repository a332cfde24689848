//! The instance's folder: the first effect, and the last to go.

use std::{fs, io};

use serde::{Deserialize, Serialize};

use crate::{
    Error, Home,
    effect::{Boxed, Step},
    home::{claim, release, remove},
    lock,
    world::World,
};

/// The folder, and those above it that were made for it: they carry a mark of their own (see [`claim`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct HomeStep {}

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
        Box::pin(async move { claim(world.home.path()) })
    }

    fn undo<'a>(&'a self, world: &'a World<'_>) -> Boxed<'a, Result<usize, Error>> {
        Box::pin(async {
            // A system may keep a file that is open.
            world.ledger().close();
            vanish(world.home).await
        })
    }
}

/// Removes the folder of `home`, whose lock the caller holds, and the folders above it that were made for instances.
pub(crate) async fn vanish(home: &Home) -> Result<usize, Error> {
    // The ledger goes last: until then a crash leaves something that says what is here. After it, the lease says that
    // the rest is nobody's.
    let last = [home.ledger(), home.lease(), home.lock()];
    let mut removed = 0;
    let entries = match fs::read_dir(home.path()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let _guard = lock::guard(home).await?;
            return Ok(release(home.path()));
        }
        Err(source) => return Err(Error::file("read", home.path(), source)),
    };
    for path in
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| !last.contains(path))
    {
        removed += usize::from(remove(&path)?);
    }
    let _guard = lock::guard(home).await?;
    for path in &last {
        removed += usize::from(remove(path)?);
    }
    removed += usize::from(remove(home.path())?);
    Ok(removed + release(home.path()))
}
