//! Having the machine to oneself: `e2e/apart` and the turns that tests of one program take.

use std::{
    env,
    os::unix::process::CommandExt as _,
    path::Path,
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Set by `e2e/apart` for what it runs.
const MARK: &str = "CURTAIN_E2E_APART";

static TURN: Mutex<()> = Mutex::new(());

/// Makes sure that this test program runs in namespaces of its own, and waits until no other test of it has an
/// instance. Where the program runs outside, it begins anew inside: tests that ran before run again.
///
/// A scan of the machine then finds what this test's instance did, whatever else the machine is busy with.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    // A test that failed took its instance down all the same.
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    if env::var_os(MARK).is_none_or(|mark| mark != "yes") {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("apart");
        let program = env::current_exe().expect("the path of this test");
        let error = Command::new(&script).arg(program).args(env::args_os().skip(1)).exec();
        panic!("cannot run {}: {error}", script.display());
    }
    turn
}
