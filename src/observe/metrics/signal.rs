//! Metrics as the observer serves them: the one way from a query to its answer, for REST and MCP alike.

use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use curtain_control::identity::{Caller, Secret};
use curtain_control::mcp::economy::{MOST, TYPICAL};
use curtain_control::mcp::{Arguments, Call, Tool};
use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use serde_json::Value;

use super::ask::{self, CostQuery, Metric, MetricsQuery, TopologyQuery, Window};
use super::costs::{Cost, Prices, Recommendation};
use super::requests::Http;
use super::resources::Resources;
use super::topology::Topology;
use super::wire::{Batch, SAMPLES_PATH};
use super::{Joined, Store, answer, application, bills, drawn, tools};
use crate::asked::Asked;
use crate::database::{DatabaseError, run};
use crate::observer::{Places, Refusal, Signal, intake, rest};

/// What lookers at metrics need.
pub(super) const METRICS: &str = "metrics:view";
/// What lookers at costs need.
pub(super) const FINOPS: &str = "finops:view";
/// Points of a series that an agent gets at most.
const MOST_POINTS: i64 = 240;

/// Answers queries of callers who may ask them.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    kept: Joined,
    places: Places,
    prices: Prices,
}

/// What a query over time found.
enum Found {
    Resources(Resources),
    Http(Http),
}

impl Metrics {
    pub(crate) fn new(kept: Joined, places: Places, prices: Prices) -> Self {
        Metrics { kept, places, prices }
    }

    /// Asks whether the caller may, and looks.
    async fn look<T: Send + 'static>(
        &self,
        call: Call<'_>,
        action: &str,
        window: &Window,
        look: impl FnOnce(&Joined, &Window) -> Result<T, DatabaseError> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.places.admit(call, action, &window.place).await?;
        let window = window.clone();
        Ok(run(&self.kept, move |kept| look(kept, &window)).await?)
    }

    async fn measured(
        &self,
        call: Call<'_>,
        metric: Metric,
        window: &Window,
    ) -> Result<Found, Refusal> {
        Ok(match metric {
            Metric::Resource => {
                let look = |kept: &Joined, window: &Window| kept.samples.resources(window);
                Found::Resources(self.look(call, METRICS, window, look).await?)
            }
            Metric::Http => Found::Http(self.look(call, METRICS, window, Joined::requests).await?),
        })
    }

    async fn topology(&self, call: Call<'_>, window: &Window) -> Result<Topology, Refusal> {
        self.look(call, METRICS, window, Joined::topology).await
    }

    async fn costs(&self, call: Call<'_>, window: &Window) -> Result<Vec<Cost>, Refusal> {
        let prices = self.prices;
        let look = move |kept: &Joined, window: &Window| kept.samples.costs(window, prices);
        self.look(call, FINOPS, window, look).await
    }

    async fn recommendations(
        &self,
        call: Call<'_>,
        window: &Window,
    ) -> Result<Vec<Recommendation>, Refusal> {
        let look = |kept: &Joined, window: &Window| kept.samples.recommendations(window);
        self.look(call, FINOPS, window, look).await
    }

    /// A tool's answer about what was measured over time.
    async fn told(
        &self,
        call: Call<'_>,
        arguments: &Arguments,
        metric: &str,
    ) -> Result<Value, Refusal> {
        let stepped = !arguments.text("step").is_empty();
        let query = tools::metrics(arguments, metric).check().map_err(Refusal::Invalid)?;
        let (metric, mut window) = query;
        let longer = stepped && window.at_most(MOST_POINTS);
        Ok(match self.measured(call, metric, &window).await? {
            Found::Resources(found) => {
                answer::compact_resources(&found, &window, (stepped, longer))
            }
            Found::Http(found) => answer::compact_http(&found, &window, (stepped, longer)),
        })
    }

    /// A tool's answer.
    async fn answer(
        &self,
        call: Call<'_>,
        tool: &str,
        arguments: &Arguments,
    ) -> Result<Value, Refusal> {
        let costs = || {
            let (namespace, environment) =
                (arguments.text("namespace"), arguments.text("environment"));
            tools::costs(arguments).check(namespace, environment).map_err(Refusal::Invalid)
        };
        match tool {
            "query_resource_metrics" => self.told(call, arguments, "resource").await,
            "query_http_metrics" => self.told(call, arguments, "http").await,
            "query_topology" => {
                let query = tools::topology(arguments);
                let window = query.check().map_err(Refusal::Invalid)?;
                let found = self.topology(call, &window).await?;
                Ok(drawn::compact(&found, &window.place, TYPICAL))
            }
            "query_app_metrics" => {
                let window = ask::window(Asked::of(arguments, 0), "").map_err(Refusal::Invalid)?;
                let name = arguments.text("name").to_owned();
                let budget = if name.is_empty() { TYPICAL } else { MOST };
                let look =
                    move |kept: &Joined, window: &Window| kept.samples.scraped(window, &name);
                Ok(application::compact(&self.look(call, METRICS, &window, look).await?, budget))
            }
            "query_costs" => {
                let stepped = !arguments.text("granularity").is_empty();
                let found = self.costs(call, &costs()?).await?;
                Ok(bills::compact_costs(&found, stepped, TYPICAL))
            }
            _ => {
                let found = self.recommendations(call, &costs()?).await?;
                Ok(bills::compact_recommendations(&found, self.prices, TYPICAL))
            }
        }
    }
}

impl Signal for Metrics {
    fn rest(&self) -> Router {
        let costs_path = "/api/v1alpha1/costs/namespaces/{namespace}/environments/{environment}";
        Router::new()
            .route("/api/v1/metrics/query", post(query))
            .route("/api/v1alpha1/metrics/runtime-topology", post(topology))
            .route(costs_path, get(costs))
            .route(&format!("{costs_path}/recommendations"), get(recommendations))
            .with_state(self.clone())
    }

    fn ingest(&self) -> Router {
        let ingest =
            |store: &Store, batch: Batch| store.ingest(&batch, Timestamp::now().as_second());
        intake::route(SAMPLES_PATH, self.kept.samples.clone(), ingest)
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
        async move { self.answer(call, tool.name, &arguments).await }.boxed()
    }

    fn prune(&self, now: i64) -> BoxFuture<'_, Result<usize, DatabaseError>> {
        run(&self.kept.samples, move |store| store.prune(now)).boxed()
    }
}

async fn query(State(metrics): State<Metrics>, request: rest::Request) -> Response {
    rest::ask("M", request, async |call: Call<'_>, query: MetricsQuery| {
        let (metric, window) = query.check().map_err(Refusal::Invalid)?;
        Ok(match metrics.measured(call, metric, &window).await? {
            Found::Resources(found) => answer::resources(&found, &window),
            Found::Http(found) => answer::http(&found, &window),
        })
    })
    .await
}

async fn topology(State(metrics): State<Metrics>, request: rest::Request) -> Response {
    rest::ask("RG", request, async |call: Call<'_>, query: TopologyQuery| {
        let gateways = query.include_gateways.unwrap_or(true);
        let external = query.include_external.unwrap_or(true);
        let window = query.check().map_err(Refusal::Invalid)?;
        let found = metrics.topology(call, &window).await?;
        Ok(drawn::answer(&found, &window, (gateways, external), Timestamp::now()))
    })
    .await
}

/// Whose costs, and when.
type Costs = (Path<(String, String)>, Query<CostQuery>);

/// The window that a query of costs means.
fn window((Path((namespace, environment)), Query(query)): Costs) -> Result<Window, Refusal> {
    query.check(&namespace, &environment).map_err(Refusal::Invalid)
}

async fn costs(
    State(metrics): State<Metrics>,
    asked: Costs,
    Extension(caller): Extension<Caller>,
    Extension(token): Extension<Secret>,
) -> Response {
    let call = Call { caller: &caller, token: &token };
    let answer = async { Ok(bills::costs(&metrics.costs(call, &window(asked)?).await?)) };
    rest::reply("F", answer.await)
}

async fn recommendations(
    State(metrics): State<Metrics>,
    asked: Costs,
    Extension(caller): Extension<Caller>,
    Extension(token): Extension<Secret>,
) -> Response {
    let call = Call { caller: &caller, token: &token };
    let answer = async {
        let found = metrics.recommendations(call, &window(asked)?).await?;
        Ok(bills::recommendations(&found, metrics.prices))
    };
    rest::reply("F", answer.await)
}
