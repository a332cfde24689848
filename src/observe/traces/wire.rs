//! Spans as the collector posts them.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::owner::Owner;

/// Where they are posted.
pub const SPANS_PATH: &str = "/internal/v1/spans";

/// What is posted at once.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Batch {
    /// One part a source.
    pub parts: Vec<Part>,
}

/// Spans of one source.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Part {
    /// Who recorded them.
    pub source: Source,
    /// The spans.
    pub spans: Vec<Span>,
}

/// A process that records spans.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Source {
    /// Whose it is.
    pub owner: Owner,
    /// Its pod.
    pub pod: String,
    /// Kubernetes namespace of the pod.
    pub pod_namespace: String,
    /// What it says of itself: an object in JSON.
    pub resource: String,
}

/// One operation within a trace.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Span {
    /// The trace.
    pub trace: TraceId,
    /// Unique in the trace.
    pub span: SpanId,
    /// What caused it; nothing in the trace for the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<SpanId>,
    /// What was done.
    pub name: String,
    /// Which side of a call, in the numbers of OTLP.
    #[serde(default)]
    pub kind: Kind,
    /// Nanoseconds since 1970.
    pub start: i64,
    /// Nanoseconds.
    pub duration: i64,
    /// How it ended.
    #[serde(default)]
    pub status: Status,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What describes it: an object in JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Box<RawValue>>,
    /// What happened meanwhile: a list of `{time, name, attributes}` in JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Box<RawValue>>,
}

/// Which side of a call a span is, in the numbers of OTLP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kind(pub u8);

impl Kind {
    /// Answers a call.
    pub const SERVER: Kind = Kind(2);
    /// Calls and waits.
    pub const CLIENT: Kind = Kind(3);
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            1 => "Internal",
            2 => "Server",
            3 => "Client",
            4 => "Producer",
            5 => "Consumer",
            _ => "Unspecified",
        })
    }
}

/// How a span ended, in the numbers of OTLP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status(pub u8);

impl Status {
    /// It failed.
    pub const ERROR: Status = Status(2);
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            1 => "ok",
            2 => "error",
            _ => "unset",
        })
    }
}

/// Number of a trace: 32 hexadecimal digits, not all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(u128);

/// Number of a span in its trace: 16 hexadecimal digits, not all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId(u64);

/// What is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no id of a {what}: {digits} hexadecimal digits are, unless all are zero")]
pub struct IdError {
    text: String,
    what: &'static str,
    digits: usize,
}

impl TraceId {
    /// From its 16 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(u128::from_be_bytes).filter(|number| *number != 0).map(Self)
    }

    /// Its 16 bytes.
    pub fn bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }
}

impl SpanId {
    /// From its eight bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(u64::from_be_bytes).filter(|number| *number != 0).map(Self)
    }

    /// As a database keeps it.
    pub(super) fn number(self) -> i64 {
        self.0.cast_signed()
    }

    /// From a database.
    pub(super) fn from_number(number: i64) -> Self {
        Self(number.cast_unsigned())
    }
}

/// Exactly `digits` hexadecimal digits, not all zero.
fn hexadecimal(text: &str, digits: usize, what: &'static str) -> Result<u128, IdError> {
    let wrong = || IdError { text: text.chars().take(64).collect(), what, digits };
    if text.len() != digits || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    u128::from_str_radix(text, 16).ok().filter(|number| *number != 0).ok_or_else(wrong)
}

impl FromStr for TraceId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        hexadecimal(text, 32, "trace").map(Self)
    }
}

impl FromStr for SpanId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let number = hexadecimal(text, 16, "span")?;
        Ok(Self(u64::try_from(number).unwrap_or_default()))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for TraceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for SpanId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TraceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for SpanId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_as_long_as_they_are_and_never_zero() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let trace: TraceId = id.parse().expect("an id");
        assert_eq!(
            (trace.to_string().as_str(), TraceId::from_bytes(&trace.bytes())),
            (id, Some(trace))
        );
        let span: SpanId = "f0f067aa0ba902b7".parse().expect("an id");
        assert_eq!(SpanId::from_number(span.number()), span);
        assert_eq!(span.to_string(), "f0f067aa0ba902b7");
        for wrong in ["", "1", &"0".repeat(32), &format!("+{}", &id[1..]), &id[..31], "x' OR 1=1"] {
            let error = wrong.parse::<TraceId>().expect_err(wrong).to_string();
            assert!(error.contains("32 hexadecimal digits"), "{error}");
        }
        assert!(SpanId::from_bytes(&[0; 8]).is_none() && SpanId::from_bytes(&[1; 7]).is_none());
    }
}
