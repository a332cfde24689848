//! The sheet of a rehearsal that failed, on its way into the process that takes the instance away and has the last line.

use std::{
    fs,
    io::{self, Write as _},
    path::PathBuf,
};

use curtain_appliance::doctor::Finding;
use curtain_machine::files;
use serde::{Deserialize, Serialize};

use super::super::End;
use crate::context::Context;

/// A sheet whose last lines are still to come, and the code that the command ends with.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Broken {
    pub(super) code: u8,
    pub(super) findings: Vec<Finding>,
}

impl Broken {
    /// Leaves the sheet in the instance's folder, with which it goes, and ends in the process that takes that away and
    /// prints it. Threads may still be at work for the instance here, and that process has none.
    ///
    /// What went wrong is nobody else's to read, as a command line is, and may be longer than one.
    ///
    /// # Errors
    /// A disk that is full, for example.
    pub(super) fn go_on(&self, stage: &Context) -> io::Result<End> {
        let bytes = serde_json::to_vec(self)?;
        files::private().write(true).create_new(true).open(place(stage))?.write_all(&bytes)?;
        let words = ["doctor", "--workshop", "--broken"].map(str::to_owned);
        Ok(End::In(words.into_iter().chain(stage.flags()).collect()))
    }

    /// What [`Self::go_on`] left.
    ///
    /// # Errors
    /// A file that is not there or not whole.
    pub(super) fn left(stage: &Context) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(place(stage))?)?)
    }
}

fn place(stage: &Context) -> PathBuf {
    stage.home.path().join("rehearsal.json")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser as _;
    use curtain_appliance::Homes;
    use curtain_provider::{Check, State};

    use super::{
        super::{super::down, rehearsal::finding},
        *,
    };
    use crate::{args::Cli, context::Unnamed, exit::Exit, output::Format};

    /// What is read of the command line that a process becomes.
    fn read(end: &End) -> Cli {
        let End::In(words) = end else { panic!("{end:?}") };
        let words = ["curtain"].into_iter().chain(words.iter().map(String::as_str));
        Cli::try_parse_from(words).expect("a command line")
    }

    /// A command about an instance in a folder of its own.
    fn stage(flags: &[&str]) -> (tempfile::TempDir, Context) {
        let words = ["curtain", "doctor", "--name", "workshop-x"].iter().chain(flags);
        let cli = Cli::try_parse_from(words).unwrap();
        let mut stage = Context::new(&cli.common, Unnamed::Only).unwrap();
        let dir = tempfile::tempdir().unwrap();
        stage.homes = Homes::new(dir.path());
        stage.home = stage.homes.instance(stage.home.name());
        fs::create_dir(stage.home.path()).unwrap();
        (dir, stage)
    }

    #[test]
    fn a_sheet_goes_on_in_another_process_as_it_was_and_only_there() {
        let (_dir, stage) = stage(&[]);
        let text = format!("a \"fault\"\nin a step: {}", "x".repeat(1 << 20));
        let failed = Check::new("rehearsal", State::Failed, &*text, "do so");
        let findings = vec![finding(Check::new("shop up", State::Ok, "1 s", "")), finding(failed)];
        let sheet = Broken { code: 7, findings };
        let end = sheet.go_on(&stage).unwrap();
        let End::In(words) = &end else { panic!("{end:?}") };
        assert!(words.concat().len() < 100, "everybody on the machine can read them: {words:?}");
        assert_eq!(Broken::left(&stage).unwrap(), sheet);
        // What is there already is not this sheet's to replace.
        assert!(sheet.go_on(&stage).is_err());
        fs::write(place(&stage), "{").unwrap();
        assert!(Broken::left(&stage).is_err());
    }

    #[test]
    fn another_process_has_the_instance_the_format_and_the_time_of_this_one() {
        let cases: [(&[&str], Format, Option<Duration>); 3] = [
            (&[], Format::Text, None),
            (&["-o", "json", "--timeout", "5m"], Format::Json, Some(Duration::from_secs(300))),
            (&["-o", "wide", "--timeout", "90"], Format::Wide, Some(Duration::from_secs(90))),
        ];
        for (flags, format, timeout) in cases {
            let (_dir, stage) = stage(flags);
            let sheet = Broken { code: 7, findings: Vec::new() };
            for end in [sheet.go_on(&stage).unwrap(), down::in_another(&stage, Exit::Timeout)] {
                let common = read(&end).common;
                assert_eq!(common.name.as_deref(), Some("workshop-x"), "{end:?}");
                assert_eq!((common.output, common.timeout), (format, timeout), "{end:?}");
            }
        }
    }
}
