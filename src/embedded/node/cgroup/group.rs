//! One group: making it, its limits, its processes, its end.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::unistd::{Pid, Uid};
use sha2::{Digest, Sha256};

use super::detect::{Controller, Hierarchies, detect};
use crate::node::rootless::Ids;
use crate::node::sandbox::{Limits, sys};
use crate::{ClusterConfig, Error};

const CPU_PERIOD_US: u64 = 100_000;
/// Longest time that killed processes are waited for.
const KILL_LIMIT: Duration = Duration::from_millis(500);

/// The control groups of one instance.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    hierarchies: Hierarchies,
    name: String,
}

impl Tree {
    /// The tree of an instance; `None` where the machine has no control groups that can be used.
    pub(crate) fn of(config: &ClusterConfig) -> Result<Option<Self>, Error> {
        let mountinfo = fs::read_to_string("/proc/self/mountinfo")
            .map_err(Error::system("read /proc/self/mountinfo"))?;
        let name = tree_name(config);
        let found = detect(&mountinfo).filter(|found| {
            // What root finds is root's to use. Others find what somebody would have to give them.
            Uid::effective().is_root() && Ids::read().are_the_machines() || found.are_writable()
        });
        Ok(found.map(|hierarchies| Self { hierarchies, name }))
    }

    /// The group at a path relative to the instance's; the empty path is the whole instance.
    pub(crate) fn group(&self, path: &str) -> Group {
        Group { hierarchies: self.hierarchies.clone(), path: Path::new(&self.name).join(path) }
    }
}

fn tree_name(config: &ClusterConfig) -> String {
    let digest = Sha256::digest(config.home.as_os_str().as_encoded_bytes());
    let short: String = digest[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("curtain-{}-{short}", config.instance)
}

/// A control group, one directory on version 2, one in each hierarchy on version 1.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    hierarchies: Hierarchies,
    path: PathBuf,
}

impl Group {
    /// Makes the group and the groups above it, and sets its limits.
    pub(crate) fn create(&self, limits: &Limits) -> io::Result<()> {
        if let Hierarchies::V2 { mount } = &self.hierarchies {
            let mut dir = mount.clone();
            for part in &self.path {
                // A controller that the machine does not delegate stays off; the limits below then say so.
                for controller in ["+memory", "+pids", "+cpu"] {
                    let _ = fs::write(dir.join("cgroup.subtree_control"), controller);
                }
                dir.push(part);
                make_dir(&dir)?;
            }
        } else {
            for (dir, _) in self.dirs() {
                fs::create_dir_all(dir)?;
            }
        }
        self.limit(limits)
    }

    fn limit(&self, limits: &Limits) -> io::Result<()> {
        let quota = limits.cpu_millis.map(|millis| (millis * CPU_PERIOD_US / 1000).max(1000));
        for (dir, controllers) in self.dirs() {
            if controllers.is_empty() {
                set(&dir, "memory.max", limits.memory)?;
                if limits.memory.is_some() {
                    // Without this, memory over the limit goes to swap instead of ending the container.
                    let _ = fs::write(dir.join("memory.swap.max"), "0");
                    set(&dir, "memory.oom.group", Some(1))?;
                }
                set(&dir, "pids.max", limits.pids)?;
                set(&dir, "cpu.weight", limits.cpu_shares.map(weight))?;
                if let Some(quota) = quota {
                    write(&dir, "cpu.max", &format!("{quota} {CPU_PERIOD_US}"))?;
                }
            }
            for controller in controllers {
                match controller {
                    Controller::Memory => set(&dir, "memory.limit_in_bytes", limits.memory)?,
                    Controller::Pids => set(&dir, "pids.max", limits.pids)?,
                    Controller::Cpu => {
                        set(&dir, "cpu.shares", limits.cpu_shares.map(|shares| shares.max(2)))?;
                        set(&dir, "cpu.cfs_quota_us", quota)?;
                    }
                    Controller::CpuAcct => {}
                }
            }
        }
        Ok(())
    }

    /// Puts the calling process into the group.
    pub(crate) fn join(&self) -> io::Result<()> {
        self.dirs().iter().try_for_each(|(dir, _)| write(dir, "cgroup.procs", "0"))
    }

    /// How many processes the kernel has killed here for lack of memory.
    pub(crate) fn oom_kills(&self) -> u64 {
        let file = |(dir, controllers): &(PathBuf, Vec<Controller>)| {
            if controllers.is_empty() {
                Some(dir.join("memory.events"))
            } else {
                controllers.contains(&Controller::Memory).then(|| dir.join("memory.oom_control"))
            }
        };
        self.dirs()
            .iter()
            .find_map(file)
            .and_then(|path| fs::read_to_string(path).ok())
            .and_then(|text| {
                let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
                line?.trim().parse().ok()
            })
            .unwrap_or(0)
    }

    /// All processes in the group and below.
    pub(crate) fn processes(&self) -> BTreeSet<i32> {
        let mut found = BTreeSet::new();
        for (dir, _) in self.dirs() {
            walk(&dir, &mut |dir| {
                if let Ok(text) = fs::read_to_string(dir.join("cgroup.procs")) {
                    found.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
                }
            });
        }
        // 0: a process outside our own process namespace, which cannot be ours.
        found.remove(&0);
        found
    }

    /// Kills all processes in the group and below, and waits for a moment until they are gone. Where the kernel does not do
    /// it by itself, whoever makes processes faster than they are found lives on.
    pub(crate) fn kill(&self) {
        let deadline = Instant::now() + KILL_LIMIT;
        loop {
            if !self.kill_by_kernel() {
                self.kill_each(deadline);
            }
            if self.processes().is_empty() || Instant::now() > deadline {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Version 2 kills all at once, what is being made included.
    fn kill_by_kernel(&self) -> bool {
        matches!(self.hierarchies, Hierarchies::V2 { .. })
            && self.dirs().iter().all(|(dir, _)| write(dir, "cgroup.kill", "1").is_ok())
    }

    fn kill_each(&self, deadline: Instant) {
        let open = |pid: i32| Some((pid, sys::pidfd_open(Pid::from_raw(pid)).ok()?));
        let in_time = |_: &i32| Instant::now() < deadline;
        let found: Vec<_> =
            self.processes().into_iter().take_while(in_time).filter_map(open).collect();
        // An id could be another's by the time it is opened: what is here still is what was opened.
        let here = self.processes();
        for (_, process) in found.iter().filter(|(pid, _)| here.contains(pid)) {
            let _ = sys::pidfd_signal(process.as_fd(), libc::SIGKILL);
        }
    }

    /// Removes the group and the groups below; the number of directories removed. Fails while processes are in it.
    pub(crate) fn remove(&self) -> io::Result<usize> {
        let mut removed = 0;
        for (dir, _) in self.dirs() {
            let mut dirs = Vec::new();
            walk(&dir, &mut |dir| dirs.push(dir.to_owned()));
            for dir in dirs.iter().rev() {
                match fs::remove_dir(dir) {
                    Ok(()) => removed += 1,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(removed)
    }

    /// Directories of the group that exist.
    pub(crate) fn existing(&self) -> Vec<PathBuf> {
        let dirs = self.dirs().into_iter().map(|(dir, _)| dir);
        dirs.filter(|dir| dir.exists()).collect()
    }

    /// The file systems that show the group from inside: controllers to mount (none on version 2) and the type.
    pub(crate) fn views(&self) -> Vec<(Option<String>, &'static str)> {
        match &self.hierarchies {
            Hierarchies::V2 { .. } => vec![(None, "cgroup2")],
            Hierarchies::V1 { mounts } => mounts
                .iter()
                .map(|(_, controllers)| {
                    let names: Vec<&str> = controllers.iter().map(|one| one.name()).collect();
                    (Some(names.join(",")), "cgroup")
                })
                .collect(),
        }
    }

    /// The group's directory in each hierarchy with its version 1 controllers; none of them means version 2.
    pub(super) fn dirs(&self) -> Vec<(PathBuf, Vec<Controller>)> {
        match &self.hierarchies {
            Hierarchies::V2 { mount } => vec![(mount.join(&self.path), Vec::new())],
            Hierarchies::V1 { mounts } => mounts
                .iter()
                .map(|(mount, controllers)| (mount.join(&self.path), controllers.clone()))
                .collect(),
        }
    }
}

/// Calls `visit` for a directory and all below it, parents first.
fn walk(dir: &Path, visit: &mut dyn FnMut(&Path)) {
    if !dir.is_dir() {
        return;
    }
    visit(dir);
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&entry.path(), visit);
        }
    }
}

/// Version 1 shares (2–262144, 1024 for a CPU) as a version 2 weight (1–10000), in the proportion runtimes agreed on.
fn weight(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}

fn make_dir(dir: &Path) -> io::Result<()> {
    match fs::create_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

fn set(dir: &Path, file: &str, value: Option<u64>) -> io::Result<()> {
    match value {
        Some(value) => write(dir, file, &value.to_string()),
        None => Ok(()),
    }
}

fn write(dir: &Path, file: &str, value: &str) -> io::Result<()> {
    let path = dir.join(file);
    fs::write(&path, value)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_span_the_range() {
        assert_eq!(weight(2), 1);
        assert_eq!(weight(1024), 39);
        assert_eq!(weight(262_144), 10_000);
    }
}
