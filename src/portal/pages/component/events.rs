//! What Kubernetes says of a component's objects.

use super::Page;
use super::frame::{Frame, Tab};
use super::live::{Visit, live};
use crate::backend::User;
use crate::error::{BackendError, softly};
use crate::model::{taken, text};
use crate::pages::parts;
use maud::{Markup, html};
use serde_json::Value;

/// Events shown.
const MOST: usize = 200;
/// Seconds until they are fetched again.
const EVERY: u32 = 10;

pub(crate) async fn show(visit: Visit) -> Page {
    live(visit, (Tab::Events, EVERY), events).await
}

async fn events(user: &User<'_>, frame: &Frame) -> Result<Markup, BackendError> {
    let question = frame.window().ask(frame.scope(&frame.place.component), MOST);
    let found = softly(user.observed("/api/v1/events/query", &question).await)?;
    let columns = ["When", "Type", "Reason", "Object", "Message", "Times"];
    Ok(match found.map(|mut answer| taken(&mut answer["events"])) {
        Err(reason) => parts::missing("There are no events to show", &reason),
        Ok(events) if events.is_empty() => html! { p.dim { "No event in this time." } },
        Ok(events) => {
            parts::table("Events", &columns, html! { @for event in &events { (row(event)) } })
        }
    })
}

fn row(event: &Value) -> Markup {
    let warns = event["type"] == "Warning";
    html! {
        tr {
            td.since { (parts::moment(text(event, "/timestamp"))) }
            td { span.pill.busy[warns].idle[!warns] { i aria-hidden="true" {} (text(event, "/type")) } }
            th scope="row" { (text(event, "/reason")) }
            td.name { (text(event, "/metadata/objectKind")) " " code { (text(event, "/metadata/objectName")) } }
            td.text { (text(event, "/message")) }
            td data-label="Times" { (event["count"].as_u64().unwrap_or(1)) }
        }
    }
}
