//! `curtain audit`: who did what, and who let them.

mod told;

use std::time::Duration;

use curtain_appliance::access::{Access, encode};
use curtain_control::audit::Record;
use http::Method;
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    args,
    context::Context,
    exit::Exit,
    failure::Failure,
    fit::fit,
    output::{self, table},
};
use told::{CUTS, HEAD, lines, without_today};

pub(crate) const EXAMPLES: &str = "\
Examples:
  curtain audit --by claude-1 --since 1h     # what it only looked at is summed up
  curtain audit --all
  curtain audit --denied -o wide
  curtain audit --changes -o json";

/// Records that one page has at most, and pages that are read for the lines of a table.
const PAGE: u16 = 1000;
const MOST_PAGES: usize = 5;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only what this user or agent did, and, in the table, what was granted to it
    #[arg(long = "by", value_name = "WHO")]
    actor: Option<String>,
    /// Only what is not older, for example 15m or 8h
    #[arg(long, value_name = "TIME", value_parser = args::duration)]
    since: Option<Duration>,
    /// Only what was not allowed
    #[arg(long)]
    denied: bool,
    /// Only changes, nothing that was only looked at
    #[arg(long, visible_alias = "writes")]
    changes: bool,
    /// Everything that was only looked at has a line of its own, too
    #[arg(long, conflicts_with = "changes")]
    all: bool,
    /// Only this action, for example releasebinding:update or releasebinding:*
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Only in this namespace
    #[arg(long)]
    namespace: Option<String>,
    /// How many of the newest: lines of the table, or records of the JSON
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let access = context.access()?;
    let actor = who(&access, args.actor.as_deref()).await?;
    if context.is_json() {
        let query = query(args, actor.as_deref(), args.limit);
        output::json(&page(&access, &query).await?["items"]);
        return Ok(Exit::Ok);
    }
    let mut records = Vec::new();
    let (mut cursor, mut more) = (String::new(), true);
    for _ in 0..MOST_PAGES {
        let answer =
            page(&access, &format!("{}{cursor}", query(args, actor.as_deref(), PAGE))).await?;
        records.extend(read(&answer)?);
        let next = answer["pagination"]["nextCursor"].as_str();
        cursor = next.map(|next| format!("&cursor={}", encode(next))).unwrap_or_default();
        more = next.is_some();
        if !more || lines(&records, args.all).len() >= usize::from(args.limit) {
            break;
        }
    }
    if let Some(actor) = actor.as_deref().filter(|_| args.action.is_none() && !args.denied) {
        let oldest = records.last().filter(|_| more).map(|record: &Record| record.time);
        let given = given(&access, args, actor).await?;
        records.extend(given.into_iter().filter(|one| oldest.is_none_or(|at| one.time >= at)));
    }
    if records.is_empty() {
        output::line("There are no records of that.");
        return Ok(Exit::Ok);
    }
    // The newest is at the bottom, where a terminal ends.
    records.reverse();
    records.sort_by_key(|record| record.time);
    let mut all = lines(&records, args.all);
    let hidden = all.len().saturating_sub(usize::from(args.limit));
    all.drain(..hidden);
    if context.columns().is_some() {
        without_today(&mut all, Timestamp::now());
    }
    let mut rows = vec![HEAD.map(str::to_owned).to_vec()];
    rows.append(&mut all);
    let cut = context.columns().is_some_and(|width| fit(&mut rows, &CUTS, width));
    output::line(table(&rows).trim_end());
    if cut {
        context.note("Cut to the terminal: -o wide shows all of it, -o json more.");
    }
    if more || hidden > 0 {
        context.note("There are older ones: --limit shows more, --since and --by narrow it.");
    }
    Ok(Exit::Ok)
}

/// The words of a query for `limit` records.
fn query(args: &Args, actor: Option<&str>, limit: u16) -> String {
    let mut query = vec![format!("limit={limit}")];
    for (name, value) in [
        ("actor", actor.map(str::to_owned)),
        ("since", args.since.map(|since| format!("{}s", since.as_secs()))),
        ("result", args.denied.then(|| "denied".to_owned())),
        ("changes", args.changes.then(|| "true".to_owned())),
        ("action", args.action.clone()),
        ("namespace", args.namespace.clone()),
    ] {
        query.extend(value.map(|value| format!("{name}={}", encode(&value))));
    }
    query.join("&")
}

async fn page(access: &Access, query: &str) -> Result<Value, Failure> {
    let path = format!("/audit?{query}");
    Ok(access.api("read the audit records", Method::GET, &path, None).await?)
}

fn read(answer: &Value) -> Result<Vec<Record>, Failure> {
    serde_json::from_value(answer["items"].clone())
        .map_err(|error| Failure::new(Exit::Failed, format!("the API's answer: {error}")))
}

/// What others granted to `actor`, and took back.
async fn given(access: &Access, args: &Args, actor: &str) -> Result<Vec<Record>, Failure> {
    let mut all = Vec::new();
    for action in ["grant", "revoke"] {
        let only = format!("{}&action={action}", query(args, None, PAGE));
        all.extend(read(&page(access, &only).await?)?);
    }
    all.retain(|one| is_about(one, actor));
    all.sort_by_key(|one: &Record| std::cmp::Reverse(one.time));
    Ok(all)
}

/// Whether somebody else's grant, or its end, is about `actor`.
fn is_about(record: &Record, actor: &str) -> bool {
    let words: Vec<&str> = record.note.split([' ', ';']).collect();
    let named = words.windows(2).any(|pair| pair == ["to", actor]);
    // Whoever grants something to themselves has it among their own already.
    record.actor != actor && (named || record.object == format!("Agent/{actor}"))
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_grant_is_about_the_agent_that_it_names() {
        let record = |note: &str, object: &str| -> Record {
            let record = json!({"time": "2026-01-02T03:04:05Z", "actor": "admin", "actorKind": "user", "via": "rest",
                "call": "x", "action": "grant", "result": "allowed", "note": note, "object": object});
            serde_json::from_value(record).expect("a record")
        };
        for note in [
            "scale to claude-1",
            "a to b; scale to claude-1; c to d",
            "scale to claude-1 in namespace x",
        ] {
            assert!(is_about(&record(note, "AuthzRoleBinding/x"), "claude-1"), "{note}");
        }
        assert!(is_about(&record("", "Agent/claude-1"), "claude-1"), "a grant that failed");
        for note in ["scale to claude-10 until claude-1", "claude-1", ""] {
            assert!(!is_about(&record(note, "Agent/claude-10"), "claude-1"), "{note}");
        }
        assert!(!is_about(&record("admin to admin", ""), "admin"), "it is among their own");
    }
}
