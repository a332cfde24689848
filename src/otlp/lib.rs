//! The messages of the OpenTelemetry protocol (OTLP 1.x) that traces need, and where they are sent.
//!
//! Whoever exports spans and whoever receives them share these types, so that what one writes the other reads. They are
//! written by hand from the protocol's field numbers: nothing needs a compiler of protocol files. A field that is not
//! here is skipped when reading, as the format asks for.
//!
//! - [`trace`]: an export request, its resources, scopes and spans, and the answer.
//! - [`common`]: attributes and their values.
//!
//! Invariants: no I/O; nothing of ours; field numbers and enum values are the protocol's and never change.

pub mod common;
pub mod trace;

pub use prost;

/// Path of the export of traces over HTTP, below the collector's address.
pub const HTTP_TRACES: &str = "/v1/traces";
/// Media type of an export in binary form over HTTP.
pub const HTTP_PROTOBUF: &str = "application/x-protobuf";
/// Path of the export of traces over gRPC.
pub const GRPC_TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// Port where collectors take OTLP over HTTP.
pub const HTTP_PORT: u16 = 4318;
/// Port where collectors take OTLP over gRPC.
pub const GRPC_PORT: u16 = 4317;
