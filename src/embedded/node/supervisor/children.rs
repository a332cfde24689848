//! Starting node and shims: the supervisor's own executable with other arguments.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use crate::ClusterConfig;
use crate::node::wire::Channel;

/// A log beyond this size is started anew when its process is; the former one is kept with `.1` added.
const LOG_LIMIT: u64 = 8 << 20;

/// Starts the node; the supervisor's end of the socket to it.
pub(super) fn start_node(config: &ClusterConfig) -> io::Result<(Child, Channel)> {
    let path = config.path();
    start(config, "node.log", &["node", "run", "--config"], Some(path.as_os_str()))
}

/// Starts a shim; the end of the socket that the node will use.
pub(super) fn start_shim(config: &ClusterConfig) -> io::Result<(Child, Channel)> {
    start(config, "shims.log", &["node", "shim"], None)
}

/// Starts what stores an image that comes on `socket`.
pub(super) fn start_store(config: &ClusterConfig, socket: &OwnedFd) -> io::Result<Child> {
    let path = config.path();
    let words = ["node", "store", "--config"];
    start_with(config, "store.log", &words, Some(path.as_os_str()), socket)
}

fn start(
    config: &ClusterConfig,
    log: &str,
    words: &[&str],
    value: Option<&OsStr>,
) -> io::Result<(Child, Channel)> {
    let (ours, theirs) = Channel::pair()?;
    Ok((start_with(config, log, words, value, &theirs)?, ours))
}

/// Starts a process that has its end of a socket, and nothing else of ours.
fn start_with(
    config: &ClusterConfig,
    log: &str,
    words: &[&str],
    value: Option<&OsStr>,
    theirs: impl AsFd,
) -> io::Result<Child> {
    // `dup` leaves close-on-exec off: this one, and only this one, is inherited.
    let inherited = nix::unistd::dup(theirs.as_fd())?;
    let log = open_log(config, log)?;
    Command::new(&config.binary)
        .args(words)
        .args(value)
        .arg("--control-fd")
        .arg(inherited.as_raw_fd().to_string())
        // One heap for all threads: separate ones keep what they do not need.
        .env("MALLOC_ARENA_MAX", "1")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .current_dir("/")
        .process_group(0)
        .spawn()
}

fn open_log(config: &ClusterConfig, name: &str) -> io::Result<File> {
    let path = config.run_dir().join(name);
    if path.metadata().is_ok_and(|meta| meta.len() > LOG_LIMIT) {
        std::fs::rename(&path, config.run_dir().join(format!("{name}.1")))?;
    }
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}
