//! The tools for events.

use curtain_control::mcp::{Access, Arg, ArgKind, Member, Output, Tool};

use super::signal::ACTION;

/// Events when the caller does not say; those that say the same are one row.
pub(super) const DEFAULT_LIMIT: i64 = 100;

const OUTPUT: Output = Output::Object(&[
    Member::list("events"),
    Member::object("metadata"),
    Member { name: "total", kind: "integer" },
    Member::text("hint"),
]);

/// What happened in runs of workflows.
pub(super) const OF_WORKFLOWS: &str = "query_workflow_events";

pub(super) static TABLE: [Tool; 2] = [
    Tool {
        name: "query_component_events",
        description: "Find Kubernetes events of components: why pods do not start, restart or scale.",
        toolsets: &["events"],
        args: &[
            Arg::required("namespace", ArgKind::Text),
            Arg::optional("project", ArgKind::Text),
            Arg::optional("component", ArgKind::Text).about("needs project"),
            Arg::optional("environment", ArgKind::Text),
            Arg::required("start_time", ArgKind::Text).about("RFC 3339"),
            Arg::required("end_time", ArgKind::Text).about("RFC 3339; at most 30 days later"),
            Arg::optional("limit", ArgKind::Integer).about("1 to 1000, default 100"),
            Arg::optional("sort_order", ArgKind::OneOf(&["asc", "desc"])).about("default desc"),
        ],
        actions: &[ACTION],
        access: Access::Read,
        output: OUTPUT,
    },
    Tool {
        name: OF_WORKFLOWS,
        description: "Find Kubernetes events of workflow runs.",
        toolsets: &["events"],
        args: &[
            Arg::required("namespace", ArgKind::Text),
            Arg::optional("workflow_run_name", ArgKind::Text),
            Arg::required("start_time", ArgKind::Text).about("RFC 3339"),
            Arg::required("end_time", ArgKind::Text).about("RFC 3339; at most 30 days later"),
            Arg::optional("limit", ArgKind::Integer),
            Arg::optional("sort_order", ArgKind::OneOf(&["asc", "desc"])),
        ],
        actions: &[ACTION],
        access: Access::Read,
        output: OUTPUT,
    },
];
