//! The observer's tools for AI agents.

use curtain_control::identity::Caller;
use curtain_control::mcp::{
    About, Access, Arg, ArgKind, Arguments, CallError, Member, Output, Tool, Toolbox,
};
use serde_json::Value;

use super::ask::{LogsQuery, Scope};
use super::service::Logs;
use super::token::Tokens;

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
        Arg::optional("limit", ArgKind::Integer).about("1 to 1000, default 100"),
        Arg::optional("sort_order", ArgKind::OneOf(&["asc", "desc"])).about("default desc"),
    ],
    // Judged by the control plane at each call, where the place is known.
    actions: &[],
    access: Access::Read,
    output: Output::Object(&[
        Member::list("logs"),
        Member { name: "total", kind: "integer" },
        Member { name: "tookMs", kind: "integer" },
    ]),
}];

/// The toolbox over the log store.
pub(super) struct ObserverTools {
    pub(super) logs: Logs,
    pub(super) tokens: Tokens,
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

    async fn call(
        &self,
        caller: &Caller,
        _: &'static Tool,
        arguments: Arguments,
    ) -> Result<Value, CallError> {
        let token = self
            .tokens
            .of(caller)
            .ok_or_else(|| CallError::new("the request ended before its call"))?;
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
            limit: arguments.integer("limit"),
            sort_order: text("sort_order"),
            log_levels: levels
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            search_phrase: text("search_phrase"),
        };
        self.logs.query(caller, &token, query).await.map_err(CallError::new)
    }
}
