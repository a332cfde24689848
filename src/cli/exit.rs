//! Exit codes: the one table that help, README and tests are made from.

use std::process::ExitCode;

macro_rules! exits {
    ($($name:ident = $code:literal $meaning:literal,)*) => {
        /// How a command ended.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Exit {
            $(#[doc = $meaning] $name = $code,)*
        }

        /// Every code with its meaning, in order.
        pub const TABLE: &[(Exit, &str)] = &[$((Exit::$name, $meaning),)*];
    };
}

exits! {
    Ok = 0 "done",
    Failed = 1 "something failed that has no code of its own",
    Usage = 2 "the command line cannot be understood",
    NotFound = 3 "no such instance, snapshot, demo, service, fault, user, agent, client, namespace, project, component, environment or image",
    Timeout = 4 "something did not happen in time",
    PortInUse = 5 "a port the instance keeps belongs to another program",
    DiskFull = 6 "no space is left on the disk",
    Leftovers = 7 "`down` left something behind",
    BadInput = 8 "input that cannot be used: a tar, a snapshot, a manifest, a client's configuration",
    Busy = 9 "another curtain works on this instance",
    VersionMismatch = 10 "the instance was made by another build",
    Unmet = 11 "the machine lacks something",
    Unreachable = 12 "the instance does not answer",
    Denied = 13 "the caller may not do this",
    Exists = 14 "there is an instance or a snapshot of this name already",
    NotStarted = 127 "the command given to `run` cannot be started",
    Interrupted = 130 "interrupted",
}

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
