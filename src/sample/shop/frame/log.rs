//! Lines of JSON for people and for the collector.

use std::{
    io::Write,
    sync::{Mutex, PoisonError},
};

use serde_json::{Map, Value, json};

use super::trace::Context;

/// How grave a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Info,
    Warn,
    Error,
}

/// Where lines go.
pub(crate) struct Log {
    service: &'static str,
    out: Mutex<Box<dyn Write + Send>>,
}

impl Log {
    pub(crate) fn new(service: &'static str, out: Box<dyn Write + Send>) -> Self {
        Self { service, out: Mutex::new(out) }
    }

    /// Writes a line; `more` is an object whose members are added to it.
    pub(crate) fn write(
        &self,
        level: Level,
        context: Option<&Context>,
        message: &str,
        more: &Value,
    ) {
        let level = match level {
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        let mut line = Map::new();
        line.insert("time".to_owned(), json!(jiff::Timestamp::now().to_string()));
        line.insert("level".to_owned(), json!(level));
        line.insert("service".to_owned(), json!(self.service));
        line.insert("message".to_owned(), json!(message));
        if let Some(context) = context {
            line.insert("trace_id".to_owned(), json!(context.trace_hex()));
            line.insert("span_id".to_owned(), json!(context.span_hex()));
        }
        if let Value::Object(more) = more {
            line.extend(more.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        // A log that cannot be written must not stop the service.
        let _ = writeln!(out, "{}", Value::Object(line)).and_then(|()| out.flush());
    }
}
