//! Which of root's powers a container keeps.

use std::io;

use super::spec::Capabilities;
use super::sys;

/// Names of capabilities in the kernel's order, without `CAP_`: the index is the number.
pub const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// What other runtimes grant by default, without MKNOD: no device cgroup stands between a node and the host's disk.
const DEFAULT: [&str; 13] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

const ALL: u64 = (1 << NAMES.len()) - 1;

/// The set a container gets, as a bit mask; names the kernel does not have are reported.
pub(super) fn mask(changes: &Capabilities, privileged: bool) -> Result<u64, String> {
    if privileged {
        return Ok(ALL);
    }
    let mut mask = DEFAULT.iter().try_fold(0, |mask, name| Ok::<_, String>(mask | bit(name)?))?;
    for name in &changes.drop {
        mask &= !bit(name)?;
    }
    for name in &changes.add {
        mask |= bit(name)?;
    }
    Ok(mask)
}

fn bit(name: &str) -> Result<u64, String> {
    let upper = name.to_ascii_uppercase();
    let plain = upper.strip_prefix("CAP_").unwrap_or(&upper);
    if plain == "ALL" {
        return Ok(ALL);
    }
    NAMES
        .iter()
        .position(|known| *known == plain)
        .map(|number| 1 << number)
        .ok_or_else(|| format!("unknown capability {name:?}"))
}

/// Removes everything outside `mask` from the bounding set, so that no program can gain it.
pub(super) fn bound(mask: u64) -> io::Result<()> {
    for number in 0..64 {
        if mask & (1 << number) == 0 && !sys::drop_bounding(number)? {
            break;
        }
    }
    sys::clear_ambient()
}

/// Empties the bounding set.
pub(crate) fn drop_all() -> io::Result<()> {
    bound(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(add: &[&str], drop: &[&str]) -> Capabilities {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Capabilities { add: owned(add), drop: owned(drop) }
    }

    #[test]
    fn dropping_all_then_adding_leaves_one() {
        let mask = mask(&changes(&["CAP_NET_BIND_SERVICE"], &["ALL"]), false).unwrap();
        assert_eq!(mask, 1 << 10);
    }

    #[test]
    fn the_default_cannot_make_devices_or_administer() {
        let mask = mask(&Capabilities::default(), false).unwrap();
        for name in ["MKNOD", "SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE"] {
            assert_eq!(mask & bit(name).unwrap(), 0, "{name}");
        }
    }

    #[test]
    fn an_unknown_name_is_an_error() {
        assert!(mask(&changes(&["FLY"], &[]), false).is_err());
    }
}
