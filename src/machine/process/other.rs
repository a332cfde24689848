//! What systems without `/proc` say.

use std::{io, path::PathBuf};

use sysinfo::{Pid, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System};

/// In seconds since 1970.
pub(super) fn started(pid: u32) -> io::Result<Option<u64>> {
    let pid = Pid::from_u32(pid);
    let mut system = System::new().map_err(io::Error::other)?;
    let which = ProcessesToUpdate::Some(&[pid]);
    system.refresh_processes_specifics(which, true, ProcessRefreshKind::nothing());
    let found = system.process(pid);
    let living = found
        .filter(|found| !matches!(found.status(), ProcessStatus::Zombie | ProcessStatus::Dead));
    Ok(living.map(sysinfo::Process::start_time))
}

pub(super) fn boot() -> io::Result<String> {
    Ok(String::new())
}

pub(super) fn namespace() -> io::Result<String> {
    Ok(String::new())
}

pub(super) fn machine() -> Option<String> {
    None
}

pub(super) fn memory(_: u32) -> Option<u64> {
    None
}

pub(super) fn program() -> io::Result<PathBuf> {
    std::env::current_exe()
}
