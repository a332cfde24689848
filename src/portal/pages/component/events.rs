//! What Kubernetes says of a component's objects.

use super::frame::{Asked, Frame, Tab};
use super::{Page, Place};
use crate::backend::User;
use crate::error::{BackendError, softly};
use crate::model::{taken, text};
use crate::pages::parts;
use crate::server::Portal;
use crate::session::SignedIn;
use axum::extract::{Path, Query, State};
use axum::response::Html;
use maud::{Markup, html};
use serde_json::Value;
use std::sync::Arc;

/// Events shown.
const MOST: usize = 200;
/// Seconds until they are fetched again.
const EVERY: u32 = 10;

pub(crate) async fn show(
    State(portal): State<Arc<Portal>>,
    SignedIn(session): SignedIn,
    Path(place): Path<Place>,
    Query(asked): Query<Asked>,
) -> Page {
    let user = portal.backend.of(&session.token);
    let frame = Frame::read(&user, place, &asked).await?;
    let part = events(&user, &frame).await?;
    if asked.is_part() {
        return Ok(Html(part.into_string()));
    }
    let content = html! {
        (frame.choices("/events", true))
        (parts::fetched(&format!("{}&part", frame.href("/events")), EVERY, part))
    };
    Ok(frame.page(&portal, &session, Tab::Events, content))
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
