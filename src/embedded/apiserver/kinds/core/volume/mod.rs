//! Storage that outlives pods: PersistentVolumes, and the PersistentVolumeClaims that ask for them.

mod claim;
mod persistent;
mod spec;

pub(super) use claim::{CLAIM, COLUMNS as CLAIM_COLUMNS};
pub(super) use persistent::{COLUMNS as VOLUME_COLUMNS, VOLUME};
