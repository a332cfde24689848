//! Asking the control plane whether a caller may look.
//!
//! The observer has no policy: every query is a question to `/api/v1/authz/evaluates` with the caller's own
//! token. Yes and no are remembered for a few seconds, so that a page that refreshes does not double the
//! control plane's work.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use curtain_control::authz::{Attributes, Hierarchy};
use curtain_control::identity::Caller;
use curtain_role::{HttpClient, http_client};
use http::{Method, Request, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use serde::Deserialize;
use serde_json::json;

/// What lookers at logs need.
pub(super) const ACTION: &str = "logs:view";
/// How long an answer holds.
const REMEMBERED: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(10);
const MAX_ANSWERS: usize = 1024;
const MAX_REPLY: usize = 64 << 10;

/// Why a query was not answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum GateError {
    /// The caller may not look there.
    #[error("{0}")]
    Denied(String),
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
pub(super) struct Gate {
    url: Uri,
    client: HttpClient,
    answers: Mutex<HashMap<u64, Answer>>,
}

/// When it was given, and the reason of a refusal.
type Answer = (Instant, Result<(), String>);

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("url", &self.url).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Decision {
    decision: bool,
    #[serde(default)]
    context: Context,
}

#[derive(Default, Deserialize)]
struct Context {
    #[serde(default)]
    reason: String,
}

impl Gate {
    /// Asks at `base`, the REST API's URL.
    pub(super) fn new(base: &Uri) -> Result<Self, http::uri::InvalidUri> {
        let url = format!("{}/api/v1/authz/evaluates", base.to_string().trim_end_matches('/'));
        Ok(Gate { url: url.parse()?, client: http_client(), answers: Mutex::default() })
    }

    /// Whether the caller may look at the logs of a place.
    pub(super) async fn check(
        &self,
        caller: &Caller,
        token: &str,
        at: &Hierarchy,
        environment: &str,
    ) -> Result<(), GateError> {
        let key = {
            // The token itself is not kept, only what tells it apart.
            let mut hasher = DefaultHasher::new();
            (token, &at.namespace, &at.project, &at.component, environment).hash(&mut hasher);
            hasher.finish()
        };
        let known = {
            let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            answers
                .get(&key)
                .filter(|(when, _)| when.elapsed() < REMEMBERED)
                .map(|(_, answer)| answer.clone())
        };
        let answer = match known {
            Some(answer) => answer,
            None => {
                let answer = self.ask(caller, token, at, environment).await?;
                let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
                if answers.len() >= MAX_ANSWERS {
                    answers.retain(|_, (when, _)| when.elapsed() < REMEMBERED);
                }
                if answers.len() < MAX_ANSWERS {
                    answers.insert(key, (Instant::now(), answer.clone()));
                }
                answer
            }
        };
        answer.map_err(GateError::Denied)
    }

    async fn ask(
        &self,
        caller: &Caller,
        token: &str,
        at: &Hierarchy,
        environment: &str,
    ) -> Result<Result<(), String>, GateError> {
        let unavailable =
            |reason: String| GateError::Unavailable { url: self.url.to_string(), reason };
        let (kind, id) = match (at.component.as_str(), at.project.as_str()) {
            ("", "") => ("namespace", at.namespace.as_str()),
            ("", project) => ("project", project),
            (component, _) => ("component", component),
        };
        let attributes = Attributes::environment(&at.namespace, environment);
        let question = json!([{
            "resource": {"type": kind, "id": id, "hierarchy": at},
            "action": ACTION,
            "context": {"resource": attributes},
        }]);
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.url.clone())
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(question.to_string())))
            .map_err(|error| unavailable(error.to_string()))?;
        let exchange = async {
            let response = self
                .client
                .request(request)
                .await
                .map_err(|error| unavailable(error.to_string()))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_REPLY).collect().await;
            let body = body.map_err(|error| unavailable(error.to_string()))?.to_bytes();
            if !status.is_success() {
                return Err(unavailable(format!(
                    "it answered {status}: {}",
                    String::from_utf8_lossy(&body)
                )));
            }
            serde_json::from_slice::<Vec<Decision>>(&body)
                .map_err(|error| unavailable(error.to_string()))
        };
        let answers = tokio::time::timeout(PATIENCE, exchange)
            .await
            .map_err(|_| unavailable(format!("no answer within {} s", PATIENCE.as_secs())))??;
        let [decision] = answers.as_slice() else {
            return Err(unavailable(format!("it gave {} answers to one question", answers.len())));
        };
        Ok(if decision.decision {
            Ok(())
        } else {
            Err(refusal(caller, at, environment, &decision.context.reason))
        })
    }
}

/// What is missing, and how a person can grant it.
fn refusal(caller: &Caller, at: &Hierarchy, environment: &str, reason: &str) -> String {
    let mut place = format!("namespace {}", at.namespace);
    for (name, value) in [("project", &at.project), ("component", &at.component)] {
        if !value.is_empty() {
            place.push_str(&format!(", {name} {value}"));
        }
    }
    if !environment.is_empty() {
        place.push_str(&format!(", environment {environment}"));
    }
    let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
    format!(
        "{caller} lacks {ACTION} in {place}{reason}. A person with authzrolebinding:create can grant it: bind a role \
         with the action {ACTION} to sub={} in namespace {}",
        caller.subject, at.namespace
    )
}
