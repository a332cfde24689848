//! What only the observer and the SRE agent know.

use super::{User, refused};
use crate::error::BackendError;
use crate::model::taken;
use http::Method;
use serde_json::Value;

/// Where the SRE agent keeps its reports.
const REPORTS: &str = "/api/v1/rca-agent/reports";

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
