//! The kept copy of this program, so that a rebuild never changes a running instance; and, where this is not Linux, the
//! program for Linux beside it.

use std::{fs, path::Path};

use curtain_machine::files::make_executable;
use serde::{Deserialize, Serialize};

use crate::{
    Error, carried,
    effect::{Boxed, Step},
    home::{create_private, remove},
    world::World,
};

/// The copy, identified by what it is a copy of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BinaryStep {
    /// Build id of the program.
    pub build: String,
    /// Its size in bytes.
    pub size: u64,
}

impl Step for BinaryStep {
    fn name(&self) -> String {
        "binary".to_owned()
    }

    fn title(&self) -> String {
        "copy of the program (also the image)".to_owned()
    }

    fn probe<'a>(&'a self, world: &'a World<'_>) -> Boxed<'a, Result<bool, Error>> {
        Box::pin(async move {
            let carried = carried::program()?;
            Ok(self.complete(&world.home.binary())
                && carried.is_none_or(|program| program.is_at(&world.home.image_program())))
        })
    }

    fn act<'a>(&'a self, world: &'a World<'_>) -> Boxed<'a, Result<(), Error>> {
        Box::pin(async move {
            let (step, from, to) = (self.clone(), world.program.clone(), world.home.binary());
            let image = world.home.image_program();
            let work = move || {
                step.copy(&from, &to)?;
                carried::program()?.map_or(Ok(()), |program| program.unpack(&image))
            };
            let copied = tokio::task::spawn_blocking(work).await;
            copied.map_err(|error| {
                Error::file("copy", world.home.binary(), std::io::Error::other(error))
            })?
        })
    }

    fn undo<'a>(&'a self, world: &'a World<'_>) -> Boxed<'a, Result<usize, Error>> {
        Box::pin(async move {
            let Some(folder) = world.home.binary().parent().map(Path::to_owned) else {
                return Ok(0);
            };
            let removed = remove(&folder).map_err(|error| match error {
                // Windows does not let go of a program that runs.
                Error::File { verb, path, source } if cfg!(windows) => {
                    let why = format!(
                        "{source}; if an MCP client runs it, close that client, and then `curtain down` again"
                    );
                    Error::File { verb, path, source: std::io::Error::new(source.kind(), why) }
                }
                error => error,
            })?;
            Ok(usize::from(removed))
        })
    }
}

impl BinaryStep {
    /// A copy is renamed into place when it is whole, so its size tells whether it is ours.
    fn complete(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|metadata| metadata.len() == self.size)
    }

    fn copy(&self, from: &Path, to: &Path) -> Result<(), Error> {
        if self.complete(to) {
            return Ok(());
        }
        if let Some(folder) = to.parent() {
            create_private(folder)?;
        }
        let part = to.with_extension("part");
        let copy = || {
            fs::copy(from, &part)?;
            // Pods run it under other user ids, through the image.
            make_executable(&part)?;
            fs::rename(&part, to)
        };
        copy().map_err(|source| Error::file("copy this program to", to, source))
    }
}
