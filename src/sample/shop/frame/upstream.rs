//! Calls to other services: with a limit, a span, the trace's context, and an error that says who failed and why.

mod grpc;

use std::time::Duration;

use bytes::Bytes;
use curtain_otlp::trace::SpanKind;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use serde_json::Value;
use tokio::time::timeout;

use super::{
    Call, Failure, Frame, Settings,
    span::Span,
    tls::Trust,
    trace::{self, Context},
};

/// The longest answer that is read.
pub(super) const LONGEST: usize = 256 * 1024;

/// Another service.
pub(crate) struct Upstream {
    pub(super) name: &'static str,
    /// `host:port`, if it was told.
    pub(super) address: String,
    /// Why there is no address: met by whoever asks, since a service that waits for it has other work to do.
    missing: Option<Failure>,
    trust: Option<Trust>,
}

impl Upstream {
    /// The service `name`, where `UPSTREAM_<NAME>` says, or else `<NAME>_ADDRESS`, which the platform sets.
    pub(crate) fn new(settings: &Settings, name: &'static str) -> Self {
        let [by_hand, given] = Self::variables(name);
        let address = settings.text(&by_hand).or_else(|| settings.text(&given));
        let missing = address.is_none().then(|| {
            Failure::own(format!("bad configuration: neither {by_hand} nor {given} is set"))
        });
        let address = address.unwrap_or_default();
        let address = address.trim_start_matches("http://").trim_end_matches('/').to_owned();
        Self { name, address, missing, trust: None }
    }

    /// Fails when it was not told where the service is.
    pub(super) fn known(&self) -> Result<(), Failure> {
        self.missing.clone().map_or(Ok(()), Err)
    }

    /// The variables that say where the service `name` is; the first that is set counts.
    pub(crate) fn variables(name: &str) -> [String; 2] {
        let upper = name.to_uppercase().replace('-', "_");
        [format!("UPSTREAM_{upper}"), format!("{upper}_ADDRESS")]
    }

    /// The same, spoken to over TLS; its authority's certificate is got from `authority`, an address of it.
    pub(crate) fn with_trust(mut self, authority: Self) -> Self {
        self.trust = Some(Trust::new(self.name, authority));
        self
    }

    /// Asks over HTTP on behalf of `call`; `route` is `path` without what differs from call to call.
    pub(crate) async fn http(
        &self,
        call: &Call,
        method: Method,
        (route, path): (&str, &str),
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let json = Some("application/json").filter(|_| !body.is_empty());
        let asked = Asked { method, route, path, body: body.into(), content: json, cookie: None };
        let (_, body) = self.exchange(&call.frame, Some(call.context), asked).await?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|error| {
            Failure::new(
                StatusCode::BAD_GATEWAY,
                format!("{} answered no JSON: {error}", self.name),
            )
        })
    }

    /// The same with anything as content; redirections count as success.
    pub(crate) async fn exchange(
        &self,
        frame: &Frame,
        parent: Option<Context>,
        asked: Asked<'_>,
    ) -> Result<(StatusCode, Bytes), Failure> {
        self.known()?;
        let context = frame.sampler.start(parent);
        let name = format!("{} {}", asked.method, asked.route);
        let mut span = Span::begin(context, parent, SpanKind::Client, name);
        span.set("http.request.method", asked.method.as_str());
        span.set("url.template", asked.route);
        self.describe(&mut span);
        let outcome = within(frame.limit()?, self, self.send(frame, &context, asked)).await;
        if let Ok((status, _)) = &outcome {
            span.set("http.response.status_code", status.as_u16());
        }
        let outcome = outcome.and_then(|(status, body)| match status.as_u16() {
            200..=399 => Ok((status, body)),
            _ => Err(Failure::from_upstream(self.name, status, said(&body).trim())),
        });
        frame.end(span, outcome.as_ref().err());
        outcome
    }

    async fn send(
        &self,
        frame: &Frame,
        context: &Context,
        asked: Asked<'_>,
    ) -> Result<(StatusCode, Bytes), Failure> {
        let mut request = Request::builder()
            .method(asked.method)
            .uri(format!("http://{}{}", self.address, asked.path))
            .header(trace::HEADER, context.header());
        if let Some(content) = asked.content {
            request = request.header(header::CONTENT_TYPE, content);
        }
        if let Some(cookie) = asked.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        let request =
            request.body(Full::new(asked.body)).map_err(|error| self.unreachable(&error))?;
        let answer =
            frame.client.request(request).await.map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LONGEST).collect().await;
        let body = body.map_err(|error| self.unreachable(error.as_ref()))?;
        Ok((status, body.to_bytes()))
    }

    fn describe(&self, span: &mut Span) {
        let (host, port) = self.address.rsplit_once(':').unwrap_or((&self.address, ""));
        span.set("peer.service", self.name);
        span.set("server.address", host);
        if let Ok(port) = port.parse::<u16>() {
            span.set("server.port", port);
        }
    }

    /// The innermost reason is the one that helps.
    pub(super) fn unreachable(&self, error: &(dyn std::error::Error + 'static)) -> Failure {
        let mut reason = error;
        while let Some(inner) = reason.source() {
            reason = inner;
        }
        Failure::unreachable(self.name, &self.address, &reason.to_string())
    }
}

/// A request over HTTP.
pub(crate) struct Asked<'a> {
    pub(crate) method: Method,
    pub(crate) route: &'a str,
    pub(crate) path: &'a str,
    pub(crate) body: Bytes,
    pub(crate) content: Option<&'static str>,
    pub(crate) cookie: Option<HeaderValue>,
}

pub(super) async fn within<T>(
    limit: Duration,
    upstream: &Upstream,
    exchange: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    timeout(limit, exchange).await.unwrap_or_else(|_| {
        let why = format!("{} did not answer within {} ms", upstream.name, limit.as_millis());
        Err(Failure::new(StatusCode::GATEWAY_TIMEOUT, why))
    })
}

/// What an answer says: the reason that our own services give, or its beginning.
fn said(body: &[u8]) -> String {
    let reason = serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|body| Some(body.get("error")?.as_str()?.to_owned()));
    reason.unwrap_or_else(|| String::from_utf8_lossy(&body[..body.len().min(120)]).into_owned())
}
