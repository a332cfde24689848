//! Bringing an instance back to what it was.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use curtain_provider::Stop;
use serde::Serialize;

use super::{
    Head, STEP, Snapshot, SnapshotName, agents,
    proof::{END, EXCHANGE, go_back, proven},
    shelf,
    state::{State, at, shown},
};
use crate::{
    Back, Endpoints, Error, Home, Homes, Up, fault::When, home::remove, pause, progress::Progress,
};

/// Which snapshot an instance is to be brought back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// One of its own.
    Named(SnapshotName),
    /// One in a file of the user's.
    File(PathBuf),
}

/// What to bring back, and how.
#[derive(Clone, Debug)]
pub struct Restore {
    /// The snapshot.
    pub from: Source,
    /// How the instance is started again.
    pub up: Up,
}

/// An instance that is as it was, as `snapshot restore -o json` prints it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Restored {
    /// The snapshot.
    #[serde(flatten)]
    pub snapshot: Snapshot,
    /// Whether it runs; one that was paused does not.
    pub running: bool,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Where it answers.
    pub endpoints: Endpoints,
}

/// How long what is recorded beside the state may take to be brought in line with it.
const SETTLE: Duration = Duration::from_secs(20);
/// Brings the instance in `home` back to a snapshot, and starts it unless it was paused.
///
/// # Errors
/// A snapshot that is not there, not whole or not this instance's, no room, `stop`: nothing was touched then.
/// [`Error::NotRestored`] if the instance does not start from it.
pub async fn restore(
    homes: &Homes,
    home: &Home,
    how: &Restore,
    stop: &Stop,
    progress: &dyn Progress,
) -> Result<Restored, Error> {
    let began = Instant::now();
    let state = State::hold(homes, home, &how.up, stop).await?;
    let file = match &how.from {
        Source::File(file) => file.clone(),
        Source::Named(name) => {
            let file = shelf::path(home, name);
            if !file.exists() {
                return Err(shelf::unknown(home, name)?);
            }
            file
        }
    };
    let (head, size) = shelf::look(state.keeper()?, &file)?;
    head.is_of(home, &state.instance, &file)?;
    let work = restored(&state, &head, &file, how, stop, progress);
    shown(progress, format!("snapshot {}", head.name), work).await?;
    let took = began.elapsed().as_secs_f64();
    Ok(Restored {
        snapshot: Snapshot::of(&head, &file, size),
        running: !state.was_paused(),
        seconds: (took * 1_000.0).round() / 1_000.0,
        endpoints: state.instance.endpoints(home)?,
    })
}

async fn restored(
    state: &State<'_>,
    head: &Head,
    file: &Path,
    how: &Restore,
    stop: &Stop,
    progress: &dyn Progress,
) -> Result<(), Error> {
    let faults = &how.up.faults;
    let keeper = state.keeper()?;
    let beside = state.home.restoring();
    if !keeper.is_proven(&state.spec) {
        // One that died has left it undecided what the state of now is, and that comes first.
        at(progress, "finishing an earlier one");
        match state.runs().await? {
            true => state.start().await?,
            false => go_back(state.home, keeper, &state.spec, faults).await?,
        }
    }
    remove(&beside)?;
    at(progress, "unpacking");
    let unpacked = async {
        faults.at(STEP, When::BeforeDo)?;
        keeper.unpack(file, &beside, &head.contents, stop).await?;
        faults.at(STEP, When::AfterDo)?;
        stop.check()?;
        state.runs().await
    };
    let ran = match unpacked.await {
        Ok(ran) => ran,
        Err(error) => {
            let _ = remove(&beside);
            return Err(error);
        }
    };
    // From here on it takes a moment, and is not given up on.
    at(progress, "stopping the instance");
    let exchanged = async {
        // Written first: whoever finds nobody at home knows why.
        pause::mark(state.home)?;
        keeper.halt(&state.spec, END).await?;
        faults.at(EXCHANGE, When::BeforeDo)?;
        Ok(keeper.exchange(&state.spec, &beside)?)
    };
    if let Err(error) = exchanged.await {
        if keeper.is_proven(&state.spec) {
            let _ = remove(&beside);
        }
        return Err(match state.go_on(ran).await {
            Ok(()) => error,
            Err(source) => {
                let done = format!("nothing was restored: {error}");
                Error::NotAgain { done, source: Box::new(source) }
            }
        });
    }
    at(progress, "starting it");
    if state.was_paused() {
        proven(state.home, keeper, &state.spec, progress)?;
    } else if let Err(error) = state.start().await {
        at(progress, "going back");
        return Err(went_on(state, error, ran).await);
    }
    let settled = agents::settle(state, &head.agents, SETTLE, faults);
    if let Err(error) = settled.await {
        progress.note(&format!(
            "what is connected on this machine may not fit the restored state: {error}; `curtain mcp install` connects it \
             again"
        ));
    }
    Ok(())
}

/// Lets the instance go on from the state of before, if that is in its place again after `error`.
async fn went_on(state: &State<'_>, error: Error, ran: bool) -> Error {
    match error {
        Error::NotRestored { source, back: Back::InPlace } => {
            let back = match state.go_on(ran).await {
                Ok(()) => Back::Running,
                Err(error) => Back::Stopped(Box::new(error)),
            };
            Error::NotRestored { source, back }
        }
        error => error,
    }
}
