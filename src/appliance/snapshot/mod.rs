//! An instance at one moment, in one file, and back to it.
//!
//! What is saved is the cluster's own folder (see [`Home::cluster`]): objects, so also identities, their secrets, grants and
//! records, the keys that sign everything, volumes with the telemetry, logs and images. What an instance is beside that
//! stays as it is, on purpose:
//!
//! - `instance.json` (ports, image, build) and the kept program never change while an instance lives; the state has the
//!   ports and the folder in it, so it is brought back only where they are the same (see [`head::Head`]);
//! - the kubeconfigs are made from the state's own keys when it starts, the one that the user's own has included;
//! - `ledger.jsonl`, `lease.json` and the entries in clients' configurations are about this machine, not about the state.
//!   The agents that are recorded there belong to both: see [`mod@agents`];
//! - `snapshots/` itself, which goes with the instance. A snapshot written elsewhere is the user's.
//!
//! Invariants:
//! - whatever fails or dies, the state of before or the one of the snapshot is there, whole, and `curtain up`, `resume` and
//!   `down` work on it;
//! - the state of before goes once the one of the snapshot was seen to start, and is back if it does not (see
//!   [`mod@proof`]); one that was paused is not started, and is taken as it is;
//! - nothing is touched before a snapshot was unpacked beside the state and found to be whole and this instance's;
//! - one command at a time: the instance is held from the beginning to the end;
//! - an instance that ran runs again afterwards, one that was paused stays so.
//!
//! Entry points: [`save()`], [`restore()`], [`list()`], [`remove()`].

mod agents;
mod head;
mod name;
pub(crate) mod proof;
mod restore;
mod save;
mod shelf;
mod state;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use curtain_provider::Contents;
use jiff::Timestamp;
use serde::Serialize;

use self::head::Head;
pub use self::{
    name::SnapshotName,
    restore::{Restore, Restored, Source, restore},
    save::{Save, save},
    shelf::{Shelf, list, remove},
};
#[cfg(doc)]
use crate::Home;

/// A snapshot, as `snapshot list -o json` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// The instance it is of.
    pub instance: String,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// Where it is.
    pub file: PathBuf,
    /// Bytes of the file.
    pub size: u64,
    /// What is in it.
    pub contents: Contents,
    /// Components that the instance had; unknown of one that did not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub components: Option<usize>,
}

impl Snapshot {
    fn of(head: &Head, file: &Path, size: u64) -> Self {
        Self {
            instance: head.instance.to_string(),
            name: head.name.to_string(),
            created: head.created,
            file: file.to_owned(),
            size,
            contents: head.contents.clone(),
            components: head.components,
        }
    }
}

/// The step that is shown while something happens to a snapshot, and what a fault is injected at.
const STEP: &str = "snapshot";
