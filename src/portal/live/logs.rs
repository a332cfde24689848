//! Log lines as they come.

use super::stream::{RETRY, events, one_line};
use crate::error::{BackendError, PageError};
use crate::model;
use crate::pages::component::line::lines as shown;
use crate::pages::component::{Place, logs as page};
use crate::server::Portal;
use crate::session::{Session, SignedIn};
use axum::extract::{Path, Query, State};
use axum::response::sse::{Event, Sse};
use futures::Stream;
use http::HeaderMap;
use jiff::Timestamp;
use maud::Markup;
use serde_json::json;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// Between questions for new log lines.
const LOGS_PAUSE: Duration = Duration::from_millis(800);
/// Log lines asked for at once.
const MOST_LINES: usize = 500;

/// New log lines as they come.
pub(crate) async fn logs(
    State(portal): State<Arc<Portal>>,
    SignedIn(session): SignedIn,
    Path(place): Path<Place>,
    Query(asked): Query<page::Asked>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, PageError> {
    // A browser that lost the connection goes on behind the last event it got, not where the page began.
    let resumed = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let since = resumed.or(asked.since.as_deref()).and_then(|time| time.parse().ok());
    let since = since.unwrap_or_else(Timestamp::now);
    let (sender, receiver) = tokio::sync::mpsc::channel::<Event>(4);
    tokio::spawn(async move {
        let shutdown = portal.shutdown.clone();
        let work = tail(&portal, &session, &place, &asked, since, &sender);
        tokio::select! {
            () = work => {}
            () = sender.closed() => {}
            () = shutdown.wait() => {}
        }
    });
    Ok(events(receiver))
}

async fn tail(
    portal: &Portal,
    session: &Session,
    place: &Place,
    asked: &page::Asked,
    mut since: Timestamp,
    sender: &tokio::sync::mpsc::Sender<Event>,
) {
    let user = portal.backend.of(&session.token);
    // From the last line that the page shows; the observer's bounds are inclusive, so lines of
    // that instant come again and are left out.
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut first = true;
    loop {
        let query = page::query(place, asked, &since.to_string(), "asc", MOST_LINES);
        match user.logs(&query).await {
            Ok(lines) => {
                let mut fresh = Vec::new();
                for line in lines {
                    let Ok(time) = model::text(&line, "/timestamp").parse() else { continue };
                    let identity =
                        json!([line["timestamp"], line["log"], line["metadata"]["podName"]]);
                    let identity = identity.to_string();
                    if time > since {
                        since = time;
                        seen.clear();
                        first = false;
                    } else if first {
                        // What the page already shows.
                        seen.insert(identity);
                        continue;
                    }
                    if seen.insert(identity) {
                        fresh.push(line);
                    }
                }
                first = false;
                if !fresh.is_empty() && !send_lines(sender, shown(&fresh, asked.raw), since).await {
                    return;
                }
            }
            Err(BackendError::SignedOut) => {
                let _ = sender.send(Event::default().event("end").data("signed out")).await;
                return;
            }
            Err(error) => {
                let event = Event::default().event("trouble").data(one_line(&error.to_string()));
                if sender.send(event).await.is_err() {
                    return;
                }
                tokio::time::sleep(RETRY).await;
            }
        }
        tokio::time::sleep(LOGS_PAUSE).await;
    }
}

/// Sends lines up to `until`, which the browser tells when it comes back.
async fn send_lines(
    sender: &tokio::sync::mpsc::Sender<Event>,
    lines: Markup,
    until: Timestamp,
) -> bool {
    let html = one_line(&lines.into_string());
    let event = Event::default().event("append").id(until.to_string()).data(html);
    sender.send(event).await.is_ok()
}
