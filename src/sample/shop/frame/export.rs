//! Spans on their way to a collector: in batches, never more than fit, and never in anybody's way.
//!
//! A collector that is away costs spans, which are counted, and nothing else.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use curtain_otlp::{
    HTTP_PROTOBUF, HTTP_TRACES,
    common::{InstrumentationScope, KeyValue},
    prost::Message as _,
    trace::{ExportTraceServiceRequest, Resource, ResourceSpans, ScopeSpans, Span},
};
use curtain_role::{HttpClient, Shutdown};
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, timeout},
};

use super::{Settings, metrics::Metrics};

/// Spans that may wait.
const WAITING: usize = 512;
/// Spans in one request.
const BATCH: usize = 128;
/// How long a span waits at most before it is sent.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a collector may take.
const ANSWER: Duration = Duration::from_secs(2);

/// Takes spans that have ended.
pub(super) struct Exporter {
    queue: Option<mpsc::Sender<Span>>,
    metrics: Arc<Metrics>,
}

impl Exporter {
    /// One that sends to `OTEL_EXPORTER_OTLP_ENDPOINT`, or takes nothing when that is not set.
    pub(super) fn start(
        service: &'static str,
        settings: &Settings,
        client: HttpClient,
        metrics: &Arc<Metrics>,
        shutdown: Shutdown,
    ) -> Self {
        let metrics = Arc::clone(metrics);
        let Some(endpoint) = settings.text("OTEL_EXPORTER_OTLP_ENDPOINT") else {
            return Self { queue: None, metrics };
        };
        let name = settings.text("OTEL_SERVICE_NAME").unwrap_or(service);
        let mut attributes = vec![
            KeyValue::new("service.name", name),
            KeyValue::new("service.namespace", "shop"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("telemetry.sdk.language", "rust"),
        ];
        if let Some(pod) = settings.text("HOSTNAME") {
            attributes.push(KeyValue::new("k8s.pod.name", pod));
            attributes.push(KeyValue::new("service.instance.id", pod));
        }
        let (queue, spans) = mpsc::channel(WAITING);
        let sending = Sending {
            url: format!("{}{HTTP_TRACES}", endpoint.trim_end_matches('/')),
            resource: Resource { attributes, ..Resource::default() },
            client,
            metrics: Arc::clone(&metrics),
        };
        tokio::spawn(sending.run(spans, shutdown));
        Self { queue: Some(queue), metrics }
    }

    /// Hands a span on, or counts it as dropped when too many wait.
    pub(super) fn take(&self, span: Span) {
        if let Some(queue) = &self.queue
            && queue.try_send(span).is_err()
        {
            self.metrics.spans_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

struct Sending {
    url: String,
    resource: Resource,
    client: HttpClient,
    metrics: Arc<Metrics>,
}

impl Sending {
    async fn run(self, mut spans: mpsc::Receiver<Span>, shutdown: Shutdown) {
        let mut pauses = interval(PAUSE);
        pauses.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                _ = pauses.tick() => {}
                () = shutdown.wait() => return,
            }
            while let Ok(span) = spans.try_recv() {
                batch.push(span);
                if batch.len() == BATCH {
                    self.send(std::mem::take(&mut batch)).await;
                }
            }
            if !batch.is_empty() {
                self.send(std::mem::take(&mut batch)).await;
            }
        }
    }

    async fn send(&self, spans: Vec<Span>) {
        let count = u64::try_from(spans.len()).unwrap_or(u64::MAX);
        if !self.sent(spans).await {
            self.metrics.spans_dropped.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Whether the collector took them.
    async fn sent(&self, spans: Vec<Span>) -> bool {
        let scope = InstrumentationScope {
            name: "curtain-sample".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(self.resource.clone()),
                scope_spans: vec![ScopeSpans {
                    scope: Some(scope),
                    spans,
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        };
        let request = Request::post(&self.url)
            .header(header::CONTENT_TYPE, HTTP_PROTOBUF)
            .body(Full::new(Bytes::from(request.encode_to_vec())));
        let Ok(request) = request else { return false };
        let exchange = async {
            let answer = self.client.request(request).await.ok()?;
            let success = answer.status().is_success();
            // The connection is used again only once the answer is read.
            answer.into_body().collect().await.ok()?;
            Some(success)
        };
        matches!(timeout(ANSWER, exchange).await, Ok(Some(true)))
    }
}
