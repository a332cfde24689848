//! Removing what only root may remove: a shim that is started for nothing else does it.

use std::path::PathBuf;
use std::time::Duration;

use super::{ShimLink, SupervisorLink};
use crate::ClusterConfig;
use crate::node::shim::Remains;

/// Removes directories, and a control group if one is named. What is not there is fine. The shim is called `id`: another
/// of that name would be ended for it.
///
/// # Errors
/// A sentence about what is left. It may be tried again.
pub(crate) async fn remove(
    supervisor: &SupervisorLink,
    config: &ClusterConfig,
    id: &str,
    paths: Vec<PathBuf>,
    cgroup: Option<String>,
) -> Result<(), String> {
    let remains = Remains { config: config.path(), paths, cgroup, images: None };
    remove_all(supervisor, id, remains).await
}

/// Removes these images, and layers that nothing needs; what a container runs from stays.
///
/// # Errors
/// A sentence about what is left. It may be tried again.
pub(crate) async fn remove_images(
    supervisor: &SupervisorLink,
    config: &ClusterConfig,
    images: Vec<String>,
) -> Result<(), String> {
    let (config, images) = (config.path(), Some(images));
    let remains = Remains { config, paths: Vec::new(), cgroup: None, images };
    // No pod is called like this.
    remove_all(supervisor, "images/unused", remains).await
}

async fn remove_all(supervisor: &SupervisorLink, id: &str, remains: Remains) -> Result<(), String> {
    let socket = supervisor.start_shim(id).await?;
    let (link, _ended) = ShimLink::new(socket).map_err(|error| error.to_string())?;
    let removed = link.remove(remains).await.map_err(|error| error.to_string());
    let _ = link.shut_down(Duration::ZERO).await;
    removed
}
