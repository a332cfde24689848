//! The tools for traces.

use curtain_control::mcp::{Access, Arg, ArgKind, Member, Output, Tool};

use super::signal::ACTION;
use crate::asked::{COMPONENT, END, ENVIRONMENT, LIMIT, NAMESPACE, ORDER, PROJECT, START};

/// Traces when the caller does not say.
pub(super) const DEFAULT_LIMIT: i64 = 40;

pub(super) const LIST: &str = "query_traces";
pub(super) const SPANS: &str = "query_trace_spans";

pub(super) static TABLE: [Tool; 3] = [
    Tool {
        name: LIST,
        description: "Find traces of requests: duration, number of spans and of errors. Then query_trace_spans.",
        toolsets: &["traces"],
        args: &[
            NAMESPACE,
            PROJECT,
            COMPONENT,
            ENVIRONMENT,
            START,
            END,
            LIMIT.about("1 to 1000, default 40"),
            ORDER,
        ],
        actions: &[ACTION],
        access: Access::Read,
        output: Output::Object(&[
            Member::list("traces"),
            Member::object("metadata"),
            Member { name: "total", kind: "integer" },
            Member::text("hint"),
        ]),
    },
    Tool {
        name: SPANS,
        description: "Show a trace: what failed first, then its spans as a tree with durations and self times.",
        toolsets: &["traces"],
        args: &[
            Arg::required("trace_id", ArgKind::Text),
            NAMESPACE,
            PROJECT,
            COMPONENT,
            ENVIRONMENT,
            START,
            END,
            LIMIT.about("lines, 1 to 1000"),
            ORDER,
        ],
        actions: &[ACTION],
        access: Access::Read,
        output: Output::Object(&[
            Member::list("spans"),
            Member::list("errors"),
            Member::text("trace"),
            Member { name: "total", kind: "integer" },
            Member::text("hint"),
        ]),
    },
    Tool {
        name: "get_span_details",
        description: "Show one span with its attributes and events.",
        toolsets: &["traces"],
        args: &[Arg::required("trace_id", ArgKind::Text), Arg::required("span_id", ArgKind::Text)],
        actions: &[ACTION],
        access: Access::Read,
        output: Output::Object(&[
            Member::text("spanId"),
            Member::text("spanName"),
            Member::text("spanKind"),
            Member::text("startTime"),
            Member::text("endTime"),
            Member { name: "durationNs", kind: "integer" },
            Member::text("parentSpanId"),
            Member::object("status"),
            Member::object("attributes"),
            Member::object("resourceAttributes"),
            Member::list("events"),
            Member::text("hint"),
        ]),
    },
];
