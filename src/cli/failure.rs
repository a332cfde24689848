//! Errors as people and scripts see them: what was tried, what happened, what to do next, and an exit code.

use std::fmt;

use crate::exit::Exit;

/// A failed command.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The code the process ends with.
    pub(crate) exit: Exit,
    message: String,
    next: Option<String>,
}

impl Failure {
    /// A failure in the command line's own words.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), next: None }
    }

    /// The same, with what to do next on a line of its own.
    pub(crate) fn next(self, next: impl Into<String>) -> Self {
        Self { next: Some(next.into()), ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.next {
            Some(next) => write!(f, "\n  → {next}"),
            None => Ok(()),
        }
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
        let failure = Self::new(exit, error.to_string());
        match exit {
            Exit::DiskFull => failure.next("free some space and try again"),
            _ => failure,
        }
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
