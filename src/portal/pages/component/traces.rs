//! Requests that a component took part in, newest first.

use super::Page;
use super::frame::{Frame, Tab};
use super::live::{Visit, live};
use crate::backend::User;
use crate::chart::Unit;
use crate::error::{BackendError, softly};
use crate::model::{taken, text};
use crate::pages::parts;
use maud::{Markup, html};
use serde_json::Value;

/// Traces shown.
const MOST: usize = 100;
/// Seconds until they are fetched again.
const EVERY: u32 = 10;

pub(crate) async fn show(visit: Visit) -> Page {
    live(visit, (Tab::Traces, EVERY), traces).await
}

async fn traces(user: &User<'_>, frame: &Frame) -> Result<Markup, BackendError> {
    let question = frame.window().ask(frame.scope(&frame.place.component), MOST);
    let found = softly(user.observed("/api/v1alpha1/traces/query", &question).await)?;
    let columns = ["Started", "Trace", "Took", "Spans", "Result"];
    Ok(match found.map(|mut answer| taken(&mut answer["traces"])) {
        Err(reason) => parts::missing("There are no traces to show", &reason),
        Ok(traces) if traces.is_empty() => html! {
            p.dim { "No trace in this time. Programs send spans by OTLP to "
                code { "opentelemetry-collector.openchoreo-observability-plane:4317" } "." }
        },
        Ok(traces) => parts::table(
            "Traces",
            &columns,
            html! { @for trace in &traces { (row(frame, trace)) } },
        ),
    })
}

fn row(frame: &Frame, trace: &Value) -> Markup {
    let id = text(trace, "/traceId");
    let name = Some(text(trace, "/traceName")).filter(|name| !name.is_empty()).unwrap_or(id);
    html! {
        tr {
            td.since { (parts::moment(text(trace, "/startTime"))) }
            th scope="row" {
                a href=(frame.href(&format!("/traces/{}", crate::login::encode(id)))) { (name) }
            }
            td data-label="Took" { (took(trace)) }
            td data-label="Spans" { (trace["spanCount"].as_u64().unwrap_or_default()) }
            td { (result(trace["hasErrors"] == true)) }
        }
    }
}

/// How long a trace or span took.
pub(super) fn took(entry: &Value) -> String {
    Unit::Seconds.words(entry["durationNs"].as_f64().unwrap_or_default() / 1e9)
}

pub(super) fn result(failed: bool) -> Markup {
    let (class, words) = if failed { ("bad", "Failed") } else { ("good", "OK") };
    html! { span.pill.(class) { i aria-hidden="true" {} (words) } }
}
