//! Becoming the user a container runs as.

use std::fs;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};

use super::spawn::{Failure, Step};
use super::sys;
use super::user::Identity;
use crate::node::rootless::Ids;

/// How a process takes an identity, of the ids there are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By changing to it.
    Change,
    /// It is the only one already.
    Stay,
    /// By a user namespace, in which the only one is called that.
    Rename,
}

/// How `identity` is taken; an error where nobody can be that.
pub(super) fn way(identity: &Identity, ids: &Ids) -> Result<Way, String> {
    if ids.are_one() {
        let is_root = (identity.uid, identity.gid) == (0, 0);
        return Ok(if is_root { Way::Stay } else { Way::Rename });
    }
    let reason = "the cluster is an ordinary user's, who has ids up to 65535; take a lower one, or run curtain as root";
    if !ids.has_user(identity.uid) {
        return Err(format!("there is no user {}: {reason}", identity.uid));
    }
    let mut groups = identity.groups.iter().chain([&identity.gid]);
    match groups.find(|group| !ids.has_group(**group)) {
        Some(group) => Err(format!("there is no group {group}: {reason}")),
        None => Ok(Way::Change),
    }
}

/// The first part, with all privileges and before a filter forbids it. A process of a new user namespace has every
/// capability in it: they are to be dropped after this.
pub(super) fn rename(way: &Way, identity: &Identity) -> Result<(), Failure> {
    if *way != Way::Rename {
        return Ok(());
    }
    let map = |file: &str, text: String| fs::write(file, text).step(format!("write {file}"));
    unshare(CloneFlags::CLONE_NEWUSER).step("make the container's user namespace")?;
    map("/proc/self/setgroups", "deny".to_owned())?;
    map("/proc/self/gid_map", format!("{} 0 1", identity.gid))?;
    map("/proc/self/uid_map", format!("{} 0 1", identity.uid))
}

/// The last part: from here on it is that user, with the capabilities of `mask` if that is root.
pub(super) fn take(way: &Way, identity: &Identity, mask: u64) -> Result<(), Failure> {
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    if *way == Way::Change {
        let groups: Vec<Gid> = identity.groups.iter().copied().map(Gid::from_raw).collect();
        setgroups(&groups).step("set groups")?;
        setresgid(gid, gid, gid).step("set the group")?;
        setresuid(uid, uid, uid).step("set the user")?;
    }
    if uid.is_root() {
        sys::set_capabilities(mask).step("set capabilities")?;
    } else if *way == Way::Rename {
        // Another user loses them by becoming it.
        sys::set_capabilities(0).step("drop capabilities")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(uid: u32, gid: u32, groups: &[u32]) -> Identity {
        Identity { uid, gid, groups: groups.to_vec(), home: "/".to_owned() }
    }

    #[test]
    fn where_there_is_one_id_it_is_called_what_the_container_wants() {
        let one = Ids::of("0 1000 1\n", "0 1000 1\n");
        assert_eq!(way(&identity(0, 0, &[0]), &one), Ok(Way::Stay));
        assert_eq!(way(&identity(65_532, 65_532, &[2000]), &one), Ok(Way::Rename));
        assert_eq!(way(&identity(0, 7, &[7]), &one), Ok(Way::Rename));
    }

    #[test]
    fn where_there_are_some_those_are_taken_and_others_refused_by_name() {
        let some = Ids::of("0 1000 1\n1 100000 65536\n", "0 1000 1\n1 100000 65536\n");
        assert_eq!(way(&identity(65_532, 65_532, &[65_532]), &some), Ok(Way::Change));
        assert_eq!(way(&identity(0, 0, &[0]), &some), Ok(Way::Change));
        let refused = way(&identity(1_000_660_000, 0, &[0]), &some).unwrap_err();
        assert!(refused.starts_with("there is no user 1000660000: "), "{refused}");
        let refused = way(&identity(1, 1, &[1, 70_000]), &some).unwrap_err();
        assert!(refused.starts_with("there is no group 70000: "), "{refused}");
        let all = Ids::of("0 0 4294967295\n", "0 0 4294967295\n");
        assert_eq!(way(&identity(1_000_660_000, 0, &[70_000]), &all), Ok(Way::Change));
    }
}
