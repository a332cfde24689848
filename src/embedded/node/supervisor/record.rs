//! Who runs a cluster: a process id that cannot be mistaken for a later process with the same number.

use std::path::PathBuf;

use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::{ClusterConfig, Error, files};

/// A process, by id, start time and boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessRecord {
    /// Process id.
    pub(crate) pid: i32,
    /// Start in clock ticks since the machine's boot.
    pub(crate) start_time: u64,
    /// The boot during which it was started.
    pub(crate) boot_id: String,
}

impl ProcessRecord {
    /// The record of a process that exists now.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        Some(Self { pid, start_time: start_time(pid)?, boot_id: boot_id()? })
    }

    /// Whether exactly this process still exists (and is not just waiting to be collected).
    pub(crate) fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// The process id for signals, if the process still exists.
    pub(crate) fn alive(&self) -> Option<Pid> {
        self.is_alive().then(|| Pid::from_raw(self.pid))
    }
}

/// The file with the supervisor's record.
pub(super) fn path(config: &ClusterConfig) -> PathBuf {
    config.run_dir().join("supervisor.json")
}

/// The record of the calling process.
pub(super) fn own() -> Result<ProcessRecord, Error> {
    ProcessRecord::of(std::process::id() as i32).ok_or_else(|| {
        Error::system("read the supervisor's own start time from /proc")(
            std::io::ErrorKind::NotFound.into(),
        )
    })
}

/// Writes the record of the process that the cluster is known by.
pub(super) fn write(config: &ClusterConfig, record: &ProcessRecord) -> Result<(), Error> {
    let bytes = serde_json::to_vec(&record)
        .map_err(|source| Error::Format { path: path(config), source })?;
    files::write_private(&path(config), &bytes)
}

/// The supervisor of a cluster, if one was ever recorded. It may be long gone: see [`ProcessRecord::is_alive`].
pub(crate) fn read(config: &ClusterConfig) -> Option<ProcessRecord> {
    serde_json::from_slice(&std::fs::read(path(config)).ok()?).ok()
}

/// The 22nd field of `/proc/<pid>/stat`; the second is in parentheses and may hold anything. None for a zombie.
fn start_time(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

fn boot_id() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_process_with_the_same_id_is_another() {
        let own = ProcessRecord::of(std::process::id() as i32).unwrap();
        assert!(own.is_alive());
        let earlier = ProcessRecord { start_time: own.start_time - 1, ..own.clone() };
        assert!(!earlier.is_alive());
        let before_boot = ProcessRecord { boot_id: "another".into(), ..own };
        assert!(!before_boot.is_alive());
    }

    #[test]
    fn a_process_that_waits_to_be_collected_is_gone() {
        let mut child = std::process::Command::new("/proc/self/exe")
            .arg("--list")
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let record = ProcessRecord::of(child.id() as i32);
        child.wait().unwrap();
        assert!(record.is_none_or(|record| !record.is_alive()));
    }
}
