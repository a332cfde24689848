//! Alerts and incidents as the observer serves them.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::routing::{post, put};
use curtain_control::mcp::{Arguments, Call, Tool};
use curtain_role::Shutdown;
use futures::FutureExt;
use futures::future::BoxFuture;
use kube::Client;
use serde_json::Value;
use tokio::sync::Notify;

use super::engine::Engine;
use super::measure::Measure;
use super::notify::{Courier, Directory};
use super::query::Found;
use super::reports::Reports;
use super::{Options, Store, answer, rest, tools};
use crate::asked::{Asked, Page, Place, budget};
use crate::database::{DatabaseError, run};
use crate::observer::{Places, Refusal, Signal};

/// What lookers at alerts need.
pub(super) const ALERTS: &str = "alerts:view";
/// What lookers at incidents need.
pub(super) const INCIDENTS: &str = "incidents:view";

/// Answers queries of callers who may ask them, and evaluates the rules.
#[derive(Clone, Debug)]
pub(crate) struct Alerts<M> {
    pub(super) store: Store,
    measure: M,
    pub(super) places: Places,
    options: Options,
    reports: Option<Reports>,
}

impl<M: Measure> Alerts<M> {
    pub(crate) fn new(store: Store, measure: M, places: Places, options: Options) -> Self {
        let reports = options.reports.clone().map(Reports::new);
        Alerts { store, measure, places, options, reports }
    }

    /// Checks, asks, looks.
    pub(super) async fn find<T: Send + 'static>(
        &self,
        call: Call<'_>,
        action: &str,
        asked: Asked,
        look: impl FnOnce(&Store, &Page) -> Result<Found<T>, DatabaseError> + Send + 'static,
    ) -> Result<Found<T>, Refusal> {
        let page = asked.check().map_err(Refusal::Invalid)?;
        self.places.admit(call, action, &page.place).await?;
        Ok(run(&self.store, move |store| look(store, &page)).await?)
    }
}

impl<M: Measure + std::fmt::Debug> Signal for Alerts<M> {
    fn rest(&self) -> Router {
        Router::new()
            .route("/api/v1alpha1/alerts/query", post(rest::alerts::<M>))
            .route("/api/v1alpha1/incidents/query", post(rest::incidents::<M>))
            .route("/api/v1alpha1/incidents/{id}", put(rest::update::<M>))
            .route("/api/v1alpha1/notifications/query", post(rest::deliveries::<M>))
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
    ) -> BoxFuture<'a, Result<Value, Refusal>> {
        async move {
            let asked = Asked::of(&arguments, tools::DEFAULT_LIMIT);
            let budget = budget(&arguments);
            if tool.name == tools::QUERY_INCIDENTS {
                let scope = asked.search_scope.clone();
                let found = self.find(call, INCIDENTS, asked, Store::incidents).await?;
                let place = Place {
                    namespace: scope.namespace,
                    project: scope.project,
                    component: scope.component,
                    environment: scope.environment,
                };
                let reports = match &self.reports {
                    Some(reports) => reports.about(call.token, &place, &found.rows).await,
                    None => HashMap::new(),
                };
                Ok(answer::compact_incidents(&found, budget, &reports))
            } else {
                let found = self.find(call, ALERTS, asked, Store::alerts).await;
                found.map(|found| answer::compact_alerts(&found, budget))
            }
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
