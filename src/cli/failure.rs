//! Errors as people and scripts see them: one line of what happened, what to do, and an exit code.

use std::fmt;

use crate::exit::Exit;

/// A failed command.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The code the process ends with.
    pub(crate) exit: Exit,
    message: String,
}

impl Failure {
    /// A failure in the command line's own words.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<curtain_appliance::Error> for Failure {
    fn from(error: curtain_appliance::Error) -> Self {
        use curtain_appliance::Kind;
        let exit = match error.kind() {
            Kind::NotFound => Exit::NotFound,
            Kind::PortInUse => Exit::PortInUse,
            Kind::DiskFull => Exit::DiskFull,
            Kind::BadInput => Exit::BadInput,
            Kind::Timeout => Exit::Timeout,
            Kind::Unmet => Exit::Unmet,
            Kind::Busy => Exit::Busy,
            Kind::VersionMismatch => Exit::VersionMismatch,
            Kind::Unreachable => Exit::Unreachable,
            Kind::Denied => Exit::Denied,
            Kind::Other => Exit::Failed,
        };
        let hint = match exit {
            Exit::DiskFull => {
                "; free some space, then run `curtain up` again, or `curtain down` to undo what was done"
            }
            _ => "",
        };
        Self::new(exit, format!("{error}{hint}"))
    }
}

impl From<curtain_provider::Error> for Failure {
    fn from(error: curtain_provider::Error) -> Self {
        curtain_appliance::Error::from(error).into()
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        let exit = match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Exit::DiskFull,
            _ => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}
