//! Reports over HTTP: for people's clients with a token, and for the observer, which tells of alerts.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Json, Router, middleware};
use curtain_control::authz::{Gate, Hierarchy};
use curtain_control::identity::{Caller, Doorman, Secret, Validator, bearer, require_role};
use curtain_control::mcp::Call;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::alert::Request;
use super::chat::{Asked as Talk, Chats};
use super::decide::{Decided, decide};
use super::plain;
use super::refusal::{Refusal, refuse, reply};
use super::store::{Kept, Stage, Wanted};
use super::work::Analyst;

/// To read reports.
pub(super) const VIEW: &str = "rcareport:view";
/// To decide on what they propose, and to have something looked into.
pub(super) const UPDATE: &str = "rcareport:update";
const LONGEST_BODY: usize = 256 << 10;
const MOST: u32 = 10_000;

/// What every door needs.
#[derive(Clone)]
pub(super) struct Office {
    pub(super) analyst: Analyst,
    pub(super) gate: Arc<Gate>,
    pub(super) chats: Chats,
}

impl Office {
    /// Whether the caller may do `action` where `kept` is.
    pub(super) async fn may(
        &self,
        call: Call<'_>,
        action: &str,
        request: &Request,
    ) -> Result<(), Refusal> {
        let at = Hierarchy::namespace(request.namespace.clone())
            .project(request.project.clone())
            .component(request.component.clone());
        Ok(self.gate.check(call, action, (at, &request.environment)).await?)
    }

    /// The report `id`, if the caller may do `action` where it is.
    pub(super) async fn report(
        &self,
        call: Call<'_>,
        action: &str,
        id: &str,
    ) -> Result<Kept, Refusal> {
        let wanted = id.to_owned();
        let found = self.analyst.stored(move |store| store.get(&wanted)).await?;
        let kept = found.ok_or_else(|| Refusal::Missing(id.to_owned()))?;
        self.may(call, action, &kept.request).await?;
        Ok(kept)
    }

    /// The reports that are wanted, if the caller may see those of that place.
    pub(super) async fn reports(
        &self,
        call: Call<'_>,
        wanted: Wanted,
    ) -> Result<(Vec<Kept>, u64), Refusal> {
        if wanted.namespace.is_empty() {
            return Err(Refusal::Invalid("namespace is required".into()));
        }
        let at = Hierarchy::namespace(wanted.namespace.clone())
            .project(wanted.project.clone())
            .component(wanted.component.clone());
        self.gate.check(call, VIEW, (at, &wanted.environment)).await?;
        Ok(self.analyst.stored(move |store| store.list(&wanted)).await?)
    }
}

/// Routes for callers with a token, and the health check for everybody.
pub(super) fn reports(office: Office, validator: Arc<Validator>) -> Router {
    Router::new()
        .route("/api/v1/rca-agent/reports", get(list))
        .route("/api/v1/rca-agent/reports/{id}", get(show).put(update))
        .route("/api/v1alpha1/rca-agent/chat", post(chat))
        .with_state(office)
        .layer(middleware::from_fn_with_state(validator, bearer::require))
        .route("/health", get(|| async { Json(json!({"status": "healthy"})) }))
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
}

/// The observer's door.
pub(super) fn alerts(office: Office, doorman: Doorman) -> Router {
    Router::new()
        .route("/api/v1alpha1/rca-agent/analyze", post(analyze))
        .with_state(office)
        .layer(middleware::from_fn_with_state(doorman, require_role))
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
}

async fn analyze(State(office): State<Office>, Json(request): Json<Request>) -> Response {
    let begun = match request.check() {
        Ok(()) => office.analyst.begin(request).await.map_err(Refusal::from),
        Err(why) => Err(Refusal::Invalid(why)),
    };
    reply(begun.map(|kept| json!({"report_id": kept.id, "status": kept.stage.as_str()})))
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Asked {
    namespace: String,
    project: String,
    component: String,
    environment: String,
    alert_id: String,
    start_time: Option<Timestamp>,
    end_time: Option<Timestamp>,
    limit: Option<u32>,
    sort: String,
    status: String,
}

impl Asked {
    fn check(self) -> Result<Wanted, String> {
        let stage = match self.status.as_str() {
            "" => None,
            name => Some(Stage::of(name).ok_or_else(|| {
                format!("status is {name:?}; it must be pending, completed or failed")
            })?),
        };
        let newest_first = match self.sort.as_str() {
            "" | "desc" => true,
            "asc" => false,
            other => return Err(format!("sort is {other:?}; it must be asc or desc")),
        };
        let limit = self.limit.unwrap_or(100);
        if !(1..=MOST).contains(&limit) {
            return Err(format!("limit is {limit}; it must be between 1 and {MOST}"));
        }
        Ok(Wanted {
            namespace: self.namespace,
            project: self.project,
            component: self.component,
            environment: self.environment,
            alert: self.alert_id,
            between: (
                self.start_time.unwrap_or(Timestamp::UNIX_EPOCH),
                self.end_time.unwrap_or(Timestamp::MAX),
            ),
            stage,
            newest_first,
            limit,
        })
    }
}

async fn list(
    State(office): State<Office>,
    Extension(caller): Extension<Caller>,
    Extension(token): Extension<Secret>,
    Query(asked): Query<Asked>,
) -> Response {
    let call = Call { caller: &caller, token: &token };
    let found = match asked.check() {
        Ok(wanted) => office.reports(call, wanted).await,
        Err(why) => Err(Refusal::Invalid(why)),
    };
    reply(found.map(|(reports, total)| {
        let rows: Vec<Value> = reports.iter().map(row).collect();
        json!({"reports": rows, "totalCount": total})
    }))
}

/// A report in a list. `causeComponent` and `proposedFix` are ours.
pub(super) fn row(kept: &Kept) -> Value {
    let mut row = json!({
        "alertId": kept.request.alert.id, "reportId": kept.id, "timestamp": kept.time.to_string(),
        "summary": kept.summary, "status": kept.stage.as_str(), "component": kept.request.component,
    });
    if let Some(cause) = &kept.cause {
        row["causeComponent"] = cause.as_str().into();
    }
    if let Some(fix) = &kept.fix {
        row["proposedFix"] = plain::text(fix).into();
    }
    row
}

async fn show(
    State(office): State<Office>,
    Extension(caller): Extension<Caller>,
    Extension(token): Extension<Secret>,
    Path(id): Path<String>,
) -> Response {
    let call = Call { caller: &caller, token: &token };
    let found = async {
        let kept = office.report(call, VIEW, &id).await?;
        Ok(json!({
            // Ours: whether questions about it can be answered.
            "chat": office.chats.are_possible().await,
            "alertId": kept.request.alert.id, "reportId": kept.id, "timestamp": kept.time.to_string(),
            "status": kept.stage.as_str(), "summary": kept.summary, "report": kept.report,
        }))
    };
    reply(found.await)
}

async fn update(
    State(office): State<Office>,
    Extension(caller): Extension<Caller>,
    Extension(token): Extension<Secret>,
    Path(id): Path<String>,
    Json(decided): Json<Decided>,
) -> Response {
    let call = Call { caller: &caller, token: &token };
    let done = async {
        office.report(call, UPDATE, &id).await?;
        let who = caller.subject.clone();
        let changed = move |report: &mut Value| decide(report, &decided, &who, Timestamp::now());
        let id = id.clone();
        let refused = office.analyst.stored(move |store| store.change(&id, changed)).await?;
        refused.map_err(Refusal::Invalid)
    };
    reply(done.await.map(|()| json!({"status": "ok"})))
}

async fn chat(
    State(office): State<Office>,
    Extension(caller): Extension<Caller>,
    Extension(token): Extension<Secret>,
    Json(asked): Json<Talk>,
) -> Response {
    let call = Call { caller: &caller, token: &token };
    let answered = async {
        let kept = office.report(call, VIEW, &asked.report_id).await?;
        office.chats.answer(&kept, asked, (&caller.subject, token.clone())).await
    };
    answered.await.unwrap_or_else(|refusal| refuse(&refusal))
}
