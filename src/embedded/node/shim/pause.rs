//! The first of the processes of a pod whose containers see each other's. It does nothing, and is there: what ends, ends
//! alone.
//!
//! It is in a sandbox like everybody there: who may look into processes may look into this one, and finds less than in
//! their own.

use std::os::fd::OwnedFd;

use nix::sys::signal::Signal;
use nix::unistd::pause;

use super::protocol::PodSetup;
use crate::node::cgroup::Tree;
use crate::node::sandbox::{
    self, Capabilities, ContainerSpec, Limits, LogSpec, Processes, RootFs, UserSpec, sys,
};
use crate::{ClusterConfig, Error};

/// Nobody: no file is this user's.
const USER: u32 = 65535;
/// More than it ever needs.
const MEMORY: u64 = 32 << 20;

/// Starts it; readable once it has ended, and with it all that was started beside it.
pub(super) fn start(
    setup: &PodSetup,
    config: &ClusterConfig,
    tree: Option<&Tree>,
) -> Result<OwnedFd, String> {
    let spec = spec(setup, config);
    let group = tree.map(|tree| tree.group(&spec.cgroup));
    let (process, _) =
        sandbox::spawn(&spec, group.as_ref(), None).map_err(|failure| failure.to_string())?;
    Ok(process.pidfd)
}

/// A container of our own image, which no container of the pod can be called like.
fn spec(setup: &PodSetup, config: &ClusterConfig) -> ContainerSpec {
    let name = ".pause";
    let dir = setup.dir.join("containers").join(name);
    let pod = setup.dir.file_name().unwrap_or_default().to_string_lossy();
    ContainerSpec {
        name: name.to_owned(),
        attempt: 0,
        root: RootFs::Own { binary: config.binary.clone(), authorities: None },
        read_only_root: true,
        argv: ["/curtain", "node", "pause"].map(str::to_owned).to_vec(),
        env: Vec::new(),
        cwd: String::new(),
        user: UserSpec { uid: Some(USER), gid: Some(USER), non_root: true, ..UserSpec::default() },
        mounts: Vec::new(),
        capabilities: Capabilities { add: Vec::new(), drop: vec!["ALL".to_owned()] },
        privileged: false,
        no_new_privileges: true,
        seccomp: true,
        profile: None,
        limits: Limits { memory: Some(MEMORY), pids: Some(1), ..Limits::default() },
        cgroup: format!("pods/{pod}/{name}"),
        // Its end would be everybody's.
        oom_score_adj: -998,
        // It says nothing.
        log: LogSpec { path: dir.join("log"), max_bytes: 0, max_files: 0 },
        message_file: None,
        stdin: false,
        stdin_once: false,
        terminal: false,
        processes: Processes::Own,
        obsolete: Vec::new(),
        dir,
    }
}

/// Is that process, for ever: whoever loses its parent becomes its child, and is gone when it ends.
///
/// # Errors
/// When the ends of children cannot be ignored.
pub fn run_pause() -> Result<(), Error> {
    sys::ignore(Signal::SIGCHLD).map_err(Error::errno("ignore the ends of processes"))?;
    loop {
        pause();
    }
}
