//! The node's user.

use nix::unistd::geteuid;
use sha2::{Digest as _, Sha256};

use crate::ClusterConfig;
use crate::node::rootless::Ids;

/// Ids that systems leave to services without a name in their user list, and that user namespaces of the usual size
/// have.
const FIRST: u32 = 61_184;
const LAST: u32 = 65_519;

/// A user and group that nobody else is. They have no name, and nothing on the machine has to be changed for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Identity {
    /// The node's identity, the same for the life of an instance and most likely another for each; `None` where the
    /// caller is not root or cannot become somebody else.
    pub(crate) fn of(config: &ClusterConfig) -> Option<Self> {
        let id = id(config);
        let ids = Ids::read();
        let possible = geteuid().is_root() && ids.has_user(id) && ids.has_group(id);
        possible.then_some(Self { uid: id, gid: id })
    }
}

fn id(config: &ClusterConfig) -> u32 {
    let digest = Sha256::digest(config.home.as_os_str().as_encoded_bytes());
    let number = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    FIRST + number % (LAST - FIRST + 1)
}
