//! Live answers as Server-Sent Events.

use std::{
    convert::Infallible,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::response::{
    IntoResponse as _, Response,
    sse::{Event, KeepAlive, Sse},
};
use futures::{Stream, StreamExt as _};
use http::{HeaderName, HeaderValue, header};
use serde_json::{Value, json};

use super::{Api, ApiError, extract::Call};
use crate::objects::{Kind, ListQuery, Seen, represent};

/// How often a comment shows that a quiet stream is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(super) fn watch(
    api: &Api,
    call: &Call,
    kind: &'static Kind,
    query: ListQuery<'_>,
    name: Option<&str>,
) -> Result<Response, ApiError> {
    let seen = api.objects.watch(call.caller.clone(), call.ask().via, kind, query, name)?;
    let events = seen.map(|seen| match seen {
        Seen::Snapshot(all) => {
            let items: Vec<Value> = all.iter().map(represent).collect();
            event("snapshot", &json!({ "items": items }))
        }
        Seen::Applied(object) => event("applied", &represent(&object)),
        Seen::Deleted(object) => event("deleted", &represent(&object)),
    });
    Ok(stream(api, call, events))
}

/// An event `name` with `data` as one line of JSON.
pub(super) fn event(name: &str, data: &Value) -> Event {
    // serde_json escapes line ends, so the data is one line.
    Event::default().event(name).data(data.to_string())
}

/// Sends `events` until they end, the caller's token expires or the role ends.
pub(super) fn stream(
    api: &Api,
    call: &Call,
    events: impl Stream<Item = Event> + Send + 'static,
) -> Response {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    let expires = Duration::from_secs(call.caller.expires.saturating_sub(now));
    let shutdown = api.shutdown.clone();
    let end = async move {
        tokio::select! {
            () = tokio::time::sleep(expires) => {}
            () = shutdown.wait() => {}
        }
    };
    let events = events.take_until(Box::pin(end)).map(Ok::<_, Infallible>);
    let mut response =
        Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Asks proxies in between not to hold events back.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}
