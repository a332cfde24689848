//! From OTLP's messages to spans as they are stored, bounded in every direction.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use curtain_otlp::common::{AnyValue, InstrumentationScope, KeyValue, Value as Any};
use curtain_otlp::trace::{Event, ExportTraceServiceRequest, Resource, Span};
use jiff::Timestamp;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use super::super::known::{Known, Pods};
use crate::traces::wire::{Kind, Part, Source, Span as Stored, SpanId, Status, TraceId};

/// Longer texts are cut.
const LONGEST_NAME: usize = 1 << 10;
const LONGEST_VALUE: usize = 8 << 10;
/// What is beyond this size in one span is left out.
const MOST_ATTRIBUTES: usize = 32 << 10;
const MOST_EVENTS: usize = 32;
/// Lists and maps within each other.
const DEEPEST: usize = 8;
const CUT: &str = " … (cut)";

/// What became of a request.
#[derive(Debug, Default)]
pub(super) struct Converted {
    pub(super) parts: Vec<Part>,
    /// About as large as they are in JSON.
    pub(super) bytes: usize,
    /// Spans of no component's pod.
    pub(super) homeless: i64,
    /// Spans without ids.
    pub(super) broken: i64,
}

/// Converts the spans of `peer`.
pub(super) fn convert(pods: &Pods, peer: IpAddr, request: ExportTraceServiceRequest) -> Converted {
    let mut converted = Converted::default();
    let sender = pods.at(peer);
    for group in request.resource_spans {
        let count = group.scope_spans.iter().map(|scope| scope.spans.len()).sum::<usize>();
        let resource = group.resource.unwrap_or_default();
        let home = sender.clone().or_else(|| named(pods, &resource));
        let owner =
            |home: &Arc<Known>| home.owner().filter(|owner| !owner.namespace.is_empty()).cloned();
        let Some((home, owner)) = home.and_then(|home| owner(&home).map(|owner| (home, owner)))
        else {
            converted.homeless += i64::try_from(count).unwrap_or(i64::MAX);
            continue;
        };
        let source = Source {
            owner,
            pod: home.name.clone(),
            pod_namespace: home.namespace.clone(),
            resource: Value::Object(attributes(&resource.attributes, None)).to_string(),
        };
        let mut spans = Vec::with_capacity(count);
        for scope in group.scope_spans {
            for span in scope.spans {
                match stored(span, scope.scope.as_ref()) {
                    Some((span, bytes)) => {
                        converted.bytes += bytes;
                        spans.push(span);
                    }
                    None => converted.broken += 1,
                }
            }
        }
        if !spans.is_empty() {
            converted.bytes += source.resource.len();
            converted.parts.push(Part { source, spans });
        }
    }
    converted
}

/// The pod that a resource names; for a sender that passes on what others recorded.
fn named(pods: &Pods, resource: &Resource) -> Option<Arc<Known>> {
    let text = |name: &str| {
        let found = resource.attributes.iter().find(|one| one.key == name)?;
        match found.value.as_ref()?.value.as_ref()? {
            Any::String(text) => Some(text.as_str()),
            _ => None,
        }
    };
    let address = text("k8s.pod.ip").and_then(|address| address.parse().ok());
    address.and_then(|address| pods.at(address)).or_else(|| {
        pods.home(text("k8s.namespace.name").unwrap_or_default(), text("k8s.pod.name")?)
    })
}

/// A span and about how large it is; `None` without proper ids.
fn stored(span: Span, scope: Option<&InstrumentationScope>) -> Option<(Stored, usize)> {
    let (start, end) =
        (nanoseconds(span.start_time_unix_nano), nanoseconds(span.end_time_unix_nano));
    let status = span.status.unwrap_or_default();
    let number = |number: i32| u8::try_from(number).unwrap_or_default();
    let attributes = raw(&Value::Object(attributes(&span.attributes, scope)));
    let events = span.events.iter().take(MOST_EVENTS).map(event).collect::<Vec<_>>();
    let events = if events.is_empty() { None } else { raw(&Value::Array(events)) };
    let mut stored = Stored {
        trace: TraceId::from_bytes(&span.trace_id)?,
        span: SpanId::from_bytes(&span.span_id)?,
        parent: SpanId::from_bytes(&span.parent_span_id),
        name: span.name,
        kind: Kind(number(span.kind)),
        start,
        duration: end.saturating_sub(start).max(0),
        status: Status(number(status.code)),
        message: status.message,
        attributes,
        events,
    };
    cut(&mut stored.name, LONGEST_NAME);
    cut(&mut stored.message, LONGEST_VALUE);
    let size = |raw: &Option<Box<RawValue>>| raw.as_ref().map_or(0, |raw| raw.get().len());
    let bytes =
        stored.name.len() + stored.message.len() + size(&stored.attributes) + size(&stored.events);
    // With about as much for ids, times and their names.
    Some((stored, bytes + 200))
}

fn raw(value: &Value) -> Option<Box<RawValue>> {
    to_raw_value(value).ok()
}

fn nanoseconds(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}

fn event(event: &Event) -> Value {
    let time = Timestamp::from_nanosecond(event.time_unix_nano.into());
    let mut name = event.name.clone();
    cut(&mut name, LONGEST_NAME);
    json!({
        "time": time.map(|time| time.to_string()).unwrap_or_default(),
        "name": name,
        "attributes": attributes(&event.attributes, None),
    })
}

/// Attributes as an object, with the library that recorded them.
fn attributes(list: &[KeyValue], scope: Option<&InstrumentationScope>) -> Map<String, Value> {
    let mut map = Map::new();
    let mut room = MOST_ATTRIBUTES;
    let mut dropped = 0;
    for one in list {
        let value = one.value.as_ref().map_or(Value::Null, |value| any(value, DEEPEST, &mut room));
        if room < one.key.len() || one.key.len() > LONGEST_NAME {
            dropped += 1;
            continue;
        }
        room -= one.key.len();
        map.insert(one.key.clone(), value);
    }
    if dropped > 0 {
        map.insert("curtain.dropped_attributes".into(), dropped.into());
    }
    if let Some(scope) = scope.filter(|scope| !scope.name.is_empty()) {
        let known = [("otel.scope.name", &scope.name), ("otel.scope.version", &scope.version)];
        for (name, value) in known.into_iter().filter(|(_, value)| !value.is_empty()) {
            let mut value = value.clone();
            cut(&mut value, LONGEST_NAME);
            map.insert(name.into(), value.into());
        }
    }
    map
}

/// A value, as far as there is room; bytes in base64.
fn any(value: &AnyValue, depth: usize, room: &mut usize) -> Value {
    *room = room.saturating_sub(8);
    let mut text = |text: &str| {
        let mut text = text[..text.floor_char_boundary(LONGEST_VALUE + 1)].to_owned();
        cut(&mut text, LONGEST_VALUE.min(*room));
        *room = room.saturating_sub(text.len());
        Value::String(text)
    };
    match &value.value {
        None => Value::Null,
        Some(Any::String(value)) => text(value),
        Some(Any::Bytes(value)) => {
            text(&BASE64_STANDARD.encode(&value[..value.len().min(LONGEST_VALUE)]))
        }
        Some(Any::Bool(value)) => (*value).into(),
        Some(Any::Int(value)) => (*value).into(),
        Some(Any::Double(value)) => (*value).into(),
        Some(Any::Array(_) | Any::Map(_)) if depth == 0 => Value::String(CUT.trim().to_owned()),
        Some(Any::Array(list)) => {
            let mut values = Vec::new();
            for value in &list.values {
                if *room == 0 {
                    break;
                }
                values.push(any(value, depth - 1, room));
            }
            values.into()
        }
        Some(Any::Map(map)) => {
            let mut values = Map::new();
            for one in &map.values {
                if *room < one.key.len() || *room == 0 {
                    break;
                }
                *room -= one.key.len();
                let value =
                    one.value.as_ref().map_or(Value::Null, |value| any(value, depth - 1, room));
                values.insert(one.key.clone(), value);
            }
            values.into()
        }
    }
}

/// Shortens a text to `longest` bytes and a mark.
fn cut(text: &mut String, longest: usize) {
    if text.len() > longest {
        text.truncate(text.floor_char_boundary(longest));
        text.push_str(CUT);
    }
}

#[cfg(test)]
mod tests {
    use curtain_otlp::trace::{ResourceSpans, ScopeSpans};
    use k8s_openapi::api::core::v1::Pod;

    use super::*;

    fn pods() -> Pods {
        let pods = Pods::default();
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "cart-1", "namespace": "dp", "uid": "u",
                "labels": {"openchoreo.dev/component": "cart", "openchoreo.dev/namespace": "default"}},
            "status": {"phase": "Running", "podIP": "10.0.0.1"}}))
        .expect("a Pod");
        pods.apply(&pod);
        pods
    }

    fn request(resource: &[(&str, &str)], span: Span) -> ExportTraceServiceRequest {
        let attributes = resource.iter().map(|(key, value)| KeyValue::new(*key, *value)).collect();
        let resource = Resource { attributes, dropped_attributes_count: 0 };
        let scope = InstrumentationScope { name: "lib".into(), ..InstrumentationScope::default() };
        let scope_spans =
            vec![ScopeSpans { scope: Some(scope), spans: vec![span], ..ScopeSpans::default() }];
        let group =
            ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() };
        ExportTraceServiceRequest { resource_spans: vec![group] }
    }

    fn span() -> Span {
        Span { trace_id: vec![1; 16], span_id: vec![2; 8], name: "GET".into(), ..Span::default() }
    }

    #[test]
    fn the_address_decides_where_a_span_is_at_home_and_only_strangers_may_name_a_pod() {
        let pods = pods();
        let convert = |from: &str, resource: &[(&str, &str)]| {
            let from = from.parse().expect("an address");
            let converted = convert(&pods, from, request(resource, span()));
            (converted.parts.first().map(|part| part.source.pod.clone()), converted.homeless)
        };
        let home = (Some("cart-1".to_owned()), 0);
        assert_eq!(convert("10.0.0.1", &[]), home);
        assert_eq!(convert("10.0.0.1", &[("k8s.pod.name", "other")]), home);
        assert_eq!(convert("10.0.0.9", &[("k8s.pod.ip", "10.0.0.1")]), home);
        assert_eq!(
            convert("10.0.0.9", &[("k8s.pod.name", "cart-1"), ("k8s.namespace.name", "dp")]),
            home
        );
        assert_eq!(convert("10.0.0.9", &[("k8s.pod.name", "cart-2")]), (None, 1));
        assert_eq!(convert("10.0.0.9", &[]), (None, 1));
    }

    #[test]
    fn what_is_too_much_is_cut_and_what_has_no_id_is_counted() {
        let pods = pods();
        let from = "10.0.0.1".parse().expect("an address");
        let broken = convert(&pods, from, request(&[], Span { trace_id: vec![0; 16], ..span() }));
        assert_eq!((broken.parts.len(), broken.broken), (0, 1));

        let mut large = Span { name: "é".repeat(LONGEST_NAME), ..span() };
        let long = "é".repeat(LONGEST_VALUE);
        large.attributes =
            (0..100).map(|n| KeyValue::new(format!("k{n}"), long.as_str())).collect();
        let mut deep = AnyValue { value: Some(Any::Int(1)) };
        for _ in 0..50 {
            let values = vec![deep];
            deep =
                AnyValue { value: Some(Any::Array(curtain_otlp::common::ArrayValue { values })) };
        }
        large.attributes.insert(0, KeyValue { key: "deep".into(), value: Some(deep) });
        large.events = vec![Event { name: "exception".into(), ..Event::default() }; 100];
        let converted = convert(&pods, from, request(&[], large));
        let span = &converted.parts[0].spans[0];
        assert!(span.name.len() < LONGEST_NAME + 20 && span.name.ends_with("é … (cut)"));
        let attributes = span.attributes.as_ref().expect("attributes").get();
        assert!(attributes.len() < MOST_ATTRIBUTES + 4096, "{}", attributes.len());
        assert!(
            attributes.contains("curtain.dropped_attributes")
                && attributes.contains("otel.scope.name")
        );
        let events: Vec<Value> =
            serde_json::from_str(span.events.as_ref().expect("events").get()).expect("JSON");
        assert_eq!(events.len(), MOST_EVENTS);
    }
}
