//! The directories of PersistentVolumes, for the controllers. They are root's; nothing else is removed through here.

use std::fmt;
use std::path::PathBuf;

use futures::future::BoxFuture;

use super::link::{self, SupervisorLink};
use crate::controllers::Disk;
use crate::{ClusterConfig, volume};

/// This node's disk.
pub(super) struct NodeDisk {
    config: ClusterConfig,
    supervisor: SupervisorLink,
}

impl NodeDisk {
    pub(super) fn new(config: ClusterConfig, supervisor: SupervisorLink) -> Self {
        Self { config, supervisor }
    }
}

impl fmt::Debug for NodeDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NodeDisk").field(&self.config.volumes_dir()).finish()
    }
}

impl Disk for NodeDisk {
    fn directory(&self, volume: &str) -> Option<PathBuf> {
        volume::directory(&self.config.volumes_dir(), volume)
    }

    fn remove<'a>(&'a self, volume: &'a str) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let path = self.directory(volume).ok_or("this is no name of a volume")?;
            // No pod's shim is called like this, whatever the volume is called.
            let shim = format!("volume/{volume}");
            link::remove(&self.supervisor, &self.config, &shim, vec![path], None).await
        })
    }
}
