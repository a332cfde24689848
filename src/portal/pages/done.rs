//! What was done last: changes and refusals first, and below them what was only looked at, summed up by the API.
//!
//! Invariant: however much was looked at, it takes no place of what was changed or refused.

use super::parts;
use crate::backend::User;
use crate::error::BackendError;
use crate::model::{taken, text};
use maud::{Markup, html};
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Changes and refusals shown.
const CHANGES: usize = 10;
/// Sums of reads shown.
const READS: usize = 5;
/// Entries asked for, among which the reads are.
const ENTRIES: usize = 30;

/// Records as the API has them.
pub(crate) struct Done {
    /// What was changed, refused, or tried and failed, newest first.
    changes: Vec<Value>,
    /// What was only looked at, newest first.
    reads: Vec<Value>,
}

impl Done {
    /// What the person may see of it.
    pub(crate) async fn read(user: &User<'_>) -> Result<Done, BackendError> {
        let [changes, denied, entries] = [
            format!("/audit?changes=true&limit={CHANGES}"),
            format!("/audit?result=denied&limit={CHANGES}"),
            format!("/audit?summed=true&limit={ENTRIES}"),
        ];
        let (mut changes, mut denied, mut entries) =
            tokio::try_join!(user.get(&changes), user.get(&denied), user.get(&entries))?;
        let mut entries = taken(&mut entries["items"]);
        let was_read = |entry: &Value| entry["reads"].as_u64().is_some_and(|reads| reads > 0);
        let mut reads: Vec<Value> = entries.extract_if(.., |entry| was_read(entry)).collect();
        reads.truncate(READS);
        // A change that was refused is in two answers.
        let all = [taken(&mut changes["items"]), taken(&mut denied["items"]), entries].concat();
        let all: BTreeMap<Reverse<u64>, Value> = all
            .into_iter()
            .map(|one| (Reverse(one["id"].as_u64().unwrap_or_default()), one))
            .collect();
        Ok(Done { changes: all.into_values().take(CHANGES).collect(), reads })
    }

    /// The part of the agents' page that is fetched again.
    pub(crate) fn show(&self) -> Markup {
        html! {
            section {
                h2.label { "Done last" }
                @if self.changes.is_empty() { p.dim { "Nothing that you may see was changed or refused." } }
                @else { (changes(&self.changes)) }
            }
            @if !self.reads.is_empty() {
                section { h2.label { "Looked at last" } (reads(&self.reads)) }
            }
        }
    }
}

fn changes(records: &[Value]) -> Markup {
    let columns = ["When", "Who", "What", "Result", "On"];
    let rows = html! {
        @for record in records {
            @let result = text(record, "/result");
            tr {
                td.dim.since { (parts::moment(text(record, "/time"))) }
                th.text scope="row" { (text(record, "/actor")) }
                td.text { code { (first(record, &["/action", "/call"])) } }
                td {
                    span.refused[result == "denied"] { (result) }
                    @if let Some(by) = record["grantedBy"].as_str() { span.dim { " by " (by) } }
                }
                td.text {
                    (parts::long(&record["id"].to_string(), first(record, &["/note", "/object", "/at"])))
                    @if !text(record, "/environment").is_empty() { " " span.dim { (text(record, "/environment")) } }
                }
            }
        }
    };
    parts::table("Done last", &columns, rows)
}

fn reads(entries: &[Value]) -> Markup {
    let rows = html! {
        @for entry in entries {
            @let kinds: Vec<&str> = entry["kinds"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            tr {
                td.dim.since { (parts::moment(text(entry, "/time"))) }
                th.text scope="row" { (text(entry, "/actor")) }
                td { (parts::counted(entry["reads"].as_u64().unwrap_or_default(), "read")) }
                td.text { (parts::long(&format!("read-{}", entry["id"]), &kinds.join(", "))) }
            }
        }
    };
    parts::table("Looked at last", &["When", "Who", "How much", "Of what"], rows)
}

/// The first of these members that says something.
fn first<'a>(record: &'a Value, members: &[&str]) -> &'a str {
    members
        .iter()
        .map(|member| text(record, member))
        .find(|text| !text.is_empty())
        .unwrap_or_default()
}
