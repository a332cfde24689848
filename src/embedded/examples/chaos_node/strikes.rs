//! What is killed, and when.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use rand::RngExt as _;
use rand::rngs::StdRng;

use crate::Outcome;
use crate::instance::Instance;
use crate::process::{self, Process, Role};

/// In milliseconds after the former one, so that many come while the node is still busy with that.
const PAUSE: std::ops::Range<u64> = 0..400;
const MOST: usize = 4;
/// A killed process ends in less time.
const END: Duration = Duration::from_secs(10);

/// `kill -9`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strike {
    after: u64,
    target: Target,
}

#[derive(Clone, Copy, Debug)]
enum Target {
    /// A process of this role, the one with this number if they are counted again and again.
    One(Role, usize),
    AllShims,
    AllContainers,
    /// With everything it started; it is started again.
    Supervisor,
}

impl Strike {
    pub(crate) fn some(dice: &mut StdRng) -> Vec<Self> {
        let count = dice.random_range(1..=MOST);
        (0..count).map(|_| Self { after: dice.random_range(PAUSE), target: target(dice) }).collect()
    }

    pub(crate) async fn strike(self, instance: &Instance) -> Outcome<()> {
        tokio::time::sleep(Duration::from_millis(self.after)).await;
        let mut all = process::all(&instance.config.path());
        all.sort();
        let of = |role| all.iter().filter(move |one| one.role == role);
        match self.target {
            Target::One(role, number) => {
                let count = of(role).count();
                // None is there while it is being started again.
                if let Some(one) = number.checked_rem(count).and_then(|at| of(role).nth(at)) {
                    end(one);
                }
            }
            Target::AllShims => of(Role::Shim).for_each(end),
            Target::AllContainers => of(Role::Container).for_each(end),
            Target::Supervisor => {
                for supervisor in of(Role::Supervisor) {
                    end(supervisor);
                    gone(instance, supervisor).await?;
                }
                instance.start()?;
            }
        }
        Ok(())
    }
}

fn target(dice: &mut StdRng) -> Target {
    let number = dice.random_range(0..1000);
    match dice.random_range(0..20) {
        0..7 => Target::One(Role::Node, number),
        7..12 => Target::One(Role::Shim, number),
        12..17 => Target::One(Role::Container, number),
        17 => Target::AllShims,
        18 => Target::AllContainers,
        _ => Target::Supervisor,
    }
}

fn end(process: &Process) {
    // It may have ended since it was found.
    let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
}

/// Until a supervisor, which is this program's own child, has ended.
async fn gone(instance: &Instance, supervisor: &Process) -> Outcome<()> {
    let begin = Instant::now();
    while process::all(&instance.config.path()).contains(supervisor) {
        if begin.elapsed() > END {
            return Err(format!("{supervisor:?} was killed and is there after {END:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let _ = waitpid(Pid::from_raw(supervisor.pid), None);
    Ok(())
}
