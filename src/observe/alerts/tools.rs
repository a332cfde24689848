//! The tools for alerts and incidents.

use curtain_control::mcp::{Access, Arg, Member, Output, Tool};

use super::signal::{ALERTS, INCIDENTS};
use crate::asked::{COMPONENT, ENVIRONMENT, LIMIT, NAMESPACE, ORDER, PROJECT, SINCE, UNTIL};

/// Entries when the caller does not say; fewer, when they are long.
pub(super) const DEFAULT_LIMIT: i64 = 20;

/// The tool for incidents; the other one is for alerts.
pub(super) const QUERY_INCIDENTS: &str = "query_incidents";

const ARGS: &[Arg] = &[
    NAMESPACE,
    PROJECT,
    COMPONENT,
    ENVIRONMENT,
    SINCE,
    UNTIL,
    LIMIT.about("1 to 1000, default 20"),
    ORDER,
];

pub(super) static TABLE: [Tool; 2] = [
    Tool {
        name: "query_alerts",
        description: "Find alerts that fired for components, with the rule and value of each.",
        toolsets: &["alerts"],
        args: ARGS,
        actions: &[ALERTS],
        access: Access::Read,
        output: Output::Object(&[
            Member::list("alerts"),
            Member { name: "total", kind: "integer" },
            Member::text("hint"),
        ]),
    },
    Tool {
        name: QUERY_INCIDENTS,
        description: "Find incidents of components: status, notes, who was notified, the SRE agent's report \
            (get_rca_report) and the fix it proposes.",
        toolsets: &["alerts"],
        args: ARGS,
        actions: &[INCIDENTS],
        access: Access::Read,
        output: Output::Object(&[
            Member::list("incidents"),
            Member { name: "total", kind: "integer" },
            Member::text("hint"),
        ]),
    },
];
