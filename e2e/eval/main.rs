//! Scores an agent that looks for causes: breaks a system on purpose, one fault at a time, and compares what the agent
//! says with what was done. `scripts/eval` builds what this needs and runs it.
//!
//! A pack of faults is a file; an agent is the platform's own, or a command that reads an alert and prints a report. An
//! instance of its own is made and taken away again.

mod instance;
mod pack;
mod score;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use instance::Instance;
use pack::Pack;
use score::Score;

const USAGE: &str = "usage: scripts/eval sre [-o json] [--pack FILE] [--agent COMMAND] [--quiet MINUTES]

  -o json          a line of JSON for each number, as `scripts/bench` prints them
  --pack FILE      another pack of faults than the shop's
  --agent COMMAND  another agent than the built-in one: gets an alert as JSON, prints a report as JSON
  --quiet MINUTES  how long the healthy system is watched for false alarms (default 10)";

struct Options {
    json: bool,
    pack: Option<PathBuf>,
    agent: Option<String>,
    quiet: Duration,
}

fn options(mut given: impl Iterator<Item = String>) -> Result<Options, String> {
    if given.next().as_deref() != Some("sre") {
        return Err(USAGE.to_owned());
    }
    let quiet = Duration::from_secs(600);
    let mut options = Options { json: false, pack: None, agent: None, quiet };
    while let Some(flag) = given.next() {
        let value = given.next().ok_or_else(|| format!("{flag} needs a value\n\n{USAGE}"))?;
        match flag.as_str() {
            "-o" if value == "json" => options.json = true,
            "-o" => return Err(format!("there is no format {value:?}\n\n{USAGE}")),
            "--pack" => options.pack = Some(value.into()),
            "--agent" => options.agent = Some(value),
            "--quiet" => {
                let minutes: f64 =
                    value.parse().map_err(|_| format!("{value:?} is no number of minutes"))?;
                options.quiet = Duration::try_from_secs_f64(minutes * 60.0)
                    .map_err(|_| format!("{value:?} is no number of minutes"))?;
            }
            other => return Err(format!("there is no {other}\n\n{USAGE}")),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    match options(std::env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stderr)]
fn report(line: &str) {
    eprintln!("{line}");
}

#[allow(clippy::print_stdout)]
fn run(options: &Options) -> Result<(), String> {
    let pack = Pack::read(options.pack.as_deref())?;
    let instance = Instance::up()?;
    instance.curtain(&pack.deploy)?;
    let mut score = Score::default();
    score.false_alarms = instance.watch(&pack, options.quiet)?;
    for case in &pack.cases {
        let verdict = instance.try_case(&pack, case, options.agent.as_deref())?;
        report(&verdict.line(case));
        score.take(verdict);
    }
    for (metric, value, unit) in score.lines() {
        match options.json {
            true => println!(
                "{}",
                serde_json::json!({"bench": "sre", "metric": metric, "value": value, "unit": unit})
            ),
            false => println!("{:<6} {metric:<26} {value:>10} {unit}", "sre"),
        }
    }
    Ok(())
}
