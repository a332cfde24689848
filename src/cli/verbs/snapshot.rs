//! `curtain snapshot`.

use std::path::PathBuf;

use clap::Subcommand;
use curtain_appliance::snapshot::{
    Restore, Restored, Save, Shelf, Snapshot, SnapshotName, Source, list, remove, restore, save,
};
use curtain_machine::child::Signals;
use curtain_provider::{Request, Stop};

use super::up::options;
use crate::{
    context::Context,
    exit::Exit,
    failure::Failure,
    output::{self, table},
    progress,
};

pub(crate) const EXAMPLES: &str = "\
Examples:
  curtain snapshot save before-lab-2       # objects, volumes, identities and telemetry, in one file
  curtain snapshot restore before-lab-2    # and back, within seconds
  curtain snapshot list";

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Save the whole instance in one file; it stands still meanwhile
    #[command(after_help = "\
Examples:
  curtain snapshot save before-lab-2
  curtain snapshot save --to lab.tar.gz    # a file of your own, which `curtain down` leaves alone

The file has every secret of the instance in it, and is for its owner alone.")]
    Save {
        /// Its name [default: the time]
        #[arg(value_name = "SNAPSHOT")]
        snapshot: Option<String>,
        /// The file to write, or the folder to put it into, instead of the instance's own
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
        /// Replace the one that is there
        #[arg(long)]
        replace: bool,
    },
    /// Bring the instance back to what it was; what happened since is lost
    #[command(after_help = "\
Examples:
  curtain snapshot restore before-lab-2
  curtain snapshot restore --from lab.tar.gz

It must be of this instance: the same name, folder, ports and build.")]
    Restore {
        /// Its name
        #[arg(value_name = "SNAPSHOT", required_unless_present = "from", conflicts_with = "from")]
        snapshot: Option<String>,
        /// A file that `save --to` wrote
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
    },
    /// List the snapshots of the instance
    #[command(after_help = "\
Examples:
  curtain snapshot list
  curtain snapshot list -o json")]
    List,
    /// Remove a snapshot
    #[command(after_help = "\
Examples:
  curtain snapshot remove before-lab-2")]
    Remove {
        /// Its name
        #[arg(value_name = "SNAPSHOT")]
        snapshot: String,
    },
}

impl Verb {
    /// Whether it stops the instance, which must go on however the command ends.
    pub(super) fn stops_it(&self) -> bool {
        matches!(self, Self::Save { .. } | Self::Restore { .. })
    }
}

/// Seconds that may pass without `--timeout` before a state is written or unpacked.
const USUAL: u64 = 600;

pub(crate) async fn run(verb: Verb, context: &Context) -> Result<Exit, Failure> {
    let (homes, home) = (&context.homes, &context.home);
    match verb {
        Verb::Save { snapshot, to, replace } => {
            let name = snapshot.as_deref().map(str::parse).transpose()?;
            let to = to.map(std::path::absolute).transpose()?;
            let how = Save { name, to, replace, up: options(Request::default(), context)? };
            let stop = Stop::after(context.timeout(USUAL));
            let progress = progress::shown();
            let work = save(homes, home, &how, &stop, &*progress);
            let saved = to_its_end(work, &stop, context).await;
            drop(progress);
            let saved = saved?;
            if context.is_json() {
                output::json(&saved);
            } else {
                let back = match &how.to {
                    Some(_) => format!("--from {}", saved.file.display()),
                    None => saved.name.clone(),
                };
                output::line(&context.home.name().in_commands(&format!(
                    "Snapshot {} is saved ({}): `curtain snapshot restore {back}` goes back to it.",
                    saved.name,
                    size(saved.size)
                )));
            }
        }
        Verb::Restore { snapshot, from } => {
            let from = match (snapshot, from) {
                (Some(name), None) => Source::Named(name.parse()?),
                (_, Some(file)) => Source::File(std::path::absolute(file)?),
                (None, None) => {
                    return Err(Failure::new(Exit::Usage, "there is no snapshot to restore"));
                }
            };
            let how = Restore { from, up: options(Request::default(), context)? };
            let stop = Stop::after(context.timeout(USUAL));
            let progress = progress::shown();
            let work = restore(homes, home, &how, &stop, &*progress);
            let restored = to_its_end(work, &stop, context).await;
            drop(progress);
            let restored = restored?;
            if context.is_json() {
                output::json(&restored);
            } else {
                output::line(&context.home.name().in_commands(&said(&restored)));
            }
        }
        Verb::List => {
            let shelf = list(homes, home)?;
            for line in &shelf.unusable {
                output::note(line);
            }
            if context.is_json() {
                output::json(&shelf.snapshots);
            } else if shelf.snapshots.is_empty() {
                output::line("There are no snapshots.");
                context.note("`curtain snapshot save` makes one.");
            } else {
                output::line(text(&shelf).trim_end());
            }
        }
        Verb::Remove { snapshot } => {
            let name: SnapshotName = snapshot.parse()?;
            remove(homes, home, &name, context.timeout(super::USUAL)).await?;
            if context.is_json() {
                output::json(&serde_json::json!({ "removed": name }));
            } else {
                output::line(&format!("Snapshot {name} is gone."));
            }
        }
    }
    Ok(Exit::Ok)
}

/// Waits for `work`, which nobody may leave half done: who wants it to end is told that it will.
async fn to_its_end<T>(
    work: impl Future<Output = Result<T, curtain_appliance::Error>>,
    stop: &Stop,
    context: &Context,
) -> Result<T, Failure> {
    let mut signals = Signals::new()?;
    tokio::pin!(work);
    loop {
        tokio::select! {
            outcome = &mut work => return Ok(outcome?),
            () = signals.asked() => {
                stop.ask();
                context.note("ending; the instance goes on in a moment");
            }
        }
    }
}

fn said(restored: &Restored) -> String {
    let Restored { snapshot, running, seconds, endpoints } = restored;
    let Snapshot { instance, name, created, .. } = snapshot;
    let end = match running {
        true => format!("and runs: {}", endpoints.portal),
        false => "and still paused; `curtain resume` starts it".to_owned(),
    };
    format!(
        "Instance {instance} is as it was at {created} (snapshot {name}, {seconds:.1} s), {end}"
    )
}

/// Bytes as people read them.
fn size(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn text(shelf: &Shelf) -> String {
    let mut rows = vec![["SNAPSHOT", "CREATED", "SIZE", "CONTENTS"].map(str::to_owned).to_vec()];
    rows.extend(
        shelf.snapshots.iter().map(|one| {
            vec![one.name.clone(), one.created.to_string(), size(one.size), contents(one)]
        }),
    );
    table(&rows)
}

/// What is in a snapshot, without what it has none of.
fn contents(one: &Snapshot) -> String {
    let held = &one.contents;
    let counts = [
        (one.components.map_or(0, |count| count as u64), "component"),
        (held.pods, "pod"),
        (held.volumes, "volume"),
        (held.images, "image"),
    ];
    let mut parts: Vec<String> = counts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, noun)| match count {
            1 => format!("1 {noun}"),
            _ => format!("{count} {noun}s"),
        })
        .collect();
    parts.push(format!("{} of files", size(held.bytes)));
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use curtain_provider::Contents;

    use super::*;

    fn one() -> Snapshot {
        Snapshot {
            instance: "lab".into(),
            name: "step-1".into(),
            created: "2026-05-04T03:02:01Z".parse().unwrap(),
            file: "/data/lab/snapshots/step-1.tar.gz".into(),
            size: 12_340_000,
            contents: Contents {
                entries: 900,
                bytes: 40_000_000,
                pods: 23,
                volumes: 1,
                ..Contents::default()
            },
            components: Some(11),
        }
    }

    #[test]
    fn a_snapshot_is_one_line_with_what_is_in_it() {
        let bare = Snapshot {
            name: "paused".into(),
            components: None,
            contents: Contents::default(),
            ..one()
        };
        let shelf = Shelf { snapshots: vec![one(), bare], unusable: Vec::new() };
        insta::assert_snapshot!(text(&shelf), @r"
        SNAPSHOT  CREATED               SIZE     CONTENTS
        step-1    2026-05-04T03:02:01Z  12.3 MB  11 components, 23 pods, 1 volume, 40.0 MB of files
        paused    2026-05-04T03:02:01Z  12.3 MB  0.0 MB of files
        ");
    }

    #[test]
    fn what_was_restored_is_said_in_one_line() {
        let address = || "http://localhost:8080".to_owned();
        let mut restored = Restored {
            snapshot: one(),
            running: true,
            seconds: 1.26,
            endpoints: curtain_appliance::Endpoints {
                portal: address(),
                api: address(),
                mcp: address(),
                observer_mcp: address(),
                sre_agent_mcp: address(),
                gateway: address(),
            },
        };
        assert_eq!(
            said(&restored),
            "Instance lab is as it was at 2026-05-04T03:02:01Z (snapshot step-1, 1.3 s), and runs: http://localhost:8080"
        );
        restored.running = false;
        assert!(said(&restored).ends_with("and still paused; `curtain resume` starts it"));
    }
}
