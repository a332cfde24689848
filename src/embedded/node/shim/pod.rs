//! The namespaces that a pod's containers share.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::sethostname;

use super::protocol::PodSetup;
use crate::node::network::sandbox::{self as network, PodSockets};

/// Sockets that stay with the shim, so that their queues survive the node.
pub(super) struct KeptSockets {
    kept: [OwnedFd; 3],
}

impl KeptSockets {
    /// Listener, UDP, raw: the order of a hand-over.
    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.kept.iter().map(AsFd::as_fd)
    }
}

/// The pod's directory, and the files in it that every user of a container may read; the directory is private all the
/// same.
fn write_files(setup: &PodSetup) -> Result<(), String> {
    let dir = setup.dir.join("etc");
    crate::files::make_private_dir(&dir).map_err(|error| error.to_string())?;
    for (name, text) in &setup.files {
        let path = dir.join(name);
        let mode = PermissionsExt::from_mode(0o644);
        std::fs::write(&path, text)
            .and_then(|()| std::fs::set_permissions(&path, mode))
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(())
}

/// Moves this process into the pod's new namespaces and prepares them.
pub(super) fn enter(setup: &PodSetup) -> Result<Option<KeptSockets>, String> {
    let mut flags = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS;
    if setup.ip.is_some() {
        flags |= CloneFlags::CLONE_NEWNET;
    }
    unshare(flags).map_err(|error| format!("cannot make the pod's namespaces: {error}"))?;
    sethostname(&setup.hostname)
        .map_err(|error| format!("cannot set the host name {:?}: {error}", setup.hostname))?;
    // Mounts made here stay here; what the host unmounts goes here too.
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_SLAVE, None::<&str>)
        .map_err(|error| format!("cannot separate the pod's mounts: {error}"))?;
    write_files(setup)?;
    for volume in &setup.memory_volumes {
        let dir = volume.path.as_path();
        std::fs::create_dir_all(dir)
            .map_err(|error| format!("cannot make {}: {error}", dir.display()))?;
        mount(
            Some("tmpfs"),
            dir,
            Some("tmpfs"),
            MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
            Some(volume.options().as_str()),
        )
        .map_err(|error| format!("cannot mount a volume in memory: {error}"))?;
    }
    let Some(ip) = setup.ip else {
        return Ok(None);
    };
    network::configure(ip).map_err(|error| error.to_string())?;
    let PodSockets { listener, udp, raw, .. } =
        network::open(0).map_err(|error| error.to_string())?;
    Ok(Some(KeptSockets { kept: [listener, udp, raw] }))
}
