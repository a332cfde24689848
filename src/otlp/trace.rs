//! Spans and their export.

use prost::{Enumeration, Message};

use crate::common::{InstrumentationScope, KeyValue};

/// Spans on their way to a collector.
#[derive(Clone, PartialEq, Message)]
pub struct ExportTraceServiceRequest {
    /// The spans by what they were recorded on.
    #[prost(message, repeated, tag = "1")]
    pub resource_spans: Vec<ResourceSpans>,
}

/// The collector's answer.
#[derive(Clone, PartialEq, Message)]
pub struct ExportTraceServiceResponse {
    /// Set when some spans were not taken.
    #[prost(message, optional, tag = "1")]
    pub partial_success: Option<ExportTracePartialSuccess>,
}

/// What a collector did not take.
#[derive(Clone, PartialEq, Message)]
pub struct ExportTracePartialSuccess {
    /// How many spans.
    #[prost(int64, tag = "1")]
    pub rejected_spans: i64,
    /// Why.
    #[prost(string, tag = "2")]
    pub error_message: String,
}

/// The spans of one resource.
#[derive(Clone, PartialEq, Message)]
pub struct ResourceSpans {
    /// What the spans were recorded on.
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    /// The spans by the library that recorded them.
    #[prost(message, repeated, tag = "2")]
    pub scope_spans: Vec<ScopeSpans>,
    /// Version of the conventions that the attributes of the resource follow.
    #[prost(string, tag = "3")]
    pub schema_url: String,
}

/// What spans are recorded on: a service, a process, a pod.
#[derive(Clone, PartialEq, Message)]
pub struct Resource {
    /// What describes it, `service.name` above all.
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<KeyValue>,
    /// How many attributes were dropped.
    #[prost(uint32, tag = "2")]
    pub dropped_attributes_count: u32,
}

/// The spans of one library.
#[derive(Clone, PartialEq, Message)]
pub struct ScopeSpans {
    /// The library.
    #[prost(message, optional, tag = "1")]
    pub scope: Option<InstrumentationScope>,
    /// Its spans.
    #[prost(message, repeated, tag = "2")]
    pub spans: Vec<Span>,
    /// Version of the conventions that the attributes of the spans follow.
    #[prost(string, tag = "3")]
    pub schema_url: String,
}

/// One operation within a trace.
#[derive(Clone, PartialEq, Message)]
pub struct Span {
    /// 16 bytes, not all zero.
    #[prost(bytes = "vec", tag = "1")]
    pub trace_id: Vec<u8>,
    /// 8 bytes, not all zero.
    #[prost(bytes = "vec", tag = "2")]
    pub span_id: Vec<u8>,
    /// The `tracestate` header.
    #[prost(string, tag = "3")]
    pub trace_state: String,
    /// The span that caused this one; empty for the root.
    #[prost(bytes = "vec", tag = "4")]
    pub parent_span_id: Vec<u8>,
    /// What was done, without what differs from call to call.
    #[prost(string, tag = "5")]
    pub name: String,
    /// Which side of a call this is.
    #[prost(enumeration = "SpanKind", tag = "6")]
    pub kind: i32,
    /// Nanoseconds since 1970.
    #[prost(fixed64, tag = "7")]
    pub start_time_unix_nano: u64,
    /// Nanoseconds since 1970.
    #[prost(fixed64, tag = "8")]
    pub end_time_unix_nano: u64,
    /// What describes it.
    #[prost(message, repeated, tag = "9")]
    pub attributes: Vec<KeyValue>,
    /// How many attributes were dropped.
    #[prost(uint32, tag = "10")]
    pub dropped_attributes_count: u32,
    /// What happened meanwhile.
    #[prost(message, repeated, tag = "11")]
    pub events: Vec<Event>,
    /// How many events were dropped.
    #[prost(uint32, tag = "12")]
    pub dropped_events_count: u32,
    /// Spans elsewhere that have to do with it.
    #[prost(message, repeated, tag = "13")]
    pub links: Vec<Link>,
    /// How many links were dropped.
    #[prost(uint32, tag = "14")]
    pub dropped_links_count: u32,
    /// How it ended.
    #[prost(message, optional, tag = "15")]
    pub status: Option<Status>,
    /// The flags of the `traceparent` header in the lowest eight bits.
    #[prost(fixed32, tag = "16")]
    pub flags: u32,
}

/// Something that happened within a span.
#[derive(Clone, PartialEq, Message)]
pub struct Event {
    /// Nanoseconds since 1970.
    #[prost(fixed64, tag = "1")]
    pub time_unix_nano: u64,
    /// What, such as `exception`.
    #[prost(string, tag = "2")]
    pub name: String,
    /// What describes it.
    #[prost(message, repeated, tag = "3")]
    pub attributes: Vec<KeyValue>,
    /// How many attributes were dropped.
    #[prost(uint32, tag = "4")]
    pub dropped_attributes_count: u32,
}

/// A span elsewhere.
#[derive(Clone, PartialEq, Message)]
pub struct Link {
    /// 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub trace_id: Vec<u8>,
    /// 8 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub span_id: Vec<u8>,
    /// Its `tracestate`.
    #[prost(string, tag = "3")]
    pub trace_state: String,
    /// What describes the relation.
    #[prost(message, repeated, tag = "4")]
    pub attributes: Vec<KeyValue>,
    /// How many attributes were dropped.
    #[prost(uint32, tag = "5")]
    pub dropped_attributes_count: u32,
    /// Its `traceparent` flags.
    #[prost(fixed32, tag = "6")]
    pub flags: u32,
}

/// How a span ended.
#[derive(Clone, PartialEq, Message)]
pub struct Status {
    /// Why it failed.
    #[prost(string, tag = "2")]
    pub message: String,
    /// Whether it failed.
    #[prost(enumeration = "StatusCode", tag = "3")]
    pub code: i32,
}

/// Which side of a call a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum SpanKind {
    /// Not said.
    Unspecified = 0,
    /// No call between processes.
    Internal = 1,
    /// Answers a call.
    Server = 2,
    /// Calls and waits.
    Client = 3,
    /// Hands a message on.
    Producer = 4,
    /// Takes a message.
    Consumer = 5,
}

/// Whether a span failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum StatusCode {
    /// Nobody said.
    Unset = 0,
    /// Somebody made sure that it did not.
    Ok = 1,
    /// It failed.
    Error = 2,
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::common::Value;

    /// Bytes put together by hand as the format describes them, not by the code under test.
    #[test]
    fn reads_what_others_write_and_skips_what_it_does_not_know() {
        let span = [
            &[0x0a, 2, 0xab, 0xcd][..],                        // trace id
            &[0x2a, 3, b'G', b'E', b'T'],                      // name
            &[0x30, 2],                                        // kind: server
            &[0x39, 1, 0, 0, 0, 0, 0, 0, 0],                   // start
            &[0x4a, 8, 0x0a, 1, b'k', 0x12, 3, 0x0a, 1, b'v'], // an attribute
            &[0x7a, 5, 0x12, 1, b'x', 0x18, 2],                // status: error
            &[0x85, 1, 1, 0, 0, 0],                            // flags
            &[0xfa, 0x3f, 1, 0],                               // field 1023 of the future
        ]
        .concat();
        let length = u8::try_from(span.len()).unwrap();
        let scope = [&[0x12, length][..], &span].concat();
        let resource = [&[0x12, length + 2][..], &scope].concat();
        let request = [&[0x0a, length + 4][..], &resource].concat();

        let read = ExportTraceServiceRequest::decode(&request[..]).unwrap();
        let span = &read.resource_spans[0].scope_spans[0].spans[0];
        assert_eq!((&span.trace_id[..], span.name.as_str()), (&[0xab, 0xcd][..], "GET"));
        assert_eq!((span.kind(), span.start_time_unix_nano, span.flags), (SpanKind::Server, 1, 1));
        assert_eq!(span.attributes, [KeyValue::new("k", "v")]);
        let status = span.status.as_ref().unwrap();
        assert_eq!((status.code(), status.message.as_str()), (StatusCode::Error, "x"));

        let again = ExportTraceServiceRequest::decode(&read.encode_to_vec()[..]).unwrap();
        assert_eq!(again, read);
    }

    #[test]
    fn values_of_every_type_survive() {
        let values: [Value; 4] = ["text".into(), true.into(), (-7_i64).into(), 0.5.into()];
        for value in values {
            let attribute = KeyValue::new("key", value);
            assert_eq!(KeyValue::decode(&attribute.encode_to_vec()[..]).unwrap(), attribute);
        }
    }
}
