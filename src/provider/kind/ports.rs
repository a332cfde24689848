//! Whether somebody else listens where the nodes are about to.

use super::{engine::Engine, names, nodes};
use crate::{ClusterSpec, Error};

/// Checks the API's port and every door's, unless the control plane is there already: then the ports are its own, and
/// the Engine says so when it cannot give them.
pub(crate) async fn free(engine: &Engine, spec: &ClusterSpec) -> Result<(), Error> {
    match nodes::inspect(engine, &names::control_plane(spec)).await? {
        Some(_) => Ok(()),
        None => crate::ports::free(spec),
    }
}
