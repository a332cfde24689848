//! What all services of the shop share, so that a service is only its own idea.
//!
//! A service names its [routes](Route) and answers a [`Call`] with a [`Reply`] or a [`Failure`]; it asks others through
//! an [`Upstream`]. Around that the [server](serve) reads and writes trace context, records spans, counts, logs, and
//! makes the [faults] that were switched on.
//!
//! Invariants: nothing here reads the environment or prints; every call to another service has a limit; queues and
//! bodies are bounded; probes and scrapes are neither counted, logged nor traced.

mod export;
mod failure;
pub mod faults;
mod log;
mod metrics;
mod open;
mod rpc;
mod server;
mod settings;
mod span;
mod tls;
mod trace;
mod upstream;

use std::{pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use curtain_role::{HttpClient, Shutdown, dns::Resolver};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use prost::Message;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub(crate) use failure::Failure;
pub(crate) use log::{Level, Log};
pub(crate) use metrics::Metrics;
pub(crate) use server::{Served, serve};
pub use settings::Settings;
pub(crate) use tls::{AUTHORITY, Identity};
pub(crate) use trace::Context;
pub(crate) use upstream::{Asked, Upstream};

/// Milliseconds that another service may take.
pub const TIMEOUT: &str = "REQUEST_TIMEOUT_MS";

/// What is to be done, one day.
pub(crate) type Answering<'a> = Pin<Box<dyn Future<Output = Result<Reply, Failure>> + Send + 'a>>;

/// A service.
pub(crate) trait Service: Send + Sync + 'static {
    /// What it answers to.
    fn routes(&self) -> &'static [Route];

    /// Answers a call to one of its routes.
    fn answer<'a>(&'a self, call: &'a Call) -> Answering<'a>;

    /// A page for a failure, in services for people.
    fn page(&self, _: &Call, _: &Failure) -> Option<Reply> {
        None
    }
}

/// Something a service answers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Route {
    method: &'static str,
    /// A path; `{id}` stands for one part of it.
    pattern: &'static str,
    is_rpc: bool,
}

impl Route {
    pub(crate) const fn get(pattern: &'static str) -> Self {
        Self { method: "GET", pattern, is_rpc: false }
    }

    pub(crate) const fn post(pattern: &'static str) -> Self {
        Self { method: "POST", pattern, is_rpc: false }
    }

    pub(crate) const fn put(pattern: &'static str) -> Self {
        Self { method: "PUT", pattern, is_rpc: false }
    }

    pub(crate) const fn delete(pattern: &'static str) -> Self {
        Self { method: "DELETE", pattern, is_rpc: false }
    }

    pub(crate) const fn rpc(path: &'static str) -> Self {
        Self { method: "POST", pattern: path, is_rpc: true }
    }

    /// What stands for `{id}` if `path` is one of this route's; empty for a route without.
    fn id<'p>(&self, path: &'p str) -> Option<&'p str> {
        let Some((before, after)) = self.pattern.split_once("{id}") else {
            return (self.pattern == path).then_some("");
        };
        let id = path.strip_prefix(before)?.strip_suffix(after)?;
        (!id.is_empty() && !id.contains('/')).then_some(id)
    }
}

/// What a service runs with.
pub(crate) struct Frame {
    pub(crate) name: &'static str,
    pub(crate) settings: Settings,
    pub(crate) log: Log,
    pub(crate) metrics: Arc<Metrics>,
    client: HttpClient,
    resolver: Resolver,
    sampler: trace::Sampler,
    exporter: export::Exporter,
    faults: faults::Faults,
    usual_limit: u64,
    /// Whether every request is logged, not only those that fail.
    is_entry: bool,
}

impl Frame {
    /// The frame of the service `name`, whose calls usually may take `usual_limit` milliseconds.
    pub(crate) fn new(
        name: &'static str,
        settings: Settings,
        log: Log,
        usual_limit: u64,
        is_entry: bool,
        shutdown: &Shutdown,
    ) -> Result<Self, Failure> {
        let metrics = Arc::<Metrics>::default();
        let client = curtain_role::http_client();
        let exporter =
            export::Exporter::start(name, &settings, client.clone(), &metrics, shutdown.clone());
        Ok(Self {
            name,
            sampler: trace::Sampler::new(&settings)?,
            faults: faults::Faults::new(&settings)?,
            settings,
            log,
            metrics,
            client,
            resolver: Resolver::default(),
            exporter,
            usual_limit,
            is_entry,
        })
    }

    /// How long another service may take.
    fn limit(&self) -> Result<Duration, Failure> {
        self.settings.number(TIMEOUT, self.usual_limit).map(Duration::from_millis)
    }

    /// Ends a span, as failed if there is a failure.
    fn end(&self, mut span: span::Span, failure: Option<&Failure>) {
        if let Some(failure) = failure {
            span.set("error.type", failure.status.as_str());
            span.fail(&failure.message);
        }
        if let Some(span) = span.end() {
            self.exporter.take(span);
        }
    }

    /// Whatever may end the service by itself; the reason.
    pub(crate) async fn meanwhile(&self, shutdown: &Shutdown) -> Option<String> {
        self.faults.meanwhile(shutdown).await
    }
}

/// A request to a service.
pub(crate) struct Call {
    pub(crate) frame: Arc<Frame>,
    /// The span in which it is answered.
    pub(crate) context: Context,
    pub(crate) route: Route,
    /// What stands for `{id}` in the route.
    pub(crate) id: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    /// `GET /products`, for a service to tell its routes apart.
    pub(crate) fn asks(&self) -> (&'static str, &'static str) {
        (self.route.method, self.route.pattern)
    }

    /// The body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Failure::bad(format!("the body is not as expected: {error}")))
    }

    /// The body as a message of gRPC.
    pub(crate) fn message<M: Message + Default>(&self) -> Result<M, Failure> {
        M::decode(self.body.clone())
            .map_err(|error| Failure::bad(format!("the message is not as expected: {error}")))
    }

    /// A name for what this request makes, as good as its trace's.
    pub(crate) fn order(&self) -> String {
        self.context.trace_hex()[..12].to_owned()
    }

    /// Writes a line that belongs to this request.
    pub(crate) fn log(&self, level: Level, message: &str, more: &Value) {
        self.frame.log.write(level, Some(&self.context), message, more);
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Reply {
    fn of(status: StatusCode, content: &'static str, body: impl Into<Bytes>) -> Self {
        let headers = vec![(header::CONTENT_TYPE, HeaderValue::from_static(content))];
        Self { status, headers, body: body.into() }
    }

    pub(crate) fn json(body: &Value) -> Self {
        Self::of(StatusCode::OK, "application/json", format!("{body}\n"))
    }

    pub(crate) fn html(body: String) -> Self {
        Self::of(StatusCode::OK, "text/html; charset=utf-8", body)
    }

    pub(crate) fn text(body: String) -> Self {
        Self::of(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", body)
    }

    pub(crate) fn message(message: &impl Message) -> Self {
        Self { status: StatusCode::OK, headers: Vec::new(), body: message.encode_to_vec().into() }
    }

    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    fn failure(failure: &Failure) -> Self {
        Self::json(&json!({ "error": failure.message })).status(failure.status)
    }
}

#[cfg(test)]
mod tests;
