//! Signals to oneself, and `exec`.

use std::{
    io,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, ExitCode},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, geteuid},
};

/// The id of the user whose rights this process has.
pub fn user() -> u32 {
    geteuid().as_raw()
}

pub(super) fn kill_this() {
    // This cannot fail on oneself.
    let _ = kill(Pid::this(), Signal::SIGKILL);
}

pub(super) fn become_again(program: PathBuf, args: &[String]) -> io::Result<ExitCode> {
    Err(Command::new(program).args(args).exec())
}
