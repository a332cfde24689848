//! A span while it lasts, with the names that OpenTelemetry's conventions give to what describes it.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use curtain_otlp::{
    common::{KeyValue, Value},
    trace::{Span as Recorded, SpanKind, Status, StatusCode},
};

use super::trace::Context;

/// A span that has begun.
pub(crate) struct Span {
    pub(crate) context: Context,
    parent: Option<Context>,
    name: String,
    kind: SpanKind,
    begun: SystemTime,
    clock: Instant,
    attributes: Vec<KeyValue>,
    error: Option<String>,
}

impl Span {
    pub(super) fn begin(
        context: Context,
        parent: Option<Context>,
        kind: SpanKind,
        name: String,
    ) -> Self {
        Self {
            context,
            parent,
            name,
            kind,
            begun: SystemTime::now(),
            clock: Instant::now(),
            attributes: Vec::new(),
            error: None,
        }
    }

    pub(super) fn set(&mut self, key: &str, value: impl Into<Value>) {
        if self.context.sampled {
            self.attributes.push(KeyValue::new(key, value));
        }
    }

    pub(super) fn fail(&mut self, message: &str) {
        self.error = Some(message.to_owned());
    }

    pub(super) fn took(&self) -> std::time::Duration {
        self.clock.elapsed()
    }

    /// The span as it is exported; `None` when its trace is not recorded.
    pub(super) fn end(self) -> Option<Recorded> {
        if !self.context.sampled {
            return None;
        }
        let start = nanos(self.begun);
        // The clock of the wall may jump meanwhile.
        let end = start.saturating_add(u64::try_from(self.clock.elapsed().as_nanos()).unwrap_or(0));
        Some(Recorded {
            trace_id: self.context.trace.to_vec(),
            span_id: self.context.span.to_vec(),
            parent_span_id: self.parent.map(|parent| parent.span.to_vec()).unwrap_or_default(),
            name: self.name,
            kind: self.kind.into(),
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            attributes: self.attributes,
            status: self.error.map(|message| Status { message, code: StatusCode::Error.into() }),
            flags: 1,
            ..Recorded::default()
        })
    }
}

fn nanos(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
