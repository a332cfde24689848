//! The embedded cluster's processes: `curtain node supervise|run|shim|pause|store|inside`.
//!
//! They are dispatched before anything else of the command line: the supervisor and the shims fork,
//! and a process that forks must not have threads or a runtime.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
    process::ExitCode,
};

use crate::exit::Exit;

/// Runs a process of the embedded cluster if that is what `args` (without the program) ask for.
pub(crate) fn dispatch(args: &[OsString]) -> Option<ExitCode> {
    let [first, verb, rest @ ..] = args else { return None };
    if first != "node" {
        return None;
    }
    let outcome = match verb.to_str() {
        Some("supervise") => config(rest).map(|path| curtain_embedded::supervise(&path)),
        Some("run") => config(rest).zip(control(rest)).map(|(path, fd)| {
            crate::environment::log_as_role();
            curtain_embedded::run_node(&path, fd)
        }),
        Some("shim") => control(rest).map(curtain_embedded::run_shim),
        Some("inside") if rest.is_empty() => Some(curtain_embedded::run_inside()),
        Some("pause") if rest.is_empty() => Some(curtain_embedded::run_pause()),
        Some("store") => config(rest)
            .zip(control(rest))
            .map(|(path, fd)| curtain_embedded::store_image(&path, fd)),
        _ => None,
    };
    Some(match outcome {
        Some(Ok(())) => Exit::Ok.into(),
        Some(Err(error)) => {
            crate::output::error_line(&error.to_string());
            Exit::Failed.into()
        }
        None => {
            crate::output::error_line(
                "usage: curtain node supervise --config FILE | run --config FILE --control-fd N | shim --control-fd N | pause | inside | store --config FILE --control-fd N",
            );
            Exit::Usage.into()
        }
    })
}

fn config(args: &[OsString]) -> Option<PathBuf> {
    value(args, "--config").map(PathBuf::from)
}

/// The descriptor a parent process left open for its child.
fn control(args: &[OsString]) -> Option<i32> {
    value(args, "--control-fd")?.to_str()?.parse().ok()
}

fn value<'a>(args: &'a [OsString], flag: &str) -> Option<&'a OsStr> {
    let at = args.iter().position(|arg| arg == flag)?;
    args.get(at + 1).map(OsString::as_os_str)
}
