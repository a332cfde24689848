//! Asking the control plane whether a caller may look.
//!
//! Roles beside the API server have no policy: every query to them is a question to `/api/v1/authz/evaluates` with the
//! caller's own token. Yes and no are remembered for a few seconds, so that a page that refreshes does not double the
//! control plane's work. Where nothing was found, `/api/v1/authz/names` tells whether there is what was named.

mod foresee;
mod names;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use curtain_role::{HttpClient, Instance, http_client};
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Attributes, Decision, Denial, Hierarchy, Question, Via, audit};
use crate::audit::{Observed, Witness};
use crate::identity::{Secret, SubjectKind};
use crate::mcp::Call;

pub use names::{Absent, Named};

/// How long an answer holds.
const REMEMBERED: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(10);
const MAX_ANSWERS: usize = 1024;
const MAX_REPLY: usize = 256 << 10;

/// Why a query was not answered.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// The caller may not look there.
    #[error("{0}")]
    Denied(String),
    /// The control plane does not take the caller's token any more.
    #[error("the control plane does not accept the token: {0}")]
    Token(String),
    /// The control plane did not say.
    #[error("cannot ask the control plane at {url} whether this is allowed: {reason}")]
    Unavailable {
        /// Whom we asked.
        url: String,
        /// What happened.
        reason: String,
    },
}

/// The way to the control plane's decisions.
pub struct Gate {
    base: String,
    instance: Instance,
    /// The door that decisions are recorded as.
    via: Via,
    client: HttpClient,
    /// By a number that nobody outside can work out, and so cannot make two questions share an answer.
    answers: Mutex<HashMap<u64, Answer>>,
    numbers: RandomState,
    witness: Witness,
}

/// When it was given, and what it was.
type Answer = (Instant, Decision);

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("base", &self.base).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Evaluated {
    decision: bool,
    context: Decision,
}

impl Gate {
    /// Asks at `base`, the URL of the REST API of `instance`, for the door `via`.
    pub fn new(base: &Uri, instance: Instance, via: Via) -> Self {
        let base = base.to_string().trim_end_matches('/').to_owned();
        let (answers, numbers) = (Mutex::default(), RandomState::new());
        let witness = Witness::default();
        Gate { base, instance, via, client: http_client(), answers, numbers, witness }
    }

    /// The same, of which `witness` tells what was asked.
    pub fn witnessed(self, witness: Witness) -> Self {
        Gate { witness, ..self }
    }

    /// Whether the caller may do `action` at a place in an environment, or in any if that is empty. Each refusal leaves its audit line here, where it is acted on:
    /// the control plane was only asked.
    pub async fn check(
        &self,
        Call { caller, token }: Call<'_>,
        action: &str,
        (at, environment): (Hierarchy, &str),
    ) -> Result<(), GateError> {
        let at = &at;
        let key = self.numbers.hash_one((token.expose(), action, at, environment));
        let attributes = Attributes::environment(&at.namespace, environment);
        let question = Question { action, at, attributes: &attributes };
        let (kind, id) = named(at);
        let decision = match self.remembered(key) {
            Some(decision) => decision,
            None => {
                let decision = self.decide(token, question).await?;
                self.remember(key, decision.clone());
                decision
            }
        };
        let object = format!("{kind}/{id}");
        // What people look at is theirs; what they change or may not see, and whatever an agent asks, is recorded.
        let allowed = decision.is_allowed();
        if !allowed || caller.kind == SubjectKind::Agent || !action.ends_with(":view") {
            let now = jiff::Timestamp::now();
            let observed = Observed::new(caller, question, &object, decision.clone(), now);
            self.witness.saw(observed.through(self.via));
        }
        if allowed {
            return Ok(());
        }
        audit(caller, self.via, question, &object, &decision);
        let denial = Denial::new(caller, question, &decision, &self.instance);
        Err(GateError::Denied(denial.to_string()))
    }

    /// Whether the caller may do `action` anywhere. A control plane that does not say is no reason to hide what there
    /// is: each query is asked about anyway.
    pub async fn anywhere(&self, token: &Secret, action: &str) -> bool {
        let key = self.numbers.hash_one((token.expose(), action));
        if let Some(decision) = self.remembered(key) {
            return decision.is_allowed();
        }
        let request = Request::get(format!("{}/api/v1/authz/profile", self.base));
        match self.ask::<Value>(request, token, Bytes::new()).await {
            Ok(profile) => {
                let places = profile["capabilities"][action]["allowed"].as_array();
                let may = places.is_some_and(|places| !places.is_empty());
                // Only whether, not by what: no record is made of it.
                let (binding, entitlement) = (String::new(), String::new());
                self.remember(
                    key,
                    match may {
                        true => Decision::Allowed { binding, entitlement, granted_by: None },
                        false => Decision::Missing { unmet: None },
                    },
                );
                may
            }
            Err(error) => {
                tracing::warn!(%error, "tools are listed unfiltered");
                true
            }
        }
    }

    fn remembered(&self, key: u64) -> Option<Decision> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, decision) = answers.get(&key).filter(|(when, _)| when.elapsed() < REMEMBERED)?;
        Some(decision.clone())
    }

    fn remember(&self, key: u64, decision: Decision) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= MAX_ANSWERS {
            answers.retain(|_, (when, _)| when.elapsed() < REMEMBERED);
        }
        if answers.len() < MAX_ANSWERS {
            answers.insert(key, (Instant::now(), decision));
        }
    }

    async fn decide(&self, token: &Secret, question: Question<'_>) -> Result<Decision, GateError> {
        let (kind, id) = named(question.at);
        let asked = json!([{
            "resource": {"type": kind.to_ascii_lowercase(), "id": id, "hierarchy": question.at},
            "action": question.action,
            "context": {"resource": question.attributes},
        }]);
        let request = Request::post(format!("{}/api/v1/authz/evaluates", self.base))
            .header(header::CONTENT_TYPE, "application/json");
        let answers: Vec<Evaluated> = self.ask(request, token, asked.to_string().into()).await?;
        let one: Result<[Evaluated; 1], _> = answers.try_into();
        let [Evaluated { decision, context }] = one.map_err(|answers| {
            self.unavailable(format!("it gave {} answers to one question", answers.len()))
        })?;
        match context.is_allowed() == decision {
            true => Ok(context),
            false => Err(self.unavailable("its answer contradicts itself".to_owned())),
        }
    }

    fn unavailable(&self, reason: String) -> GateError {
        GateError::Unavailable { url: self.base.clone(), reason }
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        request: http::request::Builder,
        token: &Secret,
        body: Bytes,
    ) -> Result<T, GateError> {
        let request = request
            .header(header::AUTHORIZATION, format!("Bearer {}", token.expose()))
            .body(Full::new(body))
            .map_err(|error| self.unavailable(error.to_string()))?;
        let exchange = async {
            let response = self.client.request(request).await.map_err(|error| error.to_string())?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_REPLY).collect().await;
            Ok((status, body.map_err(|error| error.to_string())?.to_bytes()))
        };
        let (status, body) = tokio::time::timeout(PATIENCE, exchange)
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))
            .map_err(|reason: String| self.unavailable(reason))?;
        if status == StatusCode::UNAUTHORIZED {
            let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
            return Err(GateError::Token(answer["message"].as_str().unwrap_or("401").to_owned()));
        }
        if !status.is_success() {
            let text = String::from_utf8_lossy(&body);
            return Err(self.unavailable(format!("it answered {status}: {text}")));
        }
        serde_json::from_slice(&body).map_err(|error| self.unavailable(error.to_string()))
    }
}

/// Kind and name of what stands at `at`.
fn named(at: &Hierarchy) -> (&'static str, &str) {
    match (at.component.as_str(), at.project.as_str()) {
        ("", "") => ("Namespace", at.namespace.as_str()),
        ("", project) => ("Project", project),
        (component, _) => ("Component", component),
    }
}
