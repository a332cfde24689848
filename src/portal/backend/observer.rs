//! What only the observer and the SRE agent know.

use super::User;
use super::user::refused;
use crate::error::BackendError;
use crate::model::taken;
use http::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// Where the SRE agent keeps its reports.
const REPORTS: &str = "/api/v1/rca-agent/reports";
/// How long it may think about a question; a little more than it allows itself.
const ANSWER: Duration = Duration::from_secs(280);

impl User<'_> {
    /// Log lines of a component, from the observer.
    pub(crate) async fn logs(&self, query: &Value) -> Result<Vec<Value>, BackendError> {
        let mut answer = self.observed("/api/v1/logs/query", query).await?;
        Ok(taken(&mut answer["logs"]))
    }

    /// What the observer answers to a query.
    pub(crate) async fn observed(&self, path: &str, query: &Value) -> Result<Value, BackendError> {
        self.ask(Method::POST, &self.backend.observer, path, Some(query)).await
    }

    /// Changes what the observer keeps.
    pub(crate) async fn observe(&self, path: &str, change: &Value) -> Result<Value, BackendError> {
        self.ask(Method::PUT, &self.backend.observer, path, Some(change)).await
    }

    /// What the SRE agent answers; `path` begins behind its own prefix.
    pub(crate) async fn reports(&self, path: &str) -> Result<Value, BackendError> {
        self.ask(Method::GET, &self.backend.sre, &format!("{REPORTS}{path}"), None).await
    }

    /// Tells the SRE agent what became of its proposals.
    pub(crate) async fn report(&self, path: &str, change: &Value) -> Result<Value, BackendError> {
        self.ask(Method::PUT, &self.backend.sre, &format!("{REPORTS}{path}"), Some(change)).await
    }

    /// What the SRE agent answers to a question about the report `id`. It tells in lines what it does; the last one is the
    /// answer, or why there is none.
    pub(crate) async fn question(&self, id: &str, words: &str) -> Result<String, BackendError> {
        let body = json!({"reportId": id, "messages": [{"role": "user", "content": words}]});
        let url = format!("{}/api/v1alpha1/rca-agent/chat", self.backend.sre);
        let request = self.request(Method::POST, &url);
        let (status, _, bytes) =
            self.backend.bytes(request, body.to_string().into(), ANSWER).await?;
        if !status.is_success() {
            return Err(refused(status, &serde_json::from_slice(&bytes).unwrap_or_default()));
        }
        let last = bytes.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty());
        let last: Value = serde_json::from_slice(last.unwrap_or_default()).unwrap_or_default();
        let message = last["message"].as_str().unwrap_or("the answer broke off").to_owned();
        if last["type"] == "done" { Ok(message) } else { Err(BackendError::Unavailable(message)) }
    }

    async fn ask(
        &self,
        method: Method,
        base: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, BackendError> {
        let request = self.request(method, &format!("{base}{path}"));
        let body = body.map(|body| body.to_string().into()).unwrap_or_default();
        let (status, _, value) = self.backend.send(request, body).await?;
        if status.is_success() { Ok(value) } else { Err(refused(status, &value)) }
    }
}
