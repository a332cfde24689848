//! The command line as clap sees it.

use std::time::Duration;

use clap::{Args, Parser, Subcommand};

#[cfg(target_os = "linux")]
use crate::roles;
use crate::{environment, exit, output::Format, verbs};

/// A complete AI-native developer platform on this machine, and off it again without a trace.
///
/// Compatible with OpenChoreo, independent of it.
#[derive(Debug, Parser)]
#[command(
    name = "curtain",
    version,
    disable_help_subcommand = true,
    after_help = after_help(),
    max_term_width = 110,
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Flags of every verb.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Which instance [default: the only one, else default; of `run` its own]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// How to print the result
    #[arg(short, long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: Format,
    /// How long the command may take, for example 90s or 5m
    #[arg(long, global = true, value_name = "TIME", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
}

/// A verb for people, or a part that a container runs.
#[derive(Debug, Subcommand)]
#[cfg_attr(
    target_os = "linux",
    expect(clippy::large_enum_variant, reason = "there is one, made once")
)]
pub(crate) enum Verb {
    #[command(flatten)]
    User(verbs::Verb),
    #[cfg(target_os = "linux")]
    #[command(flatten)]
    Role(roles::Role),
}

fn after_help() -> String {
    format!("{}\n{}", environment::help(), exit::help())
}

/// `90`, `90s`, `5m` or `1h`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) =
        text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 =
        number.parse().map_err(|_| format!("{text:?} does not begin with a number"))?;
    let seconds = match unit {
        "" | "s" => Some(number),
        "m" => number.checked_mul(60),
        "h" => number.checked_mul(3_600),
        _ => return Err(format!("{unit:?} is not s, m or h")),
    };
    match seconds {
        Some(0) => Err("nothing happens in no time".to_owned()),
        Some(seconds) => Ok(Duration::from_secs(seconds)),
        None => Err(format!("{text:?} is too long")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_for_people_has_an_example() {
        fn walk(command: &clap::Command, path: &str, lacking: &mut Vec<String>) {
            for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
                let path = format!("{path} {}", sub.get_name());
                walk(sub, &path, lacking);
                let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
                if !help.contains("Example")
                    || !help.contains(&format!("curtain{}", &path["curtain".len()..]))
                {
                    lacking.push(path);
                }
            }
        }
        let mut lacking = Vec::new();
        walk(&Cli::command(), "curtain", &mut lacking);
        assert!(lacking.is_empty(), "without an example: {lacking:?}");
    }

    #[test]
    fn the_help_of_commands_for_ci_is_as_it_was_reviewed() {
        // As wide as without a terminal, wherever the test runs.
        let mut cli = Cli::command().term_width(100);
        cli.build();
        for verb in ["run", "pause", "resume", "snapshot", "support-bundle"] {
            let help = cli.find_subcommand_mut(verb).unwrap().render_help().to_string();
            insta::assert_snapshot!(format!("help_of_{verb}"), help);
        }
    }

    #[test]
    fn durations_are_read() {
        assert_eq!(duration("90").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("5m").unwrap(), Duration::from_secs(300));
        for bad in ["", "s", "5d", "0", "99999999999999999999", "999999999999999999h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
