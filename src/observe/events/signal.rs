//! Events as the observer serves them.

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
use super::wire::{Batch, EVENTS_PATH};
use super::{Found, Store, tools};
use crate::asked::{Asked, NO_WORKFLOWS, budget};
use crate::database::{DatabaseError, run};
use crate::observer::{Places, Refusal, Signal, intake, rest};

/// What lookers at events need.
pub(super) const ACTION: &str = "events:view";

/// Answers queries of callers who may ask them.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    store: Store,
    places: Places,
}

impl Events {
    pub(crate) fn new(store: Store, places: Places) -> Self {
        Events { store, places }
    }

    /// Checks, asks, looks.
    async fn query(&self, call: Call<'_>, asked: Asked) -> Result<Found, Refusal> {
        let page = asked.check().map_err(Refusal::Invalid)?;
        self.places.admit(call, ACTION, &page.place).await?;
        Ok(run(&self.store, move |store| store.query(&page)).await?)
    }
}

impl Signal for Events {
    fn rest(&self) -> Router {
        Router::new().route("/api/v1/events/query", post(query)).with_state(self.clone())
    }

    fn ingest(&self) -> Router {
        let ingest = |store: &Store, batch: Batch| store.ingest(&batch);
        intake::route(EVENTS_PATH, self.store.clone(), ingest)
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
            let asked = Asked::of(&arguments, tools::DEFAULT_LIMIT);
            let found = self.query(call, asked).await?;
            Ok(compact(&found, budget(&arguments)))
        }
        .boxed()
    }

    fn prune(&self, now: i64) -> BoxFuture<'_, Result<usize, DatabaseError>> {
        run(&self.store, move |store| store.prune(now)).boxed()
    }
}

async fn query(State(events): State<Events>, request: rest::Request) -> Response {
    rest::ask("E", request, async |call: Call<'_>, asked: Asked| {
        let started = Instant::now();
        let found = events.query(call, asked).await?;
        Ok(answer(&found, started.elapsed().as_millis()))
    })
    .await
}
