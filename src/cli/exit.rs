//! Exit codes: the one table that help, README and tests are generated from.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Something failed that has no code of its own.
    Failed = 1,
    /// The command line cannot be understood.
    Usage = 2,
    /// There is no such instance, demo, agent or client.
    NotFound = 3,
    /// Something did not happen in time.
    Timeout = 4,
    /// A port the instance keeps belongs to another program.
    PortInUse = 5,
    /// No space is left on the disk.
    DiskFull = 6,
    /// `down` left something behind.
    Leftovers = 7,
    /// Input that cannot be used: a tar, a manifest, a client's configuration.
    BadInput = 8,
    /// Another `curtain` works on this instance.
    Busy = 9,
    /// The instance was made by another build.
    VersionMismatch = 10,
    /// The machine lacks something.
    Unmet = 11,
    /// The instance does not answer.
    Unreachable = 12,
    /// The caller may not do this.
    Denied = 13,
    /// Interrupted from the keyboard or by a signal.
    Interrupted = 130,
}

/// Every code with its meaning, in order.
pub const TABLE: &[(Exit, &str)] = &[
    (Exit::Ok, "done"),
    (Exit::Failed, "something failed that has no code of its own"),
    (Exit::Usage, "the command line cannot be understood"),
    (Exit::NotFound, "no such instance, demo, agent or client"),
    (Exit::Timeout, "something did not happen in time"),
    (Exit::PortInUse, "a port the instance keeps belongs to another program"),
    (Exit::DiskFull, "no space is left on the disk"),
    (Exit::Leftovers, "`down` left something behind"),
    (Exit::BadInput, "input that cannot be used: a tar, a manifest, a client's configuration"),
    (Exit::Busy, "another curtain works on this instance"),
    (Exit::VersionMismatch, "the instance was made by another build"),
    (Exit::Unmet, "the machine lacks something"),
    (Exit::Unreachable, "the instance does not answer"),
    (Exit::Denied, "the caller may not do this"),
    (Exit::Interrupted, "interrupted"),
];

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The table as `--help` shows it.
pub(crate) fn help() -> String {
    let mut text = String::from("Exit codes:\n");
    for (exit, meaning) in TABLE {
        text.push_str(&format!("  {:>3}  {meaning}\n", *exit as u8));
    }
    text
}

/// The table as the README shows it.
#[cfg(test)]
fn markdown() -> String {
    let mut text = String::from("| Code | Meaning |\n|---|---|\n");
    for (exit, meaning) in TABLE {
        text.push_str(&format!("| {} | {meaning} |\n", *exit as u8));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_in_order() {
        assert!(TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn the_readme_has_this_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
        let readme = std::fs::read_to_string(path).unwrap();
        assert!(readme.contains(&markdown()), "README.md lacks the current table:\n{}", markdown());
    }
}
