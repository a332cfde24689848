//! What the node may do: what an unknown user may, in a file system of its own.
//!
//! The node parses what strangers send (TLS, HTTP, JSON, CEL, DNS, everything pods say to the world), so it keeps no
//! privilege that it could lose. Supervisor and shims keep root's, and do what takes them: the supervisor makes the
//! host's listeners and hands them over; what it starts for one image unpacks that; a pod's shim makes its namespaces,
//! sockets, directories, volumes, logs and cgroups, and removes them.
//!
//! | the node has | because |
//! |---|---|
//! | a user and group of its own ([`Identity`]), no other groups | files and processes of everybody else are out of reach |
//! | no capability, an empty bounding set, `no_new_privs` | it needs none: every socket that takes one is made elsewhere |
//! | a root with its home, `/etc`, `/proc`, its instance's control groups and random numbers, all but its home read-only | objects, images' index and logs are in its home; resolvers, the machine's name and the certificate authorities are in `/etc`; what containers use is in their groups |
//! | a system call filter | it mounts nothing, traces nothing and executes nothing |
//!
//! What is left to it: its own objects, images on their way from registries, reading container logs and the list of
//! images, ports above 1023 on the host's addresses, connections to anywhere (it is the pods' way out), and its sockets to
//! supervisor and shims. Those are as good as root: who can make pods can make privileged ones. So this protects the
//! machine from flaws that read, write or execute; not from a node that is wholly in a stranger's hands.
//!
//! An ordinary user's node is in a user namespace and has of all this what is there: its own user among the namespace's,
//! or, where that has one id, no user but that one. Then files of the instance are not out of its reach by their owners,
//! only by what is not in its root.

mod files;
mod identity;
mod root;

use std::os::fd::BorrowedFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};

pub(super) use files::prepare;
pub(super) use identity::Identity;

use super::cgroup::Tree;
use super::machine::Machine;
use super::sandbox;
use crate::{ClusterConfig, Error};

/// Gives up everything that the calling process, the node, does not need. `groups` are the instance's, whose use it
/// reads; `supervisor` is the socket to its parent.
///
/// Must be called before there is a second thread, and after everything was read that only root may read.
///
/// # Errors
/// The step that failed; the node must not go on then.
pub(super) fn confine(
    config: &ClusterConfig,
    machine: &Machine,
    groups: Option<&Tree>,
    supervisor: BorrowedFd<'_>,
) -> Result<(), Error> {
    // Every connection of every pod is a descriptor or two.
    let (_, most) =
        getrlimit(Resource::RLIMIT_NOFILE).map_err(Error::errno("read the open file limit"))?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)
        .map_err(Error::errno("raise the open file limit"))?;
    root::enter(config, machine, groups)?;
    sandbox::drop_bounding_set().map_err(Error::system("drop the bounding set"))?;
    prctl::set_no_new_privs().map_err(Error::errno("forbid new privileges"))?;
    if let Some(Identity { uid, gid }) = Identity::of(config) {
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        setgroups(&[]).map_err(Error::errno("leave all groups"))?;
        setresgid(gid, gid, gid).map_err(Error::errno("take the node's group"))?;
        setresuid(uid, uid, uid).map_err(Error::errno("take the node's user"))?;
    }
    sandbox::sys::set_capabilities(0).map_err(Error::system("drop all capabilities"))?;
    sandbox::filter_service().map_err(Error::system("install the system call filter"))?;
    tie_to_parent(supervisor)
}

/// A change of user clears the wish to die with one's parent. If it died before, nobody would send the signal.
fn tie_to_parent(supervisor: BorrowedFd<'_>) -> Result<(), Error> {
    prctl::set_pdeathsig(Signal::SIGKILL)
        .map_err(Error::errno("tie the node to its supervisor"))?;
    let mut ends = [PollFd::new(supervisor, PollFlags::empty())];
    match poll(&mut ends, PollTimeout::ZERO) {
        Ok(0) => Ok(()),
        _ => Err(Error::Protocol { peer: "supervisor", message: "it has ended".to_owned() }),
    }
}
