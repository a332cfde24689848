//! The tool for log lines.

use curtain_control::mcp::{Access, Arg, ArgKind, Arguments, Member, Output, Tool};
use serde_json::Value;

use super::ask::LogsQuery;
use super::signal::ACTION;
use crate::asked::{
    Asked, COMPONENT, END, ENVIRONMENT, LIMIT, NAMESPACE, ORDER, PLAIN_ORDER, PROJECT, START,
};

/// Lines when the caller does not say; fewer, when they are long.
const DEFAULT_LIMIT: i64 = 40;

const OUTPUT: Output = Output::Object(&[
    Member::list("logs"),
    Member::object("metadata"),
    Member { name: "total", kind: "integer" },
    Member::text("hint"),
]);

/// What runs of workflows wrote.
pub(super) const OF_WORKFLOWS: &str = "query_workflow_logs";

pub(super) static TABLE: [Tool; 2] = [
    Tool {
        name: "query_component_logs",
        description: "Find log lines of components. Narrow by component, time, level or phrase before raising the limit.",
        toolsets: &["logs"],
        args: &[
            NAMESPACE,
            PROJECT,
            COMPONENT,
            ENVIRONMENT,
            START,
            END,
            Arg::optional("search_phrase", ArgKind::Text),
            Arg::optional("log_levels", ArgKind::Texts).about("of DEBUG, INFO, WARN, ERROR"),
            LIMIT.about("1 to 1000, default 40"),
            ORDER,
        ],
        actions: &[ACTION],
        access: Access::Read,
        output: OUTPUT,
    },
    Tool {
        name: OF_WORKFLOWS,
        description: "Find log lines of workflow runs.",
        toolsets: &["logs"],
        args: &[
            NAMESPACE,
            Arg::optional("workflow_run_name", ArgKind::Text),
            Arg::optional("task_name", ArgKind::Text),
            START,
            END,
            Arg::optional("search_phrase", ArgKind::Text),
            Arg::optional("log_levels", ArgKind::Texts).about("of DEBUG, INFO, WARN, ERROR"),
            LIMIT,
            PLAIN_ORDER,
        ],
        actions: &[ACTION],
        access: Access::Read,
        output: OUTPUT,
    },
];

/// The query that the tool's arguments mean.
pub(super) fn query(arguments: &Arguments) -> LogsQuery {
    let levels = arguments.value("log_levels").and_then(Value::as_array);
    let levels = levels.into_iter().flatten().filter_map(Value::as_str);
    LogsQuery {
        asked: Asked::of(arguments, DEFAULT_LIMIT),
        log_levels: levels.map(str::to_owned).collect(),
        search_phrase: arguments.text("search_phrase").to_owned(),
    }
}
