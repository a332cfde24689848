//! What systems without `/proc` say.

use std::{io, path::PathBuf};

use sysinfo::{Pid, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System};

/// In seconds since 1970.
pub(super) fn started(pid: u32) -> io::Result<Option<u64>> {
    let (pid, this) = (Pid::from_u32(pid), Pid::from_u32(std::process::id()));
    let mut system = System::new().map_err(io::Error::other)?;
    let which = ProcessesToUpdate::Some(&[pid, this]);
    system.refresh_processes_specifics(which, true, ProcessRefreshKind::nothing());
    if system.process(this).is_none() {
        return Err(io::Error::other("the system shows no processes"));
    }
    match system.process(pid) {
        None => Ok(None),
        Some(found) if matches!(found.status(), ProcessStatus::Zombie | ProcessStatus::Dead) => {
            Ok(None)
        }
        // This is what stands for a time that was not to be had.
        Some(found) if found.start_time() == 0 => {
            Err(io::Error::other("the system does not show when it started"))
        }
        Some(found) => Ok(Some(found.start_time())),
    }
}

pub(super) fn boot() -> io::Result<String> {
    Ok(String::new())
}

pub(super) fn namespace() -> io::Result<String> {
    Ok(String::new())
}

/// Its name: these systems show nothing else to everybody.
pub(super) fn machine() -> Option<String> {
    System::host_name().ok()
}

pub(super) fn memory(_: u32) -> Option<u64> {
    None
}

pub(super) fn program() -> io::Result<PathBuf> {
    std::env::current_exe()
}
