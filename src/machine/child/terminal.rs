//! The terminal, shared with a command in a process group of its own as a shell shares it with its jobs.

use std::fs::File;

use nix::{
    sys::signal::{SigSet, Signal, kill, killpg},
    unistd::{Pid, getpgrp, tcgetpgrp, tcsetpgrp},
};

/// The terminal that this process was started from.
pub(super) struct Terminal {
    file: File,
    lent: bool,
}

impl Terminal {
    /// `None` where there is none, as in most of CI.
    pub(super) fn of_this_process() -> Option<Self> {
        let file = File::options().read(true).write(true).open("/dev/tty").ok()?;
        Some(Self { file, lent: false })
    }

    /// The command, which leads a group, was stopped because of `why`.
    pub(super) fn stopped(&mut self, command: Pid, why: Signal) {
        let asks = matches!(why, Signal::SIGTTIN | Signal::SIGTTOU);
        let back = self.lent;
        self.take();
        if !(asks && self.is_here()) {
            // Somebody stopped it, or there is nobody at the terminal to answer it: this process stops as well, so that
            // the shell has its turn, and goes on from here when the shell says so.
            let _ = kill(Pid::this(), Signal::SIGSTOP);
        }
        if (asks || back) && self.is_here() {
            self.lent = self.give(command);
        }
        let _ = killpg(command, Signal::SIGCONT);
    }

    /// Whether this process is in the foreground.
    fn is_here(&self) -> bool {
        tcgetpgrp(&self.file) == Ok(getpgrp())
    }

    fn take(&mut self) {
        if std::mem::take(&mut self.lent) {
            self.give(getpgrp());
        }
    }

    /// Brings `group` to the foreground. From the background that stops whoever does it, unless it does not listen.
    fn give(&self, group: Pid) -> bool {
        let mut quiet = SigSet::empty();
        quiet.add(Signal::SIGTTOU);
        let before = quiet.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK);
        let given = tcsetpgrp(&self.file, group).is_ok();
        if let Ok(before) = before {
            let _ = before.thread_set_mask();
        }
        given
    }
}

impl Drop for Terminal {
    /// Whatever comes after the command is this process's to say.
    fn drop(&mut self) {
        self.take();
    }
}
