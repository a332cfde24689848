//! Logs as the observer serves them: the one way from a query to its answer, for REST and MCP alike.

use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use curtain_control::mcp::{Arguments, Call, Tool};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use super::answer::{answer, compact};
use super::ask::LogsQuery;
use super::{Found, Store, ingest, tools};
use crate::asked::{NO_WORKFLOWS, budget};
use crate::database::{DatabaseError, run};
use crate::observer::{Places, Refusal, Signal, rest};

/// What lookers at logs need.
pub(super) const ACTION: &str = "logs:view";

/// Answers queries of callers who may ask them.
#[derive(Clone, Debug)]
pub(crate) struct Logs {
    store: Store,
    places: Places,
}

impl Logs {
    pub(crate) fn new(store: Store, places: Places) -> Self {
        Logs { store, places }
    }

    /// Checks, asks, looks.
    async fn query(&self, call: Call<'_>, query: LogsQuery) -> Result<Found, Refusal> {
        let query = query.check().map_err(Refusal::Invalid)?;
        self.places.admit(call, ACTION, &query.page.place).await?;
        Ok(run(&self.store, move |store| store.query(&query)).await?)
    }
}

impl Signal for Logs {
    fn rest(&self) -> Router {
        Router::new().route("/api/v1/logs/query", post(query)).with_state(self.clone())
    }

    fn ingest(&self) -> Router {
        ingest::routes(self.store.clone())
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
        async move {
            if tool.name == tools::OF_WORKFLOWS {
                return Err(Refusal::Invalid(NO_WORKFLOWS.into()));
            }
            let found = self.query(call, tools::query(&arguments)).await?;
            Ok(compact(&found, budget(&arguments)))
        }
        .boxed()
    }

    fn prune(&self, now: i64) -> BoxFuture<'_, Result<usize, DatabaseError>> {
        run(&self.store, move |store| store.prune(now)).boxed()
    }
}

async fn query(State(logs): State<Logs>, request: rest::Request) -> Response {
    rest::ask("L", request, async |call: Call<'_>, query: LogsQuery| {
        let started = Instant::now();
        let found = logs.query(call, query).await?;
        Ok(answer(&found, started.elapsed().as_millis()))
    })
    .await
}
