//! Saving an instance.

use std::{
    fs,
    path::{Path, PathBuf},
};

use curtain_machine::files::{Rights, sync_folder};
use curtain_provider::{Contents, Stop};
use jiff::{Timestamp, Unit};

use super::{
    Head, STEP, Snapshot, SnapshotName, agents, shelf,
    state::{State, at, shown},
};
use crate::{
    Error, Home, Homes, Up,
    fault::When,
    home::{part, remove},
    ledger::Ledger,
    pause,
    progress::Progress,
};

/// What to save, and where.
#[derive(Clone, Debug)]
pub struct Save {
    /// The snapshot's name; if there is none, its time is.
    pub name: Option<SnapshotName>,
    /// A file, or a folder for it, instead of the instance's own.
    pub to: Option<PathBuf>,
    /// Whether one that is there is replaced.
    pub replace: bool,
    /// How the instance is started again.
    pub up: Up,
}

/// Saves the instance in `home`, which stands still meanwhile.
///
/// # Errors
/// An instance that cannot be saved, a name that is taken, a disk that is full, `stop`: nothing is left of the snapshot
/// then, and the instance runs as before. [`Error::NotAgain`] if it does not.
pub async fn save(
    homes: &Homes,
    home: &Home,
    how: &Save,
    stop: &Stop,
    progress: &dyn Progress,
) -> Result<Snapshot, Error> {
    let state = State::hold(homes, home, &how.up, stop).await?;
    let now = Timestamp::now();
    let now = now.round(Unit::Second).unwrap_or(now);
    let name = how.name.clone().unwrap_or_else(|| SnapshotName::at(now));
    let file = match &how.to {
        Some(folder) if folder.is_dir() => folder.join(format!("{name}.tar.gz")),
        Some(file) => file.clone(),
        None => shelf::path(home, &name),
    };
    if !how.replace && fs::symlink_metadata(&file).is_ok() {
        return Err(Error::SnapshotExists { file });
    }
    // What cannot be read is not worth stopping it for.
    fs::read_dir(&state.spec.home)
        .map_err(|source| Error::file("save", &state.spec.home, source))?;
    if how.to.is_none() {
        shelf::prepare(home)?;
    }
    let mut head = Head::new(name, now, home, &state.instance);
    head.agents = agents::recorded(&Ledger::look(&home.ledger())?);
    let title = format!("snapshot {}", head.name);
    let work = saved(&state, head, &file, how, stop, progress);
    shown(progress, title, work).await
}

async fn saved(
    state: &State<'_>,
    mut head: Head,
    file: &Path,
    how: &Save,
    stop: &Stop,
    progress: &dyn Progress,
) -> Result<Snapshot, Error> {
    let ran = state.runs().await?;
    if ran {
        head.components = state.components().await;
    }
    let part = part(file);
    // A former try may have died half-way.
    remove(&part)?;
    let to = Rights::PRIVATE.create_new(&part);
    let to = to.map_err(|source| Error::file("write", file, source))?;
    at(progress, "stopping the instance");
    let written = async {
        stop.check()?;
        if ran {
            pause::stop(state.home, &state.instance, stop.left()).await?;
        }
        stop.check()?;
        at(progress, "writing");
        how.up.faults.at(STEP, When::BeforeDo)?;
        let mut begun = head.clone();
        let begin = Box::new(move |contents: &Contents| {
            begun.contents = contents.clone();
            Ok(serde_json::to_vec(&begun)?)
        });
        head.contents = state.keeper()?.save(&state.spec, (to, &part), begin, stop).await?;
        how.up.faults.at(STEP, When::AfterDo)?;
        keep(&part, file)
    }
    .await;
    if written.is_err() {
        // What of it is there is of no use; the error of before says more.
        let _ = remove(&part);
    }
    at(progress, "starting it again");
    match (written, state.go_on(ran).await) {
        (Ok(size), Ok(())) => Ok(Snapshot::of(&head, file, size)),
        (Err(error), Ok(())) => Err(error),
        (written, Err(source)) => {
            let done = match written {
                Ok(_) => format!("the snapshot {} is whole", file.display()),
                Err(error) => format!("there is no snapshot: {error}"),
            };
            Err(Error::NotAgain { done, source: Box::new(source) })
        }
    }
}

/// Gives the file its name, and returns its size.
fn keep(part: &Path, file: &Path) -> Result<u64, Error> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    let keep = || {
        fs::rename(part, file)?;
        sync_folder(folder)?;
        Ok(fs::metadata(file)?.len())
    };
    keep().map_err(|source| Error::file("write", file, source))
}
