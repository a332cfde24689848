//! Running the cluster as an ordinary user: in a user namespace, where this user is root and nothing of the machine is.
//!
//! The supervisor starts as the user, moves into namespaces of its own (users, mounts, processes), becomes the first
//! process of the last, and goes on as root does. What it starts is in there as well. A process of the user's own stays
//! outside, waits for it, and passes signals on: its id is the cluster's, and its end is that of everything inside. That
//! is how nothing outlives a cluster that has no control groups.
//!
//! Which ids there are: 0, which is the user, and 1 to 65536 where `newuidmap` and `newgidmap` are installed and the user
//! has a range of ids in `/etc/subuid` and `/etc/subgid`. Without those there is one id. Then files that an image gives to
//! others are the user's own, and a container that is to run as somebody else has one more user namespace, in which that
//! one id is called what the container wants.
//!
//! Files of other ids are out of the user's reach: whoever is outside and has to store, count or remove such files starts
//! a process that does it [`inside`] of a namespace with the same ids.
//!
//! What root has and this has not: control groups, so limits and usage of pods; ports below 1024 of the host, unless the
//! machine lets everybody have them; snapshots.

mod enter;
mod ids;
mod inside;
mod obstacle;
mod plan;

pub(super) use enter::supervised;
pub(crate) use ids::Ids;
pub(in crate::node) use inside::remove_tree;
pub use inside::{ImageStore, run_inside};
pub use obstacle::{Obstacle, obstacle};
pub use plan::{UserIds, user_ids};

/// Whether this process is an ordinary user's, who is root nowhere.
pub fn is_ordinary_user() -> bool {
    !nix::unistd::geteuid().is_root()
}
