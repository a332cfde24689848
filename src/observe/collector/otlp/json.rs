//! OTLP's messages in JSON: as protocol buffers have it, but with ids in hexadecimal digits and enums in numbers.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use curtain_otlp::common::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, Value,
};
use curtain_otlp::trace::{
    Event, ExportTraceServiceRequest, Resource, ResourceSpans, ScopeSpans, Span, Status,
};
use serde::Deserialize;

/// Reads a request. The error is a sentence for the sender.
pub(super) fn read(bytes: &[u8]) -> Result<ExportTraceServiceRequest, String> {
    let request: JsonRequest = serde_json::from_slice(bytes)
        .map_err(|error| format!("the body is no export of traces in JSON: {error}"))?;
    Ok(ExportTraceServiceRequest { resource_spans: all(request.resource_spans) })
}

fn all<A: Into<B>, B>(list: Vec<A>) -> Vec<B> {
    list.into_iter().map(Into::into).collect()
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct JsonRequest {
    resource_spans: Vec<JsonResourceSpans>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct JsonResourceSpans {
    resource: JsonResource,
    scope_spans: Vec<JsonScopeSpans>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct JsonResource {
    attributes: Vec<JsonAttribute>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct JsonScopeSpans {
    scope: Option<JsonScope>,
    spans: Vec<JsonSpan>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct JsonScope {
    name: String,
    version: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct JsonSpan {
    trace_id: Hex,
    span_id: Hex,
    parent_span_id: Hex,
    name: String,
    kind: i32,
    start_time_unix_nano: Number<u64>,
    end_time_unix_nano: Number<u64>,
    attributes: Vec<JsonAttribute>,
    events: Vec<JsonEvent>,
    status: Option<JsonStatus>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct JsonEvent {
    time_unix_nano: Number<u64>,
    name: String,
    attributes: Vec<JsonAttribute>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct JsonStatus {
    message: String,
    code: i32,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct JsonAttribute {
    key: String,
    value: Option<JsonValue>,
}

#[derive(Deserialize)]
enum JsonValue {
    #[serde(rename = "stringValue")]
    Text(String),
    #[serde(rename = "boolValue")]
    Bool(bool),
    #[serde(rename = "intValue")]
    Int(Number<i64>),
    #[serde(rename = "doubleValue")]
    Double(f64),
    #[serde(rename = "arrayValue")]
    List(JsonList<Option<JsonValue>>),
    #[serde(rename = "kvlistValue")]
    Map(JsonList<JsonAttribute>),
    #[serde(rename = "bytesValue")]
    Bytes(Base64),
}

#[derive(Deserialize)]
struct JsonList<T> {
    #[serde(default = "Vec::new")]
    values: Vec<T>,
}

/// Bytes in hexadecimal digits, as ids are.
#[derive(Deserialize, Default)]
#[serde(try_from = "String")]
struct Hex(Vec<u8>);

impl TryFrom<String> for Hex {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("an id is {:?}", text.chars().take(64).collect::<String>());
        if !text.len().is_multiple_of(2) || !text.is_ascii() {
            return Err(wrong());
        }
        let pairs = (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16));
        Ok(Hex(pairs.collect::<Result<_, _>>().map_err(|_| wrong())?))
    }
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Base64(Vec<u8>);

impl TryFrom<String> for Base64 {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        BASE64_STANDARD.decode(text).map(Base64).map_err(|error| error.to_string())
    }
}

/// 64 bits, which JSON has as text because JavaScript's numbers are shorter; or as a number all the same.
#[derive(Deserialize, Default)]
#[serde(from = "Either<T>", bound = "T: Deserialize<'de> + std::str::FromStr + Default")]
struct Number<T>(T);

#[derive(Deserialize)]
#[serde(untagged)]
enum Either<T> {
    Number(T),
    Text(String),
}

impl<T: std::str::FromStr + Default> From<Either<T>> for Number<T> {
    fn from(either: Either<T>) -> Self {
        Number(match either {
            Either::Number(number) => number,
            Either::Text(text) => text.parse().unwrap_or_default(),
        })
    }
}

impl From<JsonResourceSpans> for ResourceSpans {
    fn from(group: JsonResourceSpans) -> Self {
        ResourceSpans {
            resource: Some(Resource {
                attributes: all(group.resource.attributes),
                dropped_attributes_count: 0,
            }),
            scope_spans: all(group.scope_spans),
            schema_url: String::new(),
        }
    }
}

impl From<JsonScopeSpans> for ScopeSpans {
    fn from(group: JsonScopeSpans) -> Self {
        let scope = |JsonScope { name, version }| InstrumentationScope {
            name,
            version,
            ..InstrumentationScope::default()
        };
        ScopeSpans {
            scope: group.scope.map(scope),
            spans: all(group.spans),
            schema_url: String::new(),
        }
    }
}

impl From<JsonSpan> for Span {
    fn from(span: JsonSpan) -> Self {
        Span {
            trace_id: span.trace_id.0,
            span_id: span.span_id.0,
            parent_span_id: span.parent_span_id.0,
            name: span.name,
            kind: span.kind,
            start_time_unix_nano: span.start_time_unix_nano.0,
            end_time_unix_nano: span.end_time_unix_nano.0,
            attributes: all(span.attributes),
            events: all(span.events),
            status: span.status.map(|JsonStatus { message, code }| Status { message, code }),
            ..Span::default()
        }
    }
}

impl From<JsonEvent> for Event {
    fn from(event: JsonEvent) -> Self {
        Event {
            time_unix_nano: event.time_unix_nano.0,
            name: event.name,
            attributes: all(event.attributes),
            dropped_attributes_count: 0,
        }
    }
}

impl From<JsonAttribute> for KeyValue {
    fn from(attribute: JsonAttribute) -> Self {
        KeyValue { key: attribute.key, value: attribute.value.map(Into::into) }
    }
}

impl From<JsonValue> for AnyValue {
    fn from(value: JsonValue) -> Self {
        AnyValue {
            value: Some(match value {
                JsonValue::Text(text) => Value::String(text),
                JsonValue::Bool(yes) => Value::Bool(yes),
                JsonValue::Int(number) => Value::Int(number.0),
                JsonValue::Double(number) => Value::Double(number),
                JsonValue::List(list) => {
                    let values = list.values.into_iter();
                    let values = values.map(|value| match value {
                        Some(value) => value.into(),
                        None => AnyValue { value: None },
                    });
                    Value::Array(ArrayValue { values: values.collect() })
                }
                JsonValue::Map(list) => Value::Map(KeyValueList { values: all(list.values) }),
                JsonValue::Bytes(bytes) => Value::Bytes(bytes.0),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_what_protocol_buffers_do() {
        let text = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"cart"}}]},
            "scopeSpans":[{"scope":{"name":"lib"},"spans":[{"traceId":"4BF92F3577B34DA6A3CE929D0E0E4736",
            "spanId":"00f067aa0ba902b7","name":"GET","kind":2,"startTimeUnixNano":"1767225600000000000",
            "endTimeUnixNano":1767225600000000005,"status":{"code":2},"futureField":{"x":1},
            "attributes":[{"key":"n","value":{"intValue":"7"}},{"key":"b","value":{"bytesValue":"AQI="}},
            {"key":"l","value":{"arrayValue":{"values":[{"doubleValue":0.5},{"boolValue":true}]}}},
            {"key":"m","value":{"kvlistValue":{"values":[{"key":"x","value":{"intValue":1}}]}}}],
            "events":[{"timeUnixNano":"1","name":"exception"}]}]}]}]}"#;
        let request = read(text.as_bytes()).expect("reads");
        let group = &request.resource_spans[0];
        let resource = group.resource.as_ref().expect("a resource");
        assert_eq!(resource.attributes, [KeyValue::new("service.name", "cart")]);
        let span = &group.scope_spans[0].spans[0];
        assert_eq!((span.trace_id[0], span.span_id.len(), span.parent_span_id.len()), (0x4b, 8, 0));
        assert_eq!(span.end_time_unix_nano - span.start_time_unix_nano, 5);
        assert_eq!(span.attributes[0], KeyValue::new("n", 7_i64));
        assert_eq!(
            span.attributes[1].value.clone().and_then(|v| v.value),
            Some(Value::Bytes(vec![1, 2]))
        );
        assert_eq!(
            (span.events[0].name.as_str(), span.status.clone().map(|s| s.code)),
            ("exception", Some(2))
        );
        for wrong in
            ["", "7", r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xy"}]}]}]}"#]
        {
            assert!(
                read(wrong.as_bytes()).is_err_and(|error| error.contains("in JSON")),
                "{wrong}"
            );
        }
    }
}
