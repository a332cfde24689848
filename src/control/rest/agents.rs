//! `/api/v1/agents`: the agents, what is granted to them, granting and revoking.

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    routing::{get, post},
};
use http::StatusCode;
use serde_json::{Value, json};

use super::{Api, ApiError, extract::Call};
use crate::{
    audit::trail,
    authz::{GRANT_KINDS, Hierarchy},
    identity::SubjectKind,
    objects::{Error, Wish, kind},
};

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/v1/agents", get(list))
        .route("/api/v1/agents/{name}/grants", post(grant).delete(revoke))
}

/// Who may see no role binding at all sees no agent but itself.
async fn list(State(api): State<Api>, call: Call) -> Result<Json<Value>, ApiError> {
    let authorizer = api.objects.authorizer();
    let everywhere = Hierarchy::cluster();
    let sees = authorizer.can_anywhere(&call.caller, "authzrolebinding:view", &everywhere);
    let mut agents = api.directory.all(SubjectKind::Agent);
    agents.retain(|agent| {
        let itself = call.caller.kind == SubjectKind::Agent && agent.name == call.caller.subject;
        sees || itself
    });
    let names: Vec<String> = agents.iter().map(|agent| agent.name.clone()).collect();
    let grants = api.objects.grants(call.ask(), &names).await?;
    let counts = api.audit.counts();
    let items: Vec<Value> = agents
        .iter()
        .zip(grants)
        .map(|(agent, grants)| {
            let activity = counts.get(&agent.name).cloned().unwrap_or_default();
            json!({
                "name": agent.name,
                "displayName": agent.display_name,
                "grants": grants,
                "activity": activity,
            })
        })
        .collect();
    let kinds: Vec<Value> = GRANT_KINDS
        .iter()
        .map(|kind| json!({"name": kind.name, "description": kind.about}))
        .collect();
    Ok(Json(json!({"items": items, "kinds": kinds})))
}

async fn grant(
    State(api): State<Api>,
    call: Call,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let wish: Wish = serde_json::from_slice(&body)
        .map_err(|error| ApiError::bad_request(format!("the body is no grant: {error}")))?;
    known(&api, call.name())?;
    let namespace = Some(&wish.namespace).filter(|name| kind("Namespace").names(name));
    let at = namespace.map_or_else(Hierarchy::cluster, Hierarchy::namespace);
    trail::asked("grant", &format!("Agent/{}", call.name()), &at);
    let granted = api.objects.grant(call.ask(), call.name(), wish).await?;
    Ok((StatusCode::CREATED, Json(json!(granted))))
}

/// Without `kind`, a list with commas, everything is revoked; also of an agent that is gone.
async fn revoke(State(api): State<Api>, call: Call) -> Result<Json<Value>, ApiError> {
    let roles: Vec<String> = match call.parameter("kind") {
        Some(kinds) => kinds.split(',').map(|kind| kind.trim().to_owned()).collect(),
        None => Vec::new(),
    };
    let revoked = api.objects.revoke(call.ask(), call.name(), &roles).await?;
    Ok(Json(json!({ "revoked": revoked })))
}

fn known(api: &Api, name: &str) -> Result<(), Error> {
    match api.directory.find(name, SubjectKind::Agent) {
        Some(_) => Ok(()),
        None if kind("Namespace").names(name) => {
            Err(Error::NotFound { kind: "Agent", name: name.to_owned() })
        }
        None => Err(Error::BadRequest("that is no name of an agent".to_owned())),
    }
}
