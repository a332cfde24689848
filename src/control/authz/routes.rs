//! `/api/v1/authz/*` and `/api/v1/authn/subject-types`: asking about permissions.

use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::{Query, State},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{ACTIONS, Attributes, Authorizer, Decision, Hierarchy, Question};
use crate::identity::{Caller, SubjectKind};

/// Questions in one request.
const MOST_QUESTIONS: usize = 500;

/// The routes, to be put behind the bearer layer.
pub fn routes(authorizer: Authorizer) -> Router {
    Router::new()
        .route("/api/v1/authz/evaluates", post(evaluates))
        .route("/api/v1/authz/profile", get(profile))
        .route("/api/v1/authz/actions", get(actions))
        .route("/api/v1/authn/subject-types", get(subject_types))
        .with_state(authorizer)
}

/// How the API describes a subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubjectContext {
    /// `user` or `service_account`.
    pub r#type: String,
    /// Such as `groups`.
    pub entitlement_claim: String,
    /// Such as `[developers]`.
    pub entitlement_values: Vec<String>,
}

impl From<&Caller> for SubjectContext {
    fn from(caller: &Caller) -> Self {
        let (claim, values) = if caller.groups.is_empty() {
            ("sub", vec![caller.subject.clone()])
        } else {
            ("groups", caller.groups.clone())
        };
        let r#type = if caller.kind == SubjectKind::Service { "service_account" } else { "user" };
        Self { r#type: r#type.into(), entitlement_claim: claim.into(), entitlement_values: values }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Evaluate {
    #[serde(default)]
    subject_context: Option<SubjectContext>,
    resource: ResourceRef,
    action: String,
    #[serde(default)]
    context: Context,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResourceRef {
    #[allow(dead_code, reason = "part of the request, but only the place counts")]
    #[serde(default)]
    r#type: String,
    #[allow(dead_code, reason = "part of the request, but only the place counts")]
    #[serde(default)]
    id: String,
    #[serde(default)]
    hierarchy: Hierarchy,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Context {
    #[serde(default)]
    resource: Attributes,
}

fn refuse(status: StatusCode, code: &str, error: impl std::fmt::Display) -> Response {
    (status, Json(json!({"error": error.to_string(), "code": code}))).into_response()
}

/// Only who may see bindings may ask about somebody else: the answers tell what the bindings say.
async fn evaluates(
    State(authorizer): State<Authorizer>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Response {
    let questions: Vec<Evaluate> = match serde_json::from_slice(&body) {
        Ok(questions) => questions,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, "BAD_REQUEST", error),
    };
    if questions.is_empty() || questions.len() > MOST_QUESTIONS {
        let error = format!("send 1 to {MOST_QUESTIONS} requests in an array");
        return refuse(StatusCode::BAD_REQUEST, "BAD_REQUEST", error);
    }
    let own = SubjectContext::from(&caller);
    let (nowhere, anything) = (Hierarchy::cluster(), Attributes::default());
    let may_ask = authorizer.allows(&caller, "clusterauthzrolebinding:view", &nowhere, &anything);
    let mut answers = Vec::with_capacity(questions.len());
    for asked in &questions {
        let question = Question {
            action: &asked.action,
            at: &asked.resource.hierarchy,
            attributes: &asked.context.resource,
        };
        let decision = match &asked.subject_context {
            Some(other) if *other != own => {
                if !may_ask {
                    let error = "asking about another subject needs clusterauthzrolebinding:view";
                    return refuse(StatusCode::FORBIDDEN, "FORBIDDEN", error);
                }
                let claim = other.entitlement_claim.as_str();
                let values = other.entitlement_values.iter();
                authorizer.decide(values.map(|value| (claim, value.as_str())), question)
            }
            _ => authorizer.decide(caller.entitlements(), question),
        };
        answers.push(answer(&decision, question));
    }
    Json(answers).into_response()
}

fn answer(decision: &Decision, question: Question<'_>) -> Value {
    let mut context = json!(decision);
    context["reason"] = json!(decision.reason(question));
    json!({"decision": decision.is_allowed(), "context": context})
}

async fn profile(
    State(authorizer): State<Authorizer>,
    Extension(caller): Extension<Caller>,
    Query(place): Query<Hierarchy>,
) -> Json<Value> {
    Json(json!({
        "user": SubjectContext::from(&caller),
        "capabilities": authorizer.profile(&caller, &place),
        "evaluatedAt": jiff::Timestamp::now().to_string(),
    }))
}

async fn actions() -> Json<Value> {
    let listed: Vec<Value> = ACTIONS
        .iter()
        .map(|action| {
            let mut listed = json!({"name": action.name(), "lowestScope": action.level});
            let conditions: Vec<Value> = action
                .attributes()
                .iter()
                .map(|attribute| json!({"key": attribute.key(), "description": attribute.description()}))
                .collect();
            if !conditions.is_empty() {
                listed["conditions"] = json!(conditions);
            }
            listed
        })
        .collect();
    Json(Value::Array(listed))
}

async fn subject_types() -> Json<Value> {
    let entry = |kind: &str, shown: &str, priority: u8, claim: &str, claim_shown: &str| {
        json!({
            "type": kind,
            "displayName": shown,
            "priority": priority,
            "authMechanisms": [
                {"type": "jwt", "entitlement": {"claim": claim, "displayName": claim_shown}}
            ],
        })
    };
    Json(json!([
        entry("user", "User", 1, "groups", "User Group"),
        entry("service_account", "Service Account", 2, "sub", "Client ID"),
    ]))
}
