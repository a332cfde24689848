//! The REST of alerts and incidents, with upstream's own words for what goes wrong.

use std::time::Instant;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use curtain_control::mcp::Call;
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::Value;

use super::incident::{Change, Unchanged};
use super::measure::Measure;
use super::refusal::{Codes, respond, say};
use super::signal::{ALERTS, Alerts, INCIDENTS};
use super::{Store, answer};
use crate::asked::{Asked, nanoseconds};
use crate::database::run;
use crate::observer::Refusal;
use crate::observer::rest::Request;

/// What whoever sees to an incident needs.
const UPDATE: &str = "incidents:update";

const ALERT_CODES: Codes = Codes { invalid: "VALIDATION_ERROR", failed: "QUERY_ALERTS_FAILED" };
const INCIDENT_CODES: Codes =
    Codes { invalid: "VALIDATION_ERROR", failed: "QUERY_INCIDENTS_FAILED" };
const UPDATE_CODES: Codes = Codes { invalid: "VALIDATION_ERROR", failed: "UPDATE_INCIDENT_FAILED" };

pub(super) async fn alerts<M: Measure>(State(own): State<Alerts<M>>, request: Request) -> Response {
    reply(ALERT_CODES, request, async |call: Call<'_>, asked| {
        let started = Instant::now();
        let found = own.find(call, ALERTS, asked, Store::alerts).await?;
        Ok(answer::list("alerts", &found, answer::alert, started.elapsed().as_millis()))
    })
    .await
}

pub(super) async fn incidents<M: Measure>(
    State(own): State<Alerts<M>>,
    request: Request,
) -> Response {
    reply(INCIDENT_CODES, request, async |call: Call<'_>, asked| {
        let started = Instant::now();
        let found = own.find(call, INCIDENTS, asked, Store::incidents).await?;
        Ok(answer::list("incidents", &found, answer::incident, started.elapsed().as_millis()))
    })
    .await
}

pub(super) async fn deliveries<M: Measure>(
    State(own): State<Alerts<M>>,
    request: Request,
) -> Response {
    reply(ALERT_CODES, request, async |call: Call<'_>, asked| {
        let started = Instant::now();
        let found = own.find(call, ALERTS, asked, Store::deliveries).await?;
        Ok(answer::list("notifications", &found, answer::delivery, started.elapsed().as_millis()))
    })
    .await
}

/// The body of a change.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct IncidentChange {
    status: String,
    notes: Option<String>,
    description: Option<String>,
}

/// Changes an incident, of which the caller needs to see to the place it is about.
pub(super) async fn update<M: Measure>(
    State(own): State<Alerts<M>>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let unknown = || {
        let message = format!("there is no incident {id:?}; it may be older than what is kept");
        say(StatusCode::NOT_FOUND, "notFound", "INCIDENT_NOT_FOUND", &message)
    };
    if id.len() > 64 {
        return say(
            StatusCode::BAD_REQUEST,
            "badRequest",
            "INVALID_INCIDENT_ID",
            "the id is too long",
        );
    }
    let (Extension(caller), Extension(token), headers, body) = request;
    let change: IncidentChange = match read(&headers, &body) {
        Ok(change) => change,
        Err(message) => {
            return say(StatusCode::BAD_REQUEST, "badRequest", "INVALID_REQUEST_BODY", &message);
        }
    };
    if !["active", "acknowledged", "resolved"].contains(&change.status.as_str()) {
        let message =
            format!("status is {:?}; it must be active, acknowledged or resolved", change.status);
        return respond(UPDATE_CODES, &Refusal::Invalid(message));
    }
    let name = id.clone();
    let incident = match run(&own.store, move |store| store.incident(&name)).await {
        Ok(Some(incident)) => incident,
        Ok(None) => return unknown(),
        Err(error) => return respond(UPDATE_CODES, &error.into()),
    };
    let call = Call { caller: &caller, token: &token };
    if let Err(error) = own.places.check(call, UPDATE, &incident.place).await {
        return respond(UPDATE_CODES, &error);
    }
    let status = change.status.clone();
    let IncidentChange { notes, description, .. } = change;
    let change = Change { status: status.clone(), notes, description };
    let (actor, name) = (caller.subject.clone(), id.clone());
    let now = nanoseconds(jiff::Timestamp::now());
    match run(&own.store, move |store| store.update(&name, change, &actor, now)).await {
        Ok(Ok(incident)) => {
            tracing::info!(
                incident = id,
                status,
                actor = caller.subject,
                "an incident was updated"
            );
            Json(answer::incident(&incident)).into_response()
        }
        Ok(Err(Unchanged::Unknown)) => unknown(),
        Ok(Err(Unchanged::Transition { from })) => {
            let message = format!("an incident that is {from} cannot become {status}");
            say(StatusCode::BAD_REQUEST, "badRequest", "INVALID_STATUS_TRANSITION", &message)
        }
        Err(error) => respond(UPDATE_CODES, &error.into()),
    }
}

/// Reads a query, has `answer` answer it, and says why there is no answer.
async fn reply(
    codes: Codes,
    (Extension(caller), Extension(token), headers, body): Request,
    answer: impl AsyncFnOnce(Call<'_>, Asked) -> Result<Value, Refusal>,
) -> Response {
    let asked = match read(&headers, &body) {
        Ok(asked) => asked,
        Err(message) => {
            return say(StatusCode::BAD_REQUEST, "badRequest", "INVALID_REQUEST_BODY", &message);
        }
    };
    match answer(Call { caller: &caller, token: &token }, asked).await {
        Ok(answer) => Json(answer).into_response(),
        Err(refusal) => respond(codes, &refusal),
    }
}

fn read<T: serde::de::DeserializeOwned>(
    headers: &http::HeaderMap,
    body: &[u8],
) -> Result<T, String> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if kind.is_some_and(|kind| !kind.starts_with("application/json")) {
        return Err("Content-Type must be application/json".into());
    }
    serde_json::from_slice(body).map_err(|error| format!("the body cannot be read: {error}"))
}
