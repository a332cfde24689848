//! `curtain component`: what was deployed, listed and removed again.

mod list;

use clap::Subcommand;
use curtain_appliance::component::{Removed, USUAL, Wanted, delete};

use crate::{context::Context, exit::Exit, failure::Failure, output};

pub(crate) const EXAMPLES: &str = "\
Examples:
  curtain component list
  curtain component delete my";

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List components, and how each is in its environments
    #[command(visible_alias = "ls", after_help = list::EXAMPLES)]
    List(list::Args),
    /// Delete a component with its workload, its releases and all that runs of it in every environment
    #[command(after_help = "\
Examples:
  curtain component delete my
  curtain component delete web --project shop")]
    Delete(Delete),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Delete {
    /// The component
    #[arg(value_name = "COMPONENT")]
    component: String,
    /// Where it is
    #[arg(short, long, default_value = "default")]
    namespace: String,
    /// Only if it is in this project [default: whichever it is in]
    #[arg(short, long)]
    project: Option<String>,
}

pub(crate) async fn run(verb: Verb, context: &Context) -> Result<Exit, Failure> {
    match verb {
        Verb::List(args) => context.within(super::USUAL, list::run(&args, context)).await,
        Verb::Delete(args) => remove(args, context).await,
    }
}

async fn remove(args: Delete, context: &Context) -> Result<Exit, Failure> {
    let Delete { component, namespace, project } = args;
    let access = context.access()?;
    let wanted = Wanted { name: &component, namespace: &namespace, project: project.as_deref() };
    let limit = context.inner(USUAL);
    let removed = async { Ok(delete(&access, wanted, limit).await?) };
    let removed = context.within(USUAL, removed).await?;
    if context.is_json() {
        output::json(&removed)
    } else {
        output::line(&told(&removed))
    }
    Ok(Exit::Ok)
}

/// What was removed, in a line.
fn told(removed: &Removed) -> String {
    let Removed { component, project, workloads, releases, environments, .. } = removed;
    let mut text = format!("component {component} of project {project} deleted");
    let counted = |many: usize, what: &str| {
        let end = if many == 1 { "" } else { "s" };
        (many > 0).then(|| format!("{many} {what}{end}"))
    };
    let with = [counted(workloads.len(), "workload"), counted(releases.len(), "release")];
    let with: Vec<String> = with.into_iter().flatten().collect();
    if !with.is_empty() {
        text.push_str(&format!(", with {}", with.join(" and ")));
    }
    match environments.as_slice() {
        [] => text.push_str("; it was deployed nowhere"),
        environments => {
            text.push_str(&format!("; it was deployed in {}", environments.join(", ")));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::Cli;

    #[test]
    fn what_was_removed_is_told() {
        let names = |all: &[&str]| all.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let mut removed = Removed {
            component: "my".to_owned(),
            project: "default".to_owned(),
            namespace: "default".to_owned(),
            workloads: names(&["my"]),
            releases: names(&["my-1", "my-2"]),
            environments: names(&["development", "staging"]),
        };
        let said = "component my of project default deleted, with 1 workload and 2 releases; it was deployed in \
                    development, staging";
        assert_eq!(told(&removed), said);
        (removed.workloads, removed.releases, removed.environments) =
            (names(&[]), names(&[]), names(&[]));
        let said = "component my of project default deleted; it was deployed nowhere";
        assert_eq!(told(&removed), said);
    }

    #[test]
    fn the_instance_and_the_component_are_two_names() {
        let line =
            ["curtain", "component", "delete", "my", "--name", "ci", "-n", "team", "-p", "shop"];
        let cli = Cli::try_parse_from(line).expect("a command");
        assert_eq!(cli.common.name.as_deref(), Some("ci"));
        let bare = Cli::try_parse_from(["curtain", "component", "delete"]).map(drop);
        assert_eq!(bare.expect_err("which one?").exit_code(), Exit::Usage as i32);
    }
}
