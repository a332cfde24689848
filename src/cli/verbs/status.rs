//! `curtain status`.

use curtain_appliance::{Status, memory, status};
use serde::Serialize;

use crate::{
    context::Context,
    exit::Exit,
    failure::Failure,
    output::{self, Style, table},
};

pub(crate) const EXAMPLES: &str = "\
Examples:
  curtain status              # the planes and their deployments
  curtain status --memory     # and what every process needs
  curtain status -o json      # for a script";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Show the memory of every process too (proportional set size)
    #[arg(long)]
    memory: bool,
}

#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    status: Status,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    memory: Vec<memory::Process>,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let status = status(&context.homes, &context.home).await?;
    let memory = if args.memory { memory::of(&context.home).await } else { Vec::new() };
    let (ready, paused) = (status.facts.ready, status.paused.is_some());
    if context.is_json() {
        output::json(&Answer { status, memory });
    } else {
        output::line(text(&status, &memory, context.style).trim_end());
    }
    if ready {
        return Ok(Exit::Ok);
    }
    context.note(match paused {
        true => "paused; `curtain resume` starts it again, as it was",
        false => "not ready; `curtain up` repairs, and says what it waits for",
    });
    Ok(Exit::Unreachable)
}

fn text(status: &Status, memory: &[memory::Process], style: Style) -> String {
    let mut rows = vec![["PLANE", "READY", "DEPLOYMENT", "PODS"].map(str::to_owned).to_vec()];
    for plane in &status.planes {
        let ready = if plane.ready { "yes" } else { "no" };
        let mut first = vec![plane.name.clone(), ready.to_owned()];
        for deployment in &plane.deployments {
            let mut row = std::mem::replace(&mut first, vec![String::new(), String::new()]);
            row.push(format!("{}/{}", deployment.namespace, deployment.name));
            row.push(format!("{}/{}", deployment.available, deployment.desired));
            rows.push(row);
        }
        if plane.deployments.is_empty() {
            first.push(plane.note.clone().unwrap_or_default());
            rows.push(first);
        }
    }
    let endpoints = &status.facts.endpoints;
    let mut text = style.bold(&format!("{} on {}", status.facts.instance, status.facts.provider));
    if let Some(since) = status.paused {
        text.push_str(&format!(", paused since {since}"));
    }
    if let Some(at) = status.facts.expires {
        text.push_str(&format!(", expires {at}"));
    }
    text.push('\n');
    text.push_str(&table(&rows));
    text.push_str(&format!(
        "\nportal {}  mcp {}  apps {}\n",
        endpoints.portal, endpoints.mcp, endpoints.gateway
    ));
    if !memory.is_empty() {
        let megabytes = |bytes: u64| format!("{:.1}", bytes as f64 / 1e6);
        let mut rows = vec![["PROCESS", "PID", "PSS MB"].map(str::to_owned).to_vec()];
        rows.extend(
            memory
                .iter()
                .map(|one| vec![one.role.clone(), one.pid.to_string(), megabytes(one.pss)]),
        );
        rows.push(vec![
            "all".to_owned(),
            String::new(),
            megabytes(memory.iter().map(|one| one.pss).sum()),
        ]);
        text.push('\n');
        text.push_str(&table(&rows));
    }
    text
}
