//! The observer's tools for AI agents.

use curtain_control::mcp::{
    About, Access, Arg, ArgKind, Arguments, Call, CallError, Member, Output, Tool, Toolbox,
    economy::{MOST, TYPICAL},
};
use serde_json::Value;

use super::ask::{LogsQuery, Scope, compact};
use super::gate;
use super::service::Logs;

/// Lines when the caller does not say; fewer, when they are long.
const DEFAULT_LIMIT: i64 = 40;

static TABLE: [Tool; 1] = [Tool {
    name: "query_component_logs",
    description: "Find log lines of components. Narrow by component, time, level or phrase before raising the limit.",
    toolsets: &["logs"],
    args: &[
        Arg::required("namespace", ArgKind::Text),
        Arg::optional("project", ArgKind::Text),
        Arg::optional("component", ArgKind::Text).about("needs project"),
        Arg::optional("environment", ArgKind::Text),
        Arg::required("start_time", ArgKind::Text).about("RFC 3339"),
        Arg::required("end_time", ArgKind::Text).about("RFC 3339; at most 30 days later"),
        Arg::optional("search_phrase", ArgKind::Text),
        Arg::optional("log_levels", ArgKind::Texts).about("of DEBUG, INFO, WARN, ERROR"),
        Arg::optional("limit", ArgKind::Integer).about("1 to 1000, default 40"),
        Arg::optional("sort_order", ArgKind::OneOf(&["asc", "desc"])).about("default desc"),
    ],
    actions: &[gate::ACTION],
    access: Access::Read,
    output: Output::Object(&[
        Member::list("logs"),
        Member::object("metadata"),
        Member { name: "total", kind: "integer" },
        Member::text("hint"),
    ]),
}];

/// The toolbox over the log store.
pub(super) struct ObserverTools {
    pub(super) logs: Logs,
    pub(super) version: String,
}

impl Toolbox for ObserverTools {
    fn about(&self) -> About {
        About {
            name: "openchoreo-observer",
            version: self.version.clone(),
            instructions: "Logs of the components of a Curtain platform (OpenChoreo-compatible). Times are RFC 3339. \
                Start with a short range, one component and log_levels [\"ERROR\",\"WARN\"].",
        }
    }

    fn tools(&self) -> Vec<&'static Tool> {
        TABLE.iter().collect()
    }

    async fn lists(&self, call: Call<'_>, _: &'static str) -> bool {
        self.logs.may_look_anywhere(call.token).await
    }

    /// The call itself is judged by the control plane, where its place and environment are known.
    async fn call(
        &self,
        call: Call<'_>,
        _: &'static Tool,
        arguments: Arguments,
    ) -> Result<Value, CallError> {
        let text = |name: &str| arguments.text(name).to_owned();
        let levels = arguments.value("log_levels").and_then(Value::as_array);
        let query = LogsQuery {
            start_time: text("start_time"),
            end_time: text("end_time"),
            search_scope: Scope {
                namespace: text("namespace"),
                project: text("project"),
                component: text("component"),
                environment: text("environment"),
                ..Scope::default()
            },
            limit: Some(arguments.integer("limit").unwrap_or(DEFAULT_LIMIT)),
            sort_order: text("sort_order"),
            log_levels: levels
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            search_phrase: text("search_phrase"),
        };
        let found = self.logs.query(call.caller, call.token, query).await;
        let budget = if arguments.integer("limit").is_some() { MOST } else { TYPICAL };
        found.map(|found| compact(&found, budget)).map_err(CallError::new)
    }
}
