//! `curtain component list`.

use curtain_appliance::components::{Component, Deployed, list};

use crate::{
    context::Context,
    exit::Exit,
    failure::Failure,
    fit::{Cut, fit},
    output::{self, table},
};

pub(crate) const EXAMPLES: &str = "\
Examples:
  curtain component list
  curtain component list --project shop -o json";

/// What of each column goes where the terminal is narrow.
const CUTS: [Cut; 7] =
    [Cut::Never, Cut::End, Cut::End, Cut::Never, Cut::End, Cut::Never, Cut::Never];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only of this project
    #[arg(short, long)]
    project: Option<String>,
    /// Where they are
    #[arg(short, long, default_value = "default")]
    namespace: String,
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let Args { project, namespace } = args;
    let all = list(&context.access()?, namespace, project.as_deref()).await?;
    if context.is_json() {
        output::json(&all);
        return Ok(Exit::Ok);
    }
    if all.is_empty() {
        let place = match project {
            Some(project) => format!("project {project} of namespace {namespace}"),
            None => format!("namespace {namespace}"),
        };
        output::line(&format!("There are no components in {place}."));
        context
            .note("`curtain deploy --image my:dev` makes one, `curtain demo deploy shop` several.");
        return Ok(Exit::Ok);
    }
    let mut rows = rows(&all);
    let cut = context.columns().is_some_and(|width| fit(&mut rows, &CUTS, width));
    output::line(table(&rows).trim_end());
    if cut {
        context.note("Cut to the terminal: -o wide shows all of it.");
    }
    Ok(Exit::Ok)
}

/// A line for each component in each environment; what is the same as above is left out.
fn rows(all: &[Component]) -> Vec<Vec<String>> {
    let head = ["COMPONENT", "PROJECT", "TYPE", "ENVIRONMENT", "RELEASE", "ROLLOUT", "URL"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for Component { name, project, kind, environments, .. } in all {
        let mut first = [name, project, kind].map(Clone::clone).to_vec();
        for Deployed { environment, release, state, urls } in environments {
            let mut row = std::mem::replace(&mut first, vec![String::new(); 3]);
            row.extend([environment, release, state].map(Clone::clone));
            row.push(urls.join(" "));
            rows.push(row);
        }
        if environments.is_empty() {
            first.extend(["-", "-", "-", ""].map(str::to_owned));
            rows.push(first);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_environment_of_a_component_is_a_line() {
        let place = |environment: &str, state: &str, urls: &[&str]| Deployed {
            environment: environment.into(),
            release: "web-1".into(),
            state: state.into(),
            urls: urls.iter().map(|&url| url.to_owned()).collect(),
        };
        let component = |name: &str, environments| Component {
            name: name.into(),
            project: "shop".into(),
            namespace: "default".into(),
            kind: "deployment/service".into(),
            environments,
        };
        let url = "http://localhost:19080/@development-default/web/";
        let places =
            vec![place("development", "Ready", &[url]), place("staging", "ResourcesDegraded", &[])];
        let all = [component("new", vec![]), component("web", places)];
        insta::assert_snapshot!(table(&rows(&all)), @r"
        COMPONENT  PROJECT  TYPE                ENVIRONMENT  RELEASE  ROLLOUT            URL
        new        shop     deployment/service  -            -        -
        web        shop     deployment/service  development  web-1    Ready              http://localhost:19080/@development-default/web/
                                                staging      web-1    ResourcesDegraded
        ");
    }
}
