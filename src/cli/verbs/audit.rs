//! `curtain audit`: who did what, and who let them.

use std::time::Duration;

use curtain_appliance::access::{Access, encode};
use http::Method;
use serde_json::Value;

use crate::{
    args,
    context::Context,
    exit::Exit,
    failure::Failure,
    fit::{Cut, fit},
    output::{self, table},
};

pub(crate) const EXAMPLES: &str = "\
Examples:
  curtain audit --by claude-1 --since 1h
  curtain audit --denied -o wide
  curtain audit --changes -o json";

/// What of each column goes where the terminal is narrow: of a place, the end tells most.
const CUTS: [Cut; 7] = [Cut::Never, Cut::End, Cut::Never, Cut::End, Cut::End, Cut::Start, Cut::End];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only what this user or agent did
    #[arg(long = "by", value_name = "WHO")]
    actor: Option<String>,
    /// Only what is not older, for example 15m or 8h
    #[arg(long, value_name = "TIME", value_parser = args::duration)]
    since: Option<Duration>,
    /// Only what was not allowed
    #[arg(long)]
    denied: bool,
    /// Only changes, nothing that was only looked at
    #[arg(long)]
    changes: bool,
    /// Only this action, for example releasebinding:update or releasebinding:*
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Only in this namespace
    #[arg(long)]
    namespace: Option<String>,
    /// How many of the newest
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let access = context.access()?;
    let mut query = vec![format!("limit={}", args.limit)];
    let since = args.since.map(|since| format!("{}s", since.as_secs()));
    let denied = args.denied.then(|| "denied".to_owned());
    let changes = args.changes.then(|| "true".to_owned());
    for (name, value) in [
        ("actor", who(&access, args.actor.as_deref()).await?),
        ("since", since),
        ("result", denied),
        ("changes", changes),
        ("action", args.action.clone()),
        ("namespace", args.namespace.clone()),
    ] {
        query.extend(value.map(|value| format!("{name}={}", encode(&value))));
    }
    let path = format!("/audit?{}", query.join("&"));
    let answer = access.api("read the audit records", Method::GET, &path, None).await?;
    if context.is_json() {
        output::json(&answer["items"]);
        return Ok(Exit::Ok);
    }
    let records = answer["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    if records.is_empty() {
        output::line("There are no records of that.");
        return Ok(Exit::Ok);
    }
    let mut rows = vec![
        ["TIME", "WHO", "RESULT", "ACTION", "OBJECT", "WHERE", "ALLOWED BY"]
            .map(str::to_owned)
            .to_vec(),
    ];
    // The newest is at the bottom, where a terminal ends.
    rows.extend(records.iter().rev().map(row));
    let cut = context.columns().is_some_and(|width| fit(&mut rows, &CUTS, width));
    output::line(table(&rows).trim_end());
    if cut {
        context.note("Cut to the terminal: -o wide shows all of it, -o json more.");
    }
    if !answer["pagination"]["nextCursor"].is_null() {
        context.note("There are older ones: --limit shows more, --since and --by narrow it.");
    }
    Ok(Exit::Ok)
}

/// The whole name of a person who is known by a short one. Of somebody who is gone there must be records.
async fn who(access: &Access, name: Option<&str>) -> Result<Option<String>, Failure> {
    let Some(name) = name else { return Ok(None) };
    let identities = access.identities().await?;
    let unknown = match curtain_appliance::find(&identities, name) {
        Ok(identity) => return Ok(Some(identity.name.clone())),
        Err(unknown) => unknown,
    };
    let path = format!("/audit?limit=1&actor={}", encode(name));
    let answer = access.api("read the audit records", Method::GET, &path, None).await?;
    match answer["items"].as_array().is_some_and(|records| !records.is_empty()) {
        true => Ok(Some(name.to_owned())),
        false => Err(unknown.into()),
    }
}

fn row(record: &Value) -> Vec<String> {
    let text = |member: &str| record[member].as_str().unwrap_or_default();
    let or = |value: &str, other: &str| match value {
        "" => other.to_owned(),
        value => value.to_owned(),
    };
    let environment = text("environment").rsplit('/').next().unwrap_or_default();
    let place = match environment {
        "" => text("at").trim_start_matches("ns/").to_owned(),
        environment => format!("{} {environment}", text("at").trim_start_matches("ns/")),
    };
    let time = text("time");
    vec![
        time.get(..19).unwrap_or(time).replace('T', " "),
        text("actor").to_owned(),
        text("result").to_owned(),
        or(text("action"), text("call")),
        or(text("note"), text("object")),
        place,
        or(text("grantedBy"), text("binding")),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_is_one_line() {
        let record = json!({
            "id": 7, "time": "2026-01-02T03:04:05.678Z", "actor": "claude-1", "actorKind": "agent",
            "via": "mcp", "call": "update_release_binding", "action": "releasebinding:update",
            "object": "ReleaseBinding/web-development", "at": "ns/default/project/shop/component/web",
            "environment": "default/development", "result": "allowed",
            "binding": "AuthzRoleBinding default/x", "grantedBy": "admin",
        });
        let line = row(&record).join(" | ");
        assert_eq!(
            line,
            "2026-01-02 03:04:05 | claude-1 | allowed | releasebinding:update | ReleaseBinding/web-development | \
             default/project/shop/component/web development | admin"
        );
        let mut rows = vec![row(&record)];
        assert!(fit(&mut rows, &CUTS, 120));
        assert!(table(&rows).trim_end().chars().count() <= 120, "{rows:?}");
        assert!(rows[0][0].ends_with("03:04:05") && rows[0][5].ends_with("web development"));
        let list = json!({"time": "2026-01-02T03:04:05Z", "actor": "claude-1", "call": "GET /api/v1/agents"});
        assert_eq!(row(&list)[3], "GET /api/v1/agents");
    }
}
