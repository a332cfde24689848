//! `/api/v1/audit`: who did what; and what puts it there for each request.

use axum::{
    Json, Router,
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
    routing::get,
};
use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Api, ApiError, error::Told, extract::Call};
use crate::{
    audit::{Audit, Outcome, Query, Record, moment, sum_up, trail},
    authz::{Attributes, Hierarchy, Question, Via},
    identity::{Caller, SubjectKind},
};

/// The action that shows what others did.
const ACTION: &str = "audit:view";
/// Records of a page when the client does not say, and at most.
const USUAL: usize = 100;
const MOST: usize = 1000;
/// Pages that are read at most for one answer that sums up.
const MOST_PAGES: usize = 5;
/// Asking about permissions changes nothing, and shows nothing; other roles do it in their callers' names.
const ASKING: &str = "/api/v1/authz/";

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/api/v1/audit", get(list)).route("/api/v1/audit/summary", get(summary))
}

/// Keeps a record of each change, and of whatever an agent does, before it is answered. The caller must be known.
pub(super) async fn follow(
    State(audit): State<Audit>,
    route: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let Some(caller) = request.extensions().get::<Caller>().cloned() else {
        return next.run(request).await;
    };
    let path = route.as_ref().map_or_else(|| request.uri().path(), MatchedPath::as_str);
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if path.starts_with(ASKING) || (reads && caller.kind != SubjectKind::Agent) {
        return next.run(request).await;
    }
    let (method, route) = (request.method().clone(), path.to_owned());
    let sent = Some(request.uri().path()).filter(|path| is_plain(path)).map(str::to_owned);
    let (response, trail) = trail::follow(next.run(request)).await;
    // Where no object is known, the names in the path are all that tells it.
    let call = match sent.filter(|_| trail.is_silent()) {
        Some(sent) => format!("{method} {sent}"),
        None => format!("{method} {route}"),
    };
    let told = response.extensions().get::<Told>();
    let status = response.status();
    let failure = told.map_or_else(|| status.to_string(), |Told(reason)| reason.clone());
    let failure = (!status.is_success()).then_some(failure);
    let failure = failure.as_deref();
    audit.keep(Record::of(&caller, (Via::Rest, call), &trail, failure, audit.now())).await;
    response
}

/// Whether `path` is short, and each character in it means only itself wherever it is shown.
fn is_plain(path: &str) -> bool {
    let plain = |char: char| char.is_ascii_alphanumeric() || "/-._".contains(char);
    path.len() <= 200 && path.chars().all(plain)
}

/// Whether the caller sees what others did; without the permission it sees its own.
fn scope(api: &Api, call: &Call, query: &mut Query) -> Result<(), ApiError> {
    let at = match &query.namespace {
        Some(namespace) => Hierarchy::namespace(namespace),
        None => Hierarchy::cluster(),
    };
    let authorizer = api.objects.authorizer();
    let own = query.actor.as_deref().is_none_or(|actor| actor == call.caller.subject);
    if authorizer.allows(&call.caller, ACTION, &at, &Attributes::default()) {
        return Ok(());
    }
    if !own {
        let question = Question { action: ACTION, at: &at, attributes: &Attributes::default() };
        let ask = call.ask();
        authorizer
            .authorize(ask.caller, ask.via, question, "")
            .map_err(|denial| ApiError(denial.into()))?;
    }
    query.actor = Some(call.caller.subject.clone());
    query.actor_kind = Some(call.caller.kind);
    Ok(())
}

async fn list(State(api): State<Api>, call: Call) -> Result<Json<Value>, ApiError> {
    let text = |name: &str| call.parameter(name).map(str::to_owned);
    let now = api.audit.now();
    let limit: usize = call.number("limit")?.unwrap_or(USUAL);
    let mut query = Query {
        actor: text("actor"),
        actor_kind: None,
        action: text("action"),
        result: call.parameter("result").map(outcome).transpose()?,
        namespace: text("namespace"),
        changes: call.flag("changes"),
        since: call.parameter("since").map(|text| time("since", text, now)).transpose()?,
        until: call.parameter("until").map(|text| time("until", text, now)).transpose()?,
        before: call.number("cursor")?,
        limit: limit.clamp(1, MOST),
    };
    scope(&api, &call, &mut query)?;
    if call.flag("summed") {
        return summed(&api, query).await;
    }
    let found = api.audit.find(query).await.map_err(unavailable)?;
    let mut pagination = json!({});
    if let Some(last) = found.records.last().filter(|_| found.more) {
        pagination["nextCursor"] = json!(last.number.to_string());
    }
    Ok(Json(json!({"items": found.records, "pagination": pagination})))
}

/// As many entries as are asked for, of the newest records. What is older is asked for by `until`.
async fn summed(api: &Api, mut query: Query) -> Result<Json<Value>, ApiError> {
    let wanted = std::mem::replace(&mut query.limit, MOST);
    let mut records = Vec::new();
    for _ in 0..MOST_PAGES {
        let found = api.audit.find(query.clone()).await.map_err(unavailable)?;
        query.before = found.records.last().map(|last| last.number);
        records.extend(found.records);
        // The oldest sum may go on in the next page.
        if !found.more || sum_up(records.iter().rev()).len() > wanted {
            break;
        }
    }
    let mut entries = sum_up(records.iter().rev());
    entries.reverse();
    entries.truncate(wanted);
    Ok(Json(json!({"items": entries, "pagination": {}})))
}

async fn summary(State(api): State<Api>, call: Call) -> Result<Json<Value>, ApiError> {
    let mut query = Query::default();
    scope(&api, &call, &mut query)?;
    let all = api.audit.counts();
    let mut items: Vec<Value> = Vec::new();
    for agent in api.directory.all(SubjectKind::Agent) {
        let visible = query.actor.is_none()
            || (query.actor.as_ref() == Some(&agent.name)
                && query.actor_kind == Some(SubjectKind::Agent));
        if visible {
            let mut item = json!(all.get(&agent.name).cloned().unwrap_or_default());
            item["agent"] = json!(agent.name);
            items.push(item);
        }
    }
    Ok(Json(json!({ "items": items })))
}

fn outcome(text: &str) -> Result<Outcome, ApiError> {
    serde_json::from_value(json!(text)).map_err(|_| {
        ApiError::bad_request(format!("result is allowed, denied or failed, not {text:?}"))
    })
}

fn time(name: &str, text: &str, now: Timestamp) -> Result<Timestamp, ApiError> {
    moment(text, now).ok_or_else(|| {
        ApiError::bad_request(format!(
            "{name} is a time by RFC 3339 or how long ago, such as 15m, not {text:?}"
        ))
    })
}

fn unavailable(error: crate::audit::StoreError) -> ApiError {
    ApiError(crate::objects::Error::Audit(error))
}
