//! The command has a process group of its own. A signal to this process goes to that group once, whoever sent it; from
//! a terminal's foreground it goes to whoever has the terminal, which is this process until the command asks for it.

use std::{
    io,
    os::unix::process::CommandExt,
    process::Command,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::{
        signal::{Signal, killpg},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};
use tokio::signal::unix::{self, SignalKind};

use super::terminal::Terminal;

/// How long the kernel may take to end what it was told to kill.
const KILLED: Duration = Duration::from_secs(5);

/// Signals that ask this process to end, from the moment they are listened to.
#[derive(Debug)]
pub struct Signals([(Signal, unix::Signal); 4]);

impl Signals {
    /// Listens from now on. Call it inside a runtime.
    ///
    /// # Errors
    /// A system that does not let it.
    pub fn new() -> io::Result<Self> {
        let listen = |signal, kind| io::Result::Ok((signal, unix::signal(kind)?));
        Ok(Self([
            listen(Signal::SIGINT, SignalKind::interrupt())?,
            listen(Signal::SIGTERM, SignalKind::terminate())?,
            listen(Signal::SIGHUP, SignalKind::hangup())?,
            listen(Signal::SIGQUIT, SignalKind::quit())?,
        ]))
    }

    /// Waits for the next one.
    pub async fn asked(&mut self) {
        self.next().await;
    }

    /// The next one.
    async fn next(&mut self) -> Signal {
        let [one, two, three, four] = &mut self.0;
        tokio::select! {
            _ = one.1.recv() => one.0,
            _ = two.1.recv() => two.0,
            _ = three.1.recv() => three.0,
            _ = four.1.recv() => four.0,
        }
    }
}

/// Runs `command` to its end and returns its code: 128 and the signal's number if a signal ended it. From the first
/// signal on it has `grace`, and then it is killed.
///
/// # Errors
/// A command that cannot be started.
pub async fn run(mut command: Command, grace: Duration, signals: &mut Signals) -> io::Result<u8> {
    let child = command.process_group(0).spawn()?;
    let group = Pid::from_raw(child.id().cast_signed());
    let mut ended = tokio::task::spawn_blocking(move || wait(group));
    let mut deadline = Deadline::None;
    loop {
        let late = async {
            match deadline.at() {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            code = &mut ended => return code.map_err(io::Error::other)?,
            signal = signals.next() => {
                pass(group, signal);
                if matches!(deadline, Deadline::None) {
                    deadline = Deadline::Kill(Instant::now() + grace);
                }
            }
            () = late => match deadline {
                Deadline::Kill(_) => {
                    let _ = killpg(group, Signal::SIGKILL);
                    deadline = Deadline::Leave(Instant::now() + KILLED);
                }
                // Held up in the kernel: it will be gone once that lets go of it.
                Deadline::Leave(_) | Deadline::None => return Ok(code_of(Signal::SIGKILL)),
            },
        }
    }
}

/// What happens next to a command that was told to end.
enum Deadline {
    None,
    Kill(Instant),
    Leave(Instant),
}

impl Deadline {
    fn at(&self) -> Option<Instant> {
        match self {
            Self::None => None,
            Self::Kill(at) | Self::Leave(at) => Some(*at),
        }
    }
}

/// Passes a signal to everything of the command. What ended meanwhile needs none, and what was stopped must go on to
/// take it.
fn pass(group: Pid, signal: Signal) {
    let _ = killpg(group, signal);
    let _ = killpg(group, Signal::SIGCONT);
}

/// Waits for the end of the command, and lends it the terminal when it asks.
fn wait(child: Pid) -> io::Result<u8> {
    let mut terminal = Terminal::of_this_process();
    loop {
        match waitpid(child, Some(WaitPidFlag::WUNTRACED)) {
            Ok(WaitStatus::Exited(_, code)) => return Ok(u8::try_from(code).unwrap_or(u8::MAX)),
            Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(code_of(signal)),
            Ok(WaitStatus::Stopped(_, why)) => {
                if let Some(terminal) = &mut terminal {
                    terminal.stopped(child, why);
                }
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn code_of(signal: Signal) -> u8 {
    u8::try_from(128 + signal as i32).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::raise;

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    const GRACE: Duration = Duration::from_secs(30);

    /// How a script ends that is interrupted as soon as it has made the file `ready`.
    async fn interrupted(
        script: &str,
        ready: &std::path::Path,
        grace: Duration,
        signals: &mut Signals,
    ) -> u8 {
        let interrupt = async {
            while !ready.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            raise(Signal::SIGINT).unwrap();
            std::future::pending::<()>().await;
        };
        let code = tokio::select! {
            code = run(shell(script), grace, signals) => code.unwrap(),
            () = interrupt => unreachable!("it never ends"),
        };
        std::fs::remove_file(ready).unwrap();
        code
    }

    #[test]
    fn signals_are_passed_on_and_the_code_is_the_commands() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut signals = Signals::new().unwrap();
            assert_eq!(run(shell("exit 7"), GRACE, &mut signals).await.unwrap(), 7);
            assert_eq!(run(shell("kill -TERM $$"), GRACE, &mut signals).await.unwrap(), 143);
            assert!(run(Command::new("/none"), GRACE, &mut signals).await.is_err());

            // A group of its own: the sleep in it is interrupted, too.
            let dir = std::env::temp_dir().join(format!("curtain-child-{}", std::process::id()));
            let ready = dir.display();
            // It says itself that it is there: before that a shell may take the signal for it.
            let sleep = format!("sh -c ': > {ready}; exec sleep 60'");
            let script = format!("trap 'exit 9' INT; {sleep}; exit 1");
            assert_eq!(interrupted(&script, &dir, GRACE, &mut signals).await, 9);

            // One that does not listen is killed when its time is over.
            let script = format!("trap '' INT; : > {ready}; sleep 60 & wait; wait; sleep 60");
            assert_eq!(
                interrupted(&script, &dir, Duration::from_millis(50), &mut signals).await,
                137
            );
        });
        runtime.shutdown_timeout(Duration::from_secs(1));
    }
}
