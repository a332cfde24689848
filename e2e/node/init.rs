//! The container's first process: says when the node can be used, collects ended processes, brings the cluster back
//! after a restart, and ends it when the container is stopped.

use std::{fs, io, path::Path, process::Command};

use nix::{
    sys::{
        signal::SigSet,
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};
use tokio::signal::unix::{SignalKind, signal};

use crate::{Outcome, cluster, fault};

/// What a service manager takes as the wish to halt: the stop signal of node images.
const HALT: i32 = 3;

pub(crate) fn run() -> Outcome {
    fault::at("entrypoint")?;
    // Inherited from whoever started the container; nothing here wants a signal blocked.
    SigSet::all().thread_unblock().map_err(|errno| format!("unblock signals: {errno}"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(live()).map_err(|error| error.to_string())
}

async fn live() -> io::Result<()> {
    // Before anything else: a first process without a handler ignores its signals.
    let mut halt = signal(SignalKind::from_raw(nix::libc::SIGRTMIN() + HALT))?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut child = signal(SignalKind::child())?;
    control_groups()?;
    Command::new("join-server").spawn()?;
    if let Some(config) = cluster::known() {
        // As with a service that does not start: the machine is up all the same, and the journal says why.
        if let Err(error) = cluster::start(&config) {
            eprintln!("[FAILED] Failed to start the cluster: {error}");
        }
    }
    println!("[  OK  ] Reached target multi-user.target - Multi-User System.");
    loop {
        tokio::select! {
            _ = halt.recv() => break,
            _ = terminate.recv() => break,
            _ = child.recv() => collect(),
        }
    }
    match cluster::known().map(|config| cluster::stop(&config)) {
        None | Some(Ok(())) => Ok(()),
        Some(Err(error)) => Err(io::Error::other(error)),
    }
}

/// Says which version of control groups there is. On version 2 only a group without processes hands controllers down,
/// so this process leaves the root of the container's own.
fn control_groups() -> io::Result<()> {
    let root = Path::new("/sys/fs/cgroup");
    if !root.join("cgroup.controllers").exists() {
        println!("INFO: detected cgroup v1");
        return Ok(());
    }
    println!("INFO: detected cgroup v2");
    let own = root.join("init");
    fs::create_dir_all(&own)?;
    fs::write(own.join("cgroup.procs"), "0")?;
    for controller in fs::read_to_string(root.join("cgroup.controllers"))?.split_whitespace() {
        fs::write(root.join("cgroup.subtree_control"), format!("+{controller}"))?;
    }
    Ok(())
}

fn collect() {
    while let Ok(status) = waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG)) {
        if status == WaitStatus::StillAlive {
            return;
        }
    }
}
