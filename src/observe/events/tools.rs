//! The tools for events.

use curtain_control::mcp::{Access, Arg, ArgKind, Member, Output, Tool};

use super::signal::ACTION;
use crate::asked::{
    COMPONENT, END, ENVIRONMENT, LIMIT, NAMESPACE, ORDER, PLAIN_ORDER, PROJECT, START,
};

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
            NAMESPACE,
            PROJECT,
            COMPONENT,
            ENVIRONMENT,
            START,
            END,
            LIMIT.about("1 to 1000, default 100"),
            ORDER,
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
            NAMESPACE,
            Arg::optional("workflow_run_name", ArgKind::Text),
            START,
            END,
            LIMIT,
            PLAIN_ORDER,
        ],
        actions: &[ACTION],
        access: Access::Read,
        output: OUTPUT,
    },
];
