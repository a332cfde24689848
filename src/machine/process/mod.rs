//! Processes: which one is which, what it needs, and becoming another.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::{io, process::ExitCode};

#[cfg(target_os = "linux")]
use linux as here;
#[cfg(not(target_os = "linux"))]
use other as here;
#[cfg(unix)]
use unix as family;
#[cfg(unix)]
pub use unix::user;
#[cfg(windows)]
use windows as family;

/// When the process `pid` started, in whatever this system counts from [`boot`] on; `None` if it has ended. An id is
/// given out again, the two together are not.
///
/// # Errors
/// A process that may be there and cannot be seen.
pub fn started(pid: u32) -> io::Result<Option<u64>> {
    here::started(pid)
}

/// The boot that [`started`] counts from; empty where it counts from a day of the calendar.
///
/// # Errors
/// A system that does not say it.
pub fn boot() -> io::Result<String> {
    here::boot()
}

/// The namespace that this process's ids belong to; empty where there is one only.
///
/// # Errors
/// A system that does not say it.
pub fn namespace() -> io::Result<String> {
    here::namespace()
}

/// The id of this machine; `None` where it has none.
pub fn machine() -> Option<String> {
    here::machine()
}

/// The proportional set size of the process `pid` in bytes (shared pages count by their share); `None` where that
/// cannot be known.
pub fn memory(pid: u32) -> Option<u64> {
    here::memory(pid)
}

/// Ends this process at once, without a chance to tidy up.
pub fn kill_this() {
    family::kill_this();
}

/// Whether [`become_again`] ends everything else that this process does.
pub const REPLACES: bool = cfg!(unix);

/// Runs this program with `args` in the place of this process, also where its file was replaced meanwhile. Where a
/// process cannot be replaced, it is run beside it to its end.
///
/// # Errors
/// A program that cannot be started.
pub fn become_again(args: &[String]) -> io::Result<ExitCode> {
    family::become_again(here::program()?, args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_started_once_and_a_process_that_ended_is_gone() {
        let this = started(std::process::id()).unwrap().unwrap();
        assert_eq!(started(std::process::id()).unwrap(), Some(this));
        assert_eq!(
            (boot().unwrap(), namespace().unwrap()),
            (boot().unwrap(), namespace().unwrap())
        );
        let program = std::env::current_exe().unwrap();
        let mut child = std::process::Command::new(program);
        let mut child = child.arg("--help").stdout(std::process::Stdio::null()).spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        assert_eq!(started(pid).unwrap(), None);
    }
}
