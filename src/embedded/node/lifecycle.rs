//! Starting, stopping and removing a whole cluster, seen from outside of it.
//!
//! Removal trusts no record: whatever is in the instance's control groups belongs to it, and so does every process
//! whose command line names the instance's settings file, with all that these have started. It works the same after any
//! crash, and twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Serialize;

use super::cgroup::{Group, Tree};
use super::{rootless, supervisor};
use crate::{ClusterConfig, Error};

const POLL: Duration = Duration::from_millis(5);
/// How long the kernel may take to end killed processes.
const KILL_LIMIT: Duration = Duration::from_secs(10);
/// How long what a killed process held may stay busy.
pub(super) const BUSY_LIMIT: Duration = Duration::from_secs(2);

/// What [`destroy`] removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// Processes that were killed.
    pub processes: usize,
    /// Control group directories.
    pub control_groups: usize,
    /// Whether there was a home to remove.
    pub home: bool,
}

/// Something of a cluster that is still there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Leftover {
    /// A process: its id and its command line.
    Process {
        /// Process id.
        pid: i32,
        /// Command line.
        command: String,
    },
    /// A mount below the home, seen from this process.
    Mount {
        /// Where it is mounted.
        path: PathBuf,
    },
    /// A control group directory.
    ControlGroup {
        /// The directory.
        path: PathBuf,
    },
    /// Files of the cluster.
    Files {
        /// Its home.
        path: PathBuf,
    },
}

/// Starts the cluster in the background: its supervisor, in a session of its own. Returns when it holds the cluster's
/// listeners; connections made from then on wait until the node answers them.
///
/// A cluster that runs already is fine.
///
/// # Errors
/// [`Error::Timeout`] and [`Error::Start`] with the last line of the supervisor's log.
pub fn start(config: &ClusterConfig, timeout: Duration) -> Result<(), Error> {
    if running(config) {
        return Ok(());
    }
    let log = config.run_dir().join("supervisor.log");
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&log)
        .map_err(|source| Error::File { action: "open", path: log.clone(), source })?;
    let stderr = file.try_clone().map_err(Error::system("share the supervisor's log"))?;
    let mut child = Command::new(&config.binary)
        .args(["node", "supervise", "--config"])
        .arg(config.path())
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(stderr)
        .current_dir("/")
        .spawn()
        .map_err(Error::system(format!("start {}", config.binary.display())))?;
    let deadline = Instant::now() + timeout;
    loop {
        if supervisor_record_of(config, child.id() as i32) {
            return Ok(());
        }
        if let Ok(Some(status)) = child.try_wait() {
            if running(config) {
                return Ok(());
            }
            return Err(Error::Start {
                part: "supervisor",
                message: format!("it ended with {status}: {}", last_line(&log)),
            });
        }
        if Instant::now() >= deadline {
            let _ = child.kill();
            let _ = child.wait();
            return Err(Error::Timeout {
                what: "the supervisor to hold the cluster's listeners".to_owned(),
                seconds: timeout.as_secs(),
                log,
            });
        }
        std::thread::sleep(POLL);
    }
}

/// Whether a supervisor runs the cluster.
pub fn running(config: &ClusterConfig) -> bool {
    supervisor::read_record(config).is_some_and(|record| record.is_alive())
}

fn supervisor_record_of(config: &ClusterConfig, pid: i32) -> bool {
    supervisor::read_record(config).is_some_and(|record| record.pid == pid && record.is_alive())
}

/// Stops the cluster gracefully and waits for it: the node first, then pods with a short grace period. Objects,
/// volumes and images stay. A cluster that does not run is fine.
///
/// # Errors
/// [`Error::Timeout`].
pub fn stop(config: &ClusterConfig, timeout: Duration) -> Result<(), Error> {
    let Some(record) = supervisor::read_record(config) else {
        return Ok(());
    };
    if let Some(pid) = record.alive() {
        // A supervisor that ended in between is what was asked for.
        let _ = kill(pid, Signal::SIGTERM);
    }
    let deadline = Instant::now() + timeout;
    while record.is_alive() {
        if Instant::now() >= deadline {
            return Err(Error::Timeout {
                what: "the cluster to stop".to_owned(),
                seconds: timeout.as_secs(),
                log: config.run_dir().join("supervisor.log"),
            });
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

/// Removes the cluster and everything it made: processes at once and without grace, control groups, its home.
///
/// May be repeated, and after any crash.
///
/// # Errors
/// [`Error::Timeout`] when killed processes do not end, [`Error::File`] when files cannot be removed.
pub fn destroy(config: &ClusterConfig) -> Result<Removed, Error> {
    let mut removed = halt(config)?;
    removed.home = config.home.exists();
    rootless::remove_tree(&config.binary, &config.home)?;
    Ok(removed)
}

/// Ends the cluster's processes at once and without grace, and removes its control groups; its home stays. For a state
/// that is replaced: nobody reads what its pods would still write.
///
/// May be repeated, and after any crash.
///
/// # Errors
/// [`Error::Timeout`] when killed processes do not end.
pub fn halt(config: &ClusterConfig) -> Result<Removed, Error> {
    let group = Tree::of(config)?.map(|tree| tree.group(""));
    let pids = || Ok(processes(config)?.into_iter().map(|(pid, _)| pid).collect());
    let mut removed = Removed { processes: end_all(config, pids)?, ..Removed::default() };
    if let Some(group) = group {
        removed.control_groups = retry_busy(KILL_LIMIT, || group.remove())
            .map_err(Error::system("remove the cluster's control groups"))?;
    }
    Ok(removed)
}

/// Kills what is in a control group.
pub(super) fn end_group(config: &ClusterConfig, group: &Group) -> Result<(), Error> {
    let alive = |pid: &i32| is_alive(&Path::new("/proc").join(pid.to_string()));
    end_all(config, || Ok(group.processes().into_iter().filter(alive).collect())).map(|_| ())
}

/// Kills processes until `alive` finds none; how many there were.
fn end_all(
    config: &ClusterConfig,
    alive: impl Fn() -> Result<Vec<i32>, Error>,
) -> Result<usize, Error> {
    let deadline = Instant::now() + KILL_LIMIT;
    let mut most = 0;
    // Repeated, because a process that is being killed may have started another.
    loop {
        let alive = alive()?;
        if alive.is_empty() {
            return Ok(most);
        }
        most = most.max(alive.len());
        for pid in &alive {
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        if Instant::now() >= deadline {
            return Err(Error::Timeout {
                what: format!("{} killed processes to end", alive.len()),
                seconds: KILL_LIMIT.as_secs(),
                log: config.run_dir().join("supervisor.log"),
            });
        }
        std::thread::sleep(POLL);
    }
}

/// A control group or a mount is busy for a moment after the last process in it has ended.
pub(super) fn retry_busy<T>(
    limit: Duration,
    mut action: impl FnMut() -> std::io::Result<T>,
) -> std::io::Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        match action() {
            Err(error)
                if error.kind() == std::io::ErrorKind::ResourceBusy
                    && Instant::now() < deadline =>
            {
                std::thread::sleep(POLL);
            }
            result => return result,
        }
    }
}

/// Everything of the cluster that is still there. Network namespaces, their rules and sockets have no name: they end
/// with the processes listed.
pub fn residue(config: &ClusterConfig) -> Result<Vec<Leftover>, Error> {
    let processes = processes(config)?.into_iter();
    let mut found: Vec<_> =
        processes.map(|(pid, command)| Leftover::Process { pid, command }).collect();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")
        .map_err(Error::system("read /proc/self/mountinfo"))?;
    found.extend(
        mounts
            .lines()
            .filter_map(|line| line.split(' ').nth(4))
            .map(PathBuf::from)
            .filter(|path| path.starts_with(&config.home))
            .map(|path| Leftover::Mount { path }),
    );
    if let Some(tree) = Tree::of(config)? {
        let dirs = tree.group("").existing().into_iter();
        found.extend(dirs.map(|path| Leftover::ControlGroup { path }));
    }
    if config.home.exists() {
        let path = config.home.clone();
        found.push(Leftover::Files { path });
    }
    Ok(found)
}

/// Processes of the cluster with their command lines: those in its control groups, those started with its settings file,
/// and all that these have started. Never the caller.
fn processes(config: &ClusterConfig) -> Result<Vec<(i32, String)>, Error> {
    let in_groups = Tree::of(config)?.map(|tree| tree.group("").processes()).unwrap_or_default();
    let settings = config.path();
    let settings = settings.as_os_str().as_encoded_bytes();
    let entries = std::fs::read_dir("/proc").map_err(Error::system("read /proc"))?;
    let (mut all, mut ours) = (BTreeMap::new(), in_groups);
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let Some(parent) = parent_of_living(&entry.path()) else {
            continue;
        };
        // An empty or unreadable command line: a kernel thread, or just ended.
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = command.split(|byte| *byte == 0).collect();
        let named = words.windows(2).any(|pair| pair[0] == b"--config" && pair[1] == settings)
            && words.get(1) == Some(&b"node".as_slice());
        if named {
            ours.insert(pid);
        }
        all.insert(pid, (parent, command));
    }
    add_children(&mut ours, all.iter().map(|(pid, (parent, _))| (*pid, *parent)));
    ours.remove(&(std::process::id() as i32));
    let told = |pid: i32| {
        let (_, command) = all.get(&pid)?;
        let text = String::from_utf8_lossy(command).replace('\0', " ");
        Some((pid, text.trim().to_owned()))
    };
    Ok(ours.into_iter().filter_map(told).collect())
}

/// Adds whoever has one of these as a parent, and so on.
fn add_children(ours: &mut BTreeSet<i32>, parents: impl Iterator<Item = (i32, i32)> + Clone) {
    loop {
        let before = ours.len();
        for (pid, parent) in parents.clone() {
            if ours.contains(&parent) {
                ours.insert(pid);
            }
        }
        if ours.len() == before {
            return;
        }
    }
}

/// Neither gone nor a zombie.
fn is_alive(proc_dir: &Path) -> bool {
    parent_of_living(proc_dir).is_some()
}

/// The parent of a process that has not ended. A zombie that has threads left holds all it ever held: its first thread has
/// ended, and the others have not yet.
fn parent_of_living(proc_dir: &Path) -> Option<i32> {
    let stat = std::fs::read_to_string(proc_dir.join("stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let threads = || std::fs::read_dir(proc_dir.join("task")).map_or(0, Iterator::count);
    if matches!(fields.next()?, "Z" | "X") && threads() < 2 {
        return None;
    }
    fields.next()?.parse().ok()
}

fn last_line(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    match text.lines().rfind(|line| !line.trim().is_empty()) {
        Some(line) => line.to_owned(),
        None => format!("{} is empty", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_started_by_ours_is_ours() {
        let mut ours = BTreeSet::from([10]);
        // In no order: ids begin again.
        let parents = [(3, 12), (10, 1), (11, 2), (12, 10), (2, 1)];
        add_children(&mut ours, parents.into_iter());
        assert_eq!(ours, BTreeSet::from([3, 10, 12]));
    }
}
