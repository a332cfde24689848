//! Errors as people and scripts see them: what was tried, what happened, what to do next, and an exit code.

use std::fmt;

use curtain_appliance::InstanceName;

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

    /// The same, with the instance in the commands that it gives.
    pub(crate) fn about(self, instance: &InstanceName) -> Self {
        Self {
            message: instance.in_commands(&self.message),
            next: self.next.map(|next| instance.in_commands(&next)),
            ..self
        }
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
            Kind::Exists => Exit::Exists,
            Kind::PortInUse => Exit::PortInUse,
            Kind::DiskFull => Exit::DiskFull,
            Kind::BadInput => Exit::BadInput,
            Kind::Timeout => Exit::Timeout,
            Kind::Unmet => Exit::Unmet,
            Kind::Busy => Exit::Busy,
            Kind::VersionMismatch => Exit::VersionMismatch,
            Kind::Unreachable => Exit::Unreachable,
            Kind::Denied => Exit::Denied,
            Kind::Interrupted => Exit::Interrupted,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_of_every_error_are_about_the_instance_that_failed() {
        use curtain_appliance::Error;
        use curtain_provider::Error as Provider;
        let text = || "x".to_owned();
        let waited = std::time::Duration::from_secs(1);
        let errors = [
            Error::VersionMismatch {
                instance: "ci".to_owned(),
                there: text(),
                here: text(),
                binary: "/b".into(),
            },
            Error::NotFound { instance: "ci".to_owned(), others: Vec::new() },
            Error::Timeout { what: text(), waited },
            Error::Unreachable { what: text(), why: text() },
            Provider::PortInUse { port: 1, door: text() }.into(),
            Provider::StillThere { waited }.into(),
        ];
        for error in errors {
            let failure = Failure::from(error).next("see `curtain doctor`");
            let text = failure.about(&"ci".parse().unwrap()).to_string();
            let commands: Vec<_> = text.split("`curtain ").skip(1).collect();
            assert!(commands.len() > 1, "{text}");
            for command in commands {
                assert!(command.split('`').next().unwrap().ends_with(" --name ci"), "{text}");
            }
        }
    }
}
