//! Where control groups are mounted on this machine.

use std::path::PathBuf;

use nix::unistd::{AccessFlags, access};

/// The hierarchies an instance uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hierarchies {
    /// One hierarchy for all controllers.
    V2 {
        /// Its mount point.
        mount: PathBuf,
    },
    /// A hierarchy for each controller, or for several that are mounted together.
    V1 {
        /// Mount points, each with the controllers found there.
        mounts: Vec<(PathBuf, Vec<Controller>)>,
    },
}

impl Hierarchies {
    /// Whether this process can make groups in all of them.
    pub(super) fn are_writable(&self) -> bool {
        let writable = |mount: &PathBuf| access(mount, AccessFlags::W_OK).is_ok();
        match self {
            Self::V2 { mount } => writable(mount),
            Self::V1 { mounts } => mounts.iter().all(|(mount, _)| writable(mount)),
        }
    }
}

/// What a version 1 hierarchy controls, as far as used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Controller {
    Cpu,
    CpuAcct,
    Memory,
    Pids,
}

impl Controller {
    /// The kernel's name of it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::CpuAcct => "cpuacct",
            Self::Memory => "memory",
            Self::Pids => "pids",
        }
    }
}

/// Reads the text of `/proc/self/mountinfo`. Version 1 wins where any of its controllers is mounted: on such a machine
/// the version 2 hierarchy has none left.
pub(super) fn detect(mountinfo: &str) -> Option<Hierarchies> {
    let mut v1: Vec<(PathBuf, Vec<Controller>)> = Vec::new();
    let mut v2 = None;
    for line in mountinfo.lines() {
        let Some((left, right)) = line.split_once(" - ") else {
            continue;
        };
        let Some(mount) = left.split(' ').nth(4).map(unescape) else {
            continue;
        };
        let mut right = right.split(' ');
        match (right.next(), right.nth(1)) {
            (Some("cgroup2"), _) => {
                v2.get_or_insert(PathBuf::from(mount));
            }
            (Some("cgroup"), Some(options)) => {
                let controllers: Vec<_> = options.split(',').filter_map(controller).collect();
                let known = v1.iter().any(|(_, found)| found == &controllers);
                if !controllers.is_empty() && !known {
                    v1.push((PathBuf::from(mount), controllers));
                }
            }
            _ => {}
        }
    }
    match (v1.is_empty(), v2) {
        (false, _) => Some(Hierarchies::V1 { mounts: v1 }),
        (true, Some(mount)) => Some(Hierarchies::V2 { mount }),
        (true, None) => None,
    }
}

fn controller(name: &str) -> Option<Controller> {
    match name {
        "cpu" => Some(Controller::Cpu),
        "cpuacct" => Some(Controller::CpuAcct),
        "memory" => Some(Controller::Memory),
        "pids" => Some(Controller::Pids),
        _ => None,
    }
}

/// Spaces and backslashes are written as octal escapes.
fn unescape(field: &str) -> String {
    ["\\040", "\\011", "\\134"]
        .iter()
        .zip([" ", "\t", "\\"])
        .fold(field.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hybrid_machines_use_version_1() {
        let text = "\
30 25 0:26 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw\n\
31 25 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
32 25 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
33 25 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n";
        let Some(Hierarchies::V1 { mounts }) = detect(text) else {
            panic!("version 1 expected");
        };
        assert_eq!(mounts.len(), 2);
        assert_eq!(mounts[0].1, [Controller::Cpu, Controller::CpuAcct]);
    }

    #[test]
    fn pure_version_2() {
        let text = "30 25 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n";
        let mount = PathBuf::from("/sys/fs/cgroup");
        assert_eq!(detect(text), Some(Hierarchies::V2 { mount }));
        assert_eq!(detect("1 2 0:1 / / rw - ext4 /dev/vda rw\n"), None);
    }
}
