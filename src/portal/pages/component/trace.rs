//! One request as a waterfall: its spans below those that caused them, each where it was in time.
//!
//! Programs send their spans at different times, so the page of a request that just ended is fetched again until it is
//! unlikely that any is still missing.

use super::frame::{Asked, Frame, Tab};
use super::traces::{result, took};
use super::{Page, Place};
use crate::error::softly;
use crate::login::encode;
use crate::model::{taken, text};
use crate::pages::parts;
use crate::server::Portal;
use crate::session::SignedIn;
use axum::extract::{Path, Query, State};
use axum::response::Html;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Spans shown.
const MOST: usize = 500;
/// Seconds until they are fetched again.
const EVERY: u32 = 5;
/// How long after a trace's end its last spans are here, and for how long a page waits for them whatever their clocks
/// say: exporters send what they have every few seconds.
const SETTLED: SignedDuration = SignedDuration::from_mins(1);
/// Deeper ones stand no further to the right.
const DEEPEST: usize = 12;

/// When the page was opened that fetches its part, in seconds; absent on the page itself.
#[derive(Deserialize)]
pub(crate) struct Opened {
    since: Option<i64>,
}

/// Which trace of which component.
#[derive(Deserialize)]
pub(crate) struct Trace {
    #[serde(flatten)]
    place: Place,
    trace: String,
}

pub(crate) async fn show(
    State(portal): State<Arc<Portal>>,
    SignedIn(session): SignedIn,
    Path(Trace { place, trace }): Path<Trace>,
    Query(asked): Query<Asked>,
    Query(opened): Query<Opened>,
) -> Page {
    let user = portal.backend.of(&session.token);
    let frame = Frame::read(&user, place, &asked).await?;
    // All of the project's part of it, as far as the person may see it; else this component's.
    let path = format!("/api/v1alpha1/traces/{}/spans/query", encode(&trace));
    let question = |component: &str| {
        let mut question = frame.window().ask(frame.scope(component), MOST);
        question["includeAttributes"] = true.into();
        question["sortOrder"] = "asc".into();
        question
    };
    let mut found = softly(user.observed(&path, &question("")).await)?;
    if found.is_err() {
        found = softly(user.observed(&path, &question(&frame.place.component)).await)?;
    }
    let spans = found.map(|mut answer| taken(&mut answer["spans"]));
    let now = Timestamp::now();
    let since = opened.since.unwrap_or(now.as_second());
    let settled = spans.as_ref().is_ok_and(|spans| is_settled(spans, now))
        || now.as_second().saturating_sub(since) > SETTLED.as_secs();
    let part = match spans {
        Err(reason) => parts::missing("The trace cannot be shown", &reason),
        Ok(spans) if spans.is_empty() => html! {
            p.dim { "Nothing of trace " code { (trace) } " is known in this time and environment." }
        },
        Ok(spans) => waterfall(&trace, &spans),
    };
    let part = html! { div data-done[settled] { (part) } };
    if asked.is_part() {
        return Ok(Html(part.into_string()));
    }
    let itself = frame.href(&format!("/traces/{}", encode(&trace)));
    let address = format!("{itself}&since={since}&part");
    let content = html! {
        p.back { a href=(frame.href("/traces")) { "All traces" } }
        @if settled { (part) } @else { (parts::fetched(&address, EVERY, part)) }
    };
    Ok(frame.page(&portal, &session, Tab::Traces, content))
}

/// Whether it is long ago that the last of these spans ended.
fn is_settled(spans: &[Value], now: Timestamp) -> bool {
    let end = spans.iter().map(times).map(|(start, took)| start + took).max();
    end.is_some_and(|end| now.as_nanosecond() - end > SETTLED.as_nanos())
}

/// A span's place in time, in nanoseconds.
fn times(span: &Value) -> (i128, i128) {
    let start = text(span, "/startTime").parse::<Timestamp>().map_or(0, Timestamp::as_nanosecond);
    (start, i128::from(span["durationNs"].as_i64().unwrap_or_default().max(0)))
}

fn waterfall(trace: &str, spans: &[Value]) -> Markup {
    let start = spans.iter().map(|span| times(span).0).min().unwrap_or_default();
    let end = spans.iter().map(times).map(|(start, took)| start + took).max().unwrap_or(start);
    let whole = (end - start).max(1) as f64;
    let failed = spans.iter().filter(|span| failed(span)).count();
    let total = crate::chart::Unit::Seconds.words(whole / 1e9);
    let columns = ["Span", "When", "Took", "Result"];
    html! {
        div.heading {
            h2 { "Trace " code { (trace) } }
            p.dim { (parts::counted(spans.len() as u64, "span")) " in " (total) @if failed > 0 { ", " (failed) " of them failed" } }
        }
        (parts::table("Spans", &columns, html! {
            @for (depth, span) in in_order(spans) {
                @let (began, took) = times(span);
                @let left = 100.0 * (began - start) as f64 / whole;
                @let width = (100.0 * took as f64 / whole).max(0.4);
                (row(depth, span, left.min(99.6), width))
            }
        }))
    }
}

fn failed(span: &Value) -> bool {
    text(span, "/status/code").eq_ignore_ascii_case("error")
}

/// Spans below those that caused them, with their depth; whose cause is not here stands at the left.
fn in_order(spans: &[Value]) -> Vec<(usize, &Value)> {
    let index: BTreeMap<&str, usize> =
        spans.iter().enumerate().map(|(at, span)| (text(span, "/spanId"), at)).collect();
    let mut below: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
    for (at, span) in spans.iter().enumerate() {
        let parent = index.get(text(span, "/parentSpanId")).copied().filter(|parent| *parent != at);
        below.entry(parent).or_default().push(at);
    }
    for children in below.values_mut() {
        children.sort_by_key(|at| std::cmp::Reverse(times(&spans[*at]).0));
    }
    let mut order = Vec::new();
    let mut waiting: Vec<(usize, usize)> = Vec::new();
    let roots = below.remove(&None).unwrap_or_default();
    waiting.extend(roots.into_iter().map(|at| (0, at)));
    loop {
        while let Some((depth, at)) = waiting.pop() {
            order.push((depth, &spans[at]));
            let children = below.remove(&Some(at)).unwrap_or_default();
            waiting.extend(children.into_iter().map(|child| (depth + 1, child)));
        }
        // What says to cause each other has no beginning: it is shown all the same.
        match below.pop_first() {
            Some((_, rest)) => waiting.extend(rest.into_iter().map(|at| (0, at))),
            None => return order,
        }
    }
}

fn row(depth: usize, span: &Value, left: f64, width: f64) -> Markup {
    let owner = text(&span["resourceAttributes"], "/openchoreo.dev~1component");
    let owner =
        if owner.is_empty() { text(&span["resourceAttributes"], "/service.name") } else { owner };
    let message = parts::said(text(span, "/status/message"));
    let bad = failed(span);
    html! {
        tr {
            th.span.{ "d" (depth.min(DEEPEST)) } scope="row" {
                details data-key=(text(span, "/spanId")) {
                    summary { (text(span, "/spanName")) " " span.tag { (owner) } }
                    dl {
                        dt { "Kind" } dd { (text(span, "/spanKind")) }
                        @for member in ["attributes", "resourceAttributes"] {
                            @for (name, value) in span[member].as_object().into_iter().flatten() {
                                dt { (name) }
                                dd { (value.as_str().map_or_else(|| value.to_string(), str::to_owned)) }
                            }
                        }
                    }
                }
            }
            td.when {
                svg.bar width="100%" height="14" aria-hidden="true" {
                    rect.bad[bad] x={ (format!("{left:.2}")) "%" } width={ (format!("{width:.2}")) "%" } y="2" height="10" rx="2" {}
                }
            }
            td data-label="Took" { (took(span)) }
            td.text { (result(bad)) @if !message.is_empty() { " " (parts::long(text(span, "/spanId"), &message)) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::in_order;
    use crate::model::text;
    use serde_json::{Value, json};

    #[test]
    fn spans_stand_below_their_cause_and_none_is_lost() {
        let span = |id: &str, parent: &str, second: u32| {
            json!({"spanId": id, "parentSpanId": parent, "durationNs": 5,
                "startTime": format!("2026-01-01T00:00:{second:02}Z")})
        };
        let spans: Vec<Value> = vec![
            span("late", "root", 9),
            span("root", "", 1),
            span("early", "root", 2),
            span("leaf", "early", 3),
            span("orphan", "gone", 4),
            span("a", "b", 5),
            span("b", "a", 6),
        ];
        let order: Vec<String> = in_order(&spans)
            .iter()
            .map(|(depth, span)| format!("{depth} {}", text(span, "/spanId")))
            .collect();
        assert_eq!(order, ["0 root", "1 early", "2 leaf", "1 late", "0 orphan", "0 b", "1 a"]);
    }
}
