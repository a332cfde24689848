//! Traces as the observer serves them.

use std::time::Instant;

use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use curtain_control::identity::{Caller, Secret};
use curtain_control::mcp::economy::TYPICAL;
use curtain_control::mcp::{Arguments, Call, Tool};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Deserialize;
use serde_json::Value;

use super::wire::{Batch, IdError, SPANS_PATH, SpanId, TraceId};
use super::{Listed, Row, Spans, Store, answer, compact, tools};
use crate::asked::{Asked, Place, budget};
use crate::database::{DatabaseError, run};
use crate::observer::{Places, Refusal, Signal, intake, rest};

/// What lookers at traces need.
pub(super) const ACTION: &str = "traces:view";
/// Spans that the tree of an agent is made of.
const ALL_SPANS: i64 = 1000;

/// Answers queries of callers who may ask them.
#[derive(Clone, Debug)]
pub(crate) struct Traces {
    store: Store,
    places: Places,
}

/// The body of both queries.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct TracesQuery {
    #[serde(flatten)]
    asked: Asked,
    include_attributes: bool,
}

impl From<IdError> for Refusal {
    fn from(error: IdError) -> Self {
        Refusal::Invalid(error.to_string())
    }
}

impl Traces {
    pub(crate) fn new(store: Store, places: Places) -> Self {
        Traces { store, places }
    }

    /// Checks, asks, looks.
    async fn list(&self, call: Call<'_>, asked: Asked) -> Result<Listed, Refusal> {
        let page = asked.check().map_err(Refusal::Invalid)?;
        self.places.admit(call, ACTION, &page.place).await?;
        Ok(run(&self.store, move |store| store.list(&page)).await?)
    }

    /// The spans of a trace that are of the place asked for.
    async fn spans(
        &self,
        call: Call<'_>,
        (trace, whole): (TraceId, bool),
        asked: Asked,
    ) -> Result<Spans, Refusal> {
        let page = asked.check().map_err(Refusal::Invalid)?;
        self.places.admit(call, ACTION, &page.place).await?;
        Ok(run(&self.store, move |store| store.spans(trace, &page, whole)).await?)
    }

    /// One span. Whoever may look at its component in its environment may see it.
    async fn span(&self, call: Call<'_>, trace: &str, span: &str) -> Result<Row, Refusal> {
        let (trace, span): (TraceId, SpanId) = (trace.parse()?, span.parse()?);
        let found = run(&self.store, move |store| store.span(trace, span)).await?;
        let row = found.ok_or_else(|| {
            Refusal::Missing(format!(
                "there is no span {span} in a trace {trace}; it may be older than what is kept"
            ))
        })?;
        let owner = &row.owner;
        let place = Place {
            namespace: owner.namespace.clone(),
            project: owner.project.clone(),
            component: owner.component.clone(),
            environment: owner.environment.clone(),
        };
        self.places.check(call, ACTION, &place).await?;
        Ok(row)
    }

    async fn answer(
        &self,
        call: Call<'_>,
        tool: &'static Tool,
        arguments: &Arguments,
    ) -> Result<Value, Refusal> {
        let budget = budget(arguments);
        match tool.name {
            tools::LIST => {
                let found = self.list(call, Asked::of(arguments, tools::DEFAULT_LIMIT)).await?;
                Ok(compact::traces(&found, budget))
            }
            tools::SPANS => {
                let trace: TraceId = arguments.text("trace_id").parse()?;
                let asked = Asked::of(arguments, ALL_SPANS);
                // The limit is checked as it was given; a tree needs the spans above and below all the same.
                let lines = asked.clone().check().map_err(Refusal::Invalid)?.limit;
                let asked = Asked { limit: Some(ALL_SPANS), ..asked };
                let found = self.spans(call, (trace, false), asked).await?;
                Ok(compact::spans(trace, &found, lines, budget))
            }
            _ => {
                let (trace, span) = (arguments.text("trace_id"), arguments.text("span_id"));
                let row = self.span(call, trace, span).await?;
                Ok(compact::details(&row, TYPICAL))
            }
        }
    }
}

impl Signal for Traces {
    fn rest(&self) -> Router {
        Router::new()
            .route("/api/v1alpha1/traces/query", post(list))
            .route("/api/v1alpha1/traces/{trace}/spans/query", post(spans))
            .route("/api/v1alpha1/traces/{trace}/spans/{span}", get(details))
            .with_state(self.clone())
    }

    fn ingest(&self) -> Router {
        let ingest = |store: &Store, batch: Batch| store.ingest(&batch);
        intake::route(SPANS_PATH, self.store.clone(), ingest)
    }

    fn tools(&self) -> &'static [Tool] {
        &tools::TABLE
    }

    fn call<'a>(
        &'a self,
        call: Call<'a>,
        tool: &'static Tool,
        arguments: Arguments,
    ) -> BoxFuture<'a, Result<Value, Refusal>> {
        async move { self.answer(call, tool, &arguments).await }.boxed()
    }

    fn prune(&self, now: i64) -> BoxFuture<'_, Result<usize, DatabaseError>> {
        run(&self.store, move |store| store.prune(now)).boxed()
    }
}

async fn list(State(traces): State<Traces>, request: rest::Request) -> Response {
    rest::ask("T", request, async |call: Call<'_>, query: TracesQuery| {
        let started = Instant::now();
        let found = traces.list(call, query.asked).await?;
        Ok(answer::traces(&found, started.elapsed().as_millis()))
    })
    .await
}

async fn spans(
    State(traces): State<Traces>,
    Path(trace): Path<String>,
    request: rest::Request,
) -> Response {
    rest::ask("T", request, async |call: Call<'_>, query: TracesQuery| {
        let started = Instant::now();
        let trace: TraceId = trace.parse()?;
        let whole = query.include_attributes;
        let found = traces.spans(call, (trace, whole), query.asked).await?;
        Ok(answer::spans(&found, whole, started.elapsed().as_millis()))
    })
    .await
}

async fn details(
    State(traces): State<Traces>,
    Path((trace, span)): Path<(String, String)>,
    Extension(caller): Extension<Caller>,
    Extension(token): Extension<Secret>,
) -> Response {
    let call = Call { caller: &caller, token: &token };
    let found = traces.span(call, &trace, &span).await;
    rest::reply("T", found.map(|row| answer::details(&row)))
}
