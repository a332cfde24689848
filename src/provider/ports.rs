//! Ports of this machine.

use std::net::{Ipv4Addr, TcpListener};

use crate::{ClusterSpec, Error};

/// Checks that nobody else listens where the cluster is about to.
///
/// # Errors
/// [`Error::PortInUse`] for the first port that is taken.
pub(crate) fn free(spec: &ClusterSpec) -> Result<(), Error> {
    let api = std::iter::once(("API", spec.api_port));
    for (door, port) in api.chain(spec.doors.iter().map(|door| (door.name.as_str(), door.port))) {
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err() {
            return Err(Error::PortInUse { port, door: door.to_owned() });
        }
    }
    Ok(())
}
