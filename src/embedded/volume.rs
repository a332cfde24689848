//! Directories of the node that stand behind PersistentVolumes: what API server, controllers and node agree on.

/// Who makes and removes them, as StorageClasses and PersistentVolumes name it.
pub(crate) const PROVISIONER: &str = "curtain.dev/host-path";
