//! Alerts and incidents as the observer serves them.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{post, put};
use axum::{Extension, Json};
use curtain_control::mcp::economy::{MOST, TYPICAL};
use curtain_control::mcp::{Arguments, Call, CallError, Tool};
use curtain_role::Shutdown;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{StatusCode, header};
use kube::Client;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Notify;

use super::engine::Engine;
use super::incident::{Change, Unchanged};
use super::measure::Measure;
use super::notify::{Courier, Directory};
use super::query::Found;
use super::refusal::{Codes, respond, say};
use super::{Options, Store, answer, tools};
use crate::asked::{Asked, Page, nanoseconds};
use crate::database::{DatabaseError, run};
use crate::observer::{Gate, Refusal, Signal, rest};

/// What lookers at alerts need.
pub(super) const ALERTS: &str = "alerts:view";
/// What lookers at incidents need.
pub(super) const INCIDENTS: &str = "incidents:view";
/// What whoever sees to an incident needs.
const UPDATE: &str = "incidents:update";

const ALERT_CODES: Codes = Codes { invalid: "VALIDATION_ERROR", failed: "QUERY_ALERTS_FAILED" };
const INCIDENT_CODES: Codes =
    Codes { invalid: "VALIDATION_ERROR", failed: "QUERY_INCIDENTS_FAILED" };
const UPDATE_CODES: Codes = Codes { invalid: "VALIDATION_ERROR", failed: "UPDATE_INCIDENT_FAILED" };

/// Answers queries of callers who may ask them, and evaluates the rules.
#[derive(Clone, Debug)]
pub(crate) struct Alerts<M> {
    store: Store,
    measure: M,
    gate: Arc<Gate>,
    options: Options,
}

impl<M: Measure> Alerts<M> {
    pub(crate) fn new(store: Store, measure: M, gate: Arc<Gate>, options: Options) -> Self {
        Alerts { store, measure, gate, options }
    }

    /// Checks, asks, looks.
    async fn find<T: Send + 'static>(
        &self,
        call: Call<'_>,
        action: &str,
        asked: Asked,
        look: impl FnOnce(&Store, &Page) -> Result<Found<T>, DatabaseError> + Send + 'static,
    ) -> Result<Found<T>, Refusal> {
        let page = asked.check().map_err(Refusal::Invalid)?;
        self.gate.check(call, action, &page.place).await?;
        Ok(run(&self.store, move |store| look(store, &page)).await?)
    }
}

impl<M: Measure + std::fmt::Debug> Signal for Alerts<M> {
    fn rest(&self) -> Router {
        Router::new()
            .route("/api/v1alpha1/alerts/query", post(alerts::<M>))
            .route("/api/v1alpha1/incidents/query", post(incidents::<M>))
            .route("/api/v1alpha1/incidents/{id}", put(update::<M>))
            .route("/api/v1alpha1/notifications/query", post(deliveries::<M>))
            .with_state(self.clone())
    }

    /// The collector has nothing to say about alerts.
    fn ingest(&self) -> Router {
        Router::new()
    }

    fn tools(&self) -> &'static [Tool] {
        &tools::TABLE
    }

    fn call<'a>(
        &'a self,
        call: Call<'a>,
        tool: &'static Tool,
        arguments: Arguments,
    ) -> BoxFuture<'a, Result<Value, CallError>> {
        async move {
            let asked = Asked::of(&arguments, tools::DEFAULT_LIMIT);
            let budget = if arguments.integer("limit").is_some() { MOST } else { TYPICAL };
            let answer = if tool.name == tools::QUERY_INCIDENTS {
                let found = self.find(call, INCIDENTS, asked, Store::incidents).await;
                found.map(|found| answer::compact_incidents(&found, budget))
            } else {
                let found = self.find(call, ALERTS, asked, Store::alerts).await;
                found.map(|found| answer::compact_alerts(&found, budget))
            };
            answer.map_err(CallError::new)
        }
        .boxed()
    }

    fn prune(&self, now: i64) -> BoxFuture<'_, Result<usize, DatabaseError>> {
        run(&self.store, move |store| store.prune(now)).boxed()
    }

    fn start(&self, client: &Client, shutdown: &Shutdown) {
        let news = Arc::new(Notify::new());
        let engine = Engine {
            store: self.store.clone(),
            measure: self.measure.clone(),
            client: client.clone(),
            suppression: self.options.suppression,
            rca: self.options.rca.is_some(),
            news: news.clone(),
        };
        tokio::spawn(engine.run(shutdown.clone()));
        let directory = Directory::new(client.clone());
        let courier = Courier::new(self.store.clone(), directory, self.options.rca.clone(), news);
        tokio::spawn(courier.run(shutdown.clone()));
    }
}

async fn alerts<M: Measure>(State(own): State<Alerts<M>>, request: rest::Request) -> Response {
    reply(ALERT_CODES, request, async |call: Call<'_>, asked| {
        let started = Instant::now();
        let found = own.find(call, ALERTS, asked, Store::alerts).await?;
        Ok(answer::list("alerts", &found, answer::alert, started.elapsed().as_millis()))
    })
    .await
}

async fn incidents<M: Measure>(State(own): State<Alerts<M>>, request: rest::Request) -> Response {
    reply(INCIDENT_CODES, request, async |call: Call<'_>, asked| {
        let started = Instant::now();
        let found = own.find(call, INCIDENTS, asked, Store::incidents).await?;
        Ok(answer::list("incidents", &found, answer::incident, started.elapsed().as_millis()))
    })
    .await
}

async fn deliveries<M: Measure>(State(own): State<Alerts<M>>, request: rest::Request) -> Response {
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
async fn update<M: Measure>(
    State(own): State<Alerts<M>>,
    Path(id): Path<String>,
    request: rest::Request,
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
    if let Err(error) = own.gate.check(call, UPDATE, &incident.place).await {
        return respond(UPDATE_CODES, &error.into());
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
    (Extension(caller), Extension(token), headers, body): rest::Request,
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
