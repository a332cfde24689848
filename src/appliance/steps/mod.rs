//! The steps, one file each: an effect's data with its do, undo and probe.

pub(crate) mod agent;
pub(crate) mod binary;
pub(crate) mod bundle;
pub(crate) mod client;
pub(crate) mod cluster;
pub(crate) mod doors;
pub(crate) mod home;
pub(crate) mod kubeconfig;
pub(crate) mod merged;
pub(crate) mod origin;
