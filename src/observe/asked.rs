//! What every query says: where to look, when, and how much of it to show.

use curtain_control::authz::Hierarchy;
use curtain_control::mcp::economy::{MOST, TYPICAL};
use curtain_control::mcp::{Arg, ArgKind, Arguments};
use jiff::{Timestamp, Unit};
use serde::Deserialize;

use crate::owner::Owner;
use crate::spelling::Spelling;

const DEFAULT_LIMIT: i64 = 100;
const MAX_LIMIT: i64 = 1000;
const MAX_DAYS: i64 = 30;
/// Seconds that an agent is told of who names no time.
const RECENT: i64 = 15 * 60;

/// What a query for workflow runs is told.
pub(crate) const NO_WORKFLOWS: &str =
    "nothing is kept of workflow runs: there is no workflow engine yet";

/// The arguments of tools that [`Asked::of`] reads.
pub(crate) const NAMESPACE: Arg = Arg::required("namespace", ArgKind::Text);
pub(crate) const PROJECT: Arg = Arg::optional("project", ArgKind::Text);
pub(crate) const COMPONENT: Arg = Arg::optional("component", ArgKind::Text).about("needs project");
pub(crate) const ENVIRONMENT: Arg = Arg::optional("environment", ArgKind::Text);
pub(crate) const START: Arg = Arg::optional("start_time", ArgKind::Text)
    .about("RFC 3339; default 15 minutes before end_time");
pub(crate) const END: Arg =
    Arg::optional("end_time", ArgKind::Text).about("default now; at most 30 days later");
/// Where the last minutes are not what is meant: of costs, and of incidents, which may be open since long.
pub(crate) const SINCE: Arg = Arg::required("start_time", ArgKind::Text).about("RFC 3339");
pub(crate) const UNTIL: Arg =
    Arg::required("end_time", ArgKind::Text).about("RFC 3339; at most 30 days later");
/// How many a tool gives by itself is for it to say.
pub(crate) const LIMIT: Arg = Arg::optional("limit", ArgKind::Integer);
pub(crate) const ORDER: Arg =
    Arg::optional("sort_order", ArgKind::OneOf(&["asc", "desc"])).about("default desc");
/// For tools that say nothing of what comes first.
pub(crate) const PLAIN_ORDER: Arg = ORDER.about("");

/// Bytes that an agent is told, who gets more when it asks for a number of rows.
pub(crate) fn budget(arguments: &Arguments) -> usize {
    if arguments.integer("limit").is_some() { MOST } else { TYPICAL }
}

/// The part of a query's body that all signals have in common.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Asked {
    pub(crate) start_time: String,
    pub(crate) end_time: String,
    pub(crate) search_scope: Scope,
    pub(crate) limit: Option<i64>,
    pub(crate) sort_order: String,
    #[serde(skip)]
    pub(crate) spelling: Spelling,
}

/// Where to look. A workflow scope is told by `workflowRunName`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Scope {
    pub(crate) namespace: String,
    pub(crate) project: String,
    pub(crate) component: String,
    pub(crate) environment: String,
    pub(crate) workflow_run_name: String,
    pub(crate) task_name: String,
}

/// A checked query: one place, one stretch of time, one page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Where to look.
    pub place: Place,
    /// First and last nanosecond since 1970, both included.
    pub between: (i64, i64),
    /// At most this many.
    pub limit: usize,
    /// The newest first, else the oldest.
    pub newest_first: bool,
}

/// A place in the platform. Empty names mean any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// The platform's namespace; never empty.
    pub namespace: String,
    /// Name of the project.
    pub project: String,
    /// Name of the component.
    pub component: String,
    /// Name of the environment.
    pub environment: String,
}

impl Place {
    /// Whether what is of `owner` is in it.
    pub(crate) fn has(&self, owner: &Owner) -> bool {
        let is = |wanted: &str, name: &str| wanted.is_empty() || wanted == name;
        self.namespace == owner.namespace
            && is(&self.project, &owner.project)
            && is(&self.component, &owner.component)
            && is(&self.environment, &owner.environment)
    }

    /// What the control plane is asked about.
    pub(crate) fn site(&self) -> (Hierarchy, &str) {
        let at = Hierarchy::namespace(self.namespace.clone())
            .project(self.project.clone())
            .component(self.component.clone());
        (at, &self.environment)
    }
}

impl Asked {
    /// From the arguments of a tool; `limit` is for a caller that names none. Who names no time means the last minutes.
    pub(crate) fn of(arguments: &Arguments, limit: i64) -> Asked {
        Asked::at(Timestamp::now(), arguments, limit)
    }

    fn at(now: Timestamp, arguments: &Arguments, limit: i64) -> Asked {
        let text = |name: &str| arguments.text(name).to_owned();
        let (mut start_time, mut end_time) = (text("start_time"), text("end_time"));
        if end_time.is_empty() {
            end_time = now.to_string();
        }
        if start_time.is_empty() {
            // A wrong end is for the check to tell.
            let end = end_time.parse().unwrap_or(now);
            let start = Timestamp::from_second(end.as_second() - RECENT).unwrap_or(end);
            start_time = start.to_string();
        }
        Asked {
            start_time,
            end_time,
            search_scope: Scope {
                namespace: text("namespace"),
                project: text("project"),
                component: text("component"),
                environment: text("environment"),
                ..Scope::default()
            },
            limit: Some(arguments.integer("limit").unwrap_or(limit)),
            sort_order: text("sort_order"),
            spelling: Spelling::Tool,
        }
    }

    /// Checks it. The error is a sentence for the caller.
    pub(crate) fn check(self) -> Result<Page, String> {
        let (scope, spelling) = (self.search_scope, self.spelling);
        let (field, within) =
            (|name: &str| spelling.field(name), |name: &str| spelling.scope(name));
        if scope.namespace.is_empty() {
            return Err(format!("{} is required", within("namespace")));
        }
        if !scope.workflow_run_name.is_empty() || !scope.task_name.is_empty() {
            return Err(NO_WORKFLOWS.into());
        }
        if !scope.component.is_empty() && scope.project.is_empty() {
            return Err(format!("{} needs {}", within("component"), within("project")));
        }
        let start = time(&field("start_time"), &self.start_time)?;
        let end = time(&field("end_time"), &self.end_time)?;
        if end < start {
            return Err(format!("{} is before {}", field("end_time"), field("start_time")));
        }
        if end.as_second() - start.as_second() > MAX_DAYS * 24 * 3600 {
            return Err(format!("the time range is longer than {MAX_DAYS} days"));
        }
        let limit = match self.limit.unwrap_or(0) {
            0 => DEFAULT_LIMIT,
            limit if (1..=MAX_LIMIT).contains(&limit) => limit,
            limit => return Err(format!("limit is {limit}; it must be between 1 and {MAX_LIMIT}")),
        };
        let newest_first = match self.sort_order.as_str() {
            "" | "desc" => true,
            "asc" => false,
            other => {
                let name = field("sort_order");
                return Err(format!("{name} is {other:?}; it must be asc or desc"));
            }
        };
        Ok(Page {
            place: Place {
                namespace: scope.namespace,
                project: scope.project,
                component: scope.component,
                environment: scope.environment,
            },
            between: (nanoseconds(start), nanoseconds(end)),
            limit: usize::try_from(limit).unwrap_or(1),
            newest_first,
        })
    }
}

fn time(name: &str, text: &str) -> Result<Timestamp, String> {
    if text.is_empty() {
        return Err(format!("{name} is required"));
    }
    text.parse().map_err(|_| {
        let now = Timestamp::now().round(Unit::Second).unwrap_or_default();
        format!(
            "{name} is {text:?}; it must be a time in RFC 3339 such as {now}, which is now on this server"
        )
    })
}

/// `time` as the databases keep it: nanoseconds since 1970.
pub(crate) fn nanoseconds(time: Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use curtain_control::mcp::{Access, Output, Tool};
    use serde_json::{Value, json};

    use super::*;

    fn check(change: Value) -> Result<Page, String> {
        asked(change).check()
    }

    fn asked(change: Value) -> Asked {
        let mut body = json!({"startTime":"2026-01-01T00:00:00Z","endTime":"2026-01-02T00:00:00Z","searchScope":{"namespace":"default"}});
        for (name, value) in change.as_object().expect("an object") {
            body[name] = value.clone();
        }
        serde_json::from_value(body).expect("well-formed")
    }

    #[test]
    fn defaults_are_a_hundred_of_the_newest() {
        let page = check(json!({})).expect("good");
        assert_eq!((page.limit, page.newest_first), (100, true));
        assert_eq!(page.between.0, 1_767_225_600_000_000_000);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let cases = [
            (json!({"startTime":""}), "startTime is required"),
            (json!({"endTime":"noon"}), "endTime is \"noon\""),
            (json!({"endTime":"2025-01-01T00:00:00Z"}), "endTime is before startTime"),
            (json!({"endTime":"2026-03-01T00:00:00Z"}), "longer than 30 days"),
            (json!({"limit":1001}), "between 1 and 1000"),
            (json!({"sortOrder":"up"}), "asc or desc"),
            (json!({"searchScope":{}}), "searchScope.namespace is required"),
            (json!({"searchScope":{"namespace":"a","component":"c"}}), "needs searchScope.project"),
            (
                json!({"searchScope":{"namespace":"a","workflowRunName":"r"}}),
                "no workflow engine yet",
            ),
        ];
        for (change, words) in cases {
            let error = check(change.clone()).expect_err("wrong");
            assert!(error.contains(words), "{change}: {error}");
        }
    }

    #[test]
    fn who_names_no_time_to_a_tool_means_the_last_minutes() {
        static TOOL: Tool = Tool {
            name: "look",
            description: "",
            toolsets: &[],
            args: &[NAMESPACE, START, END],
            actions: &[],
            access: Access::Read,
            output: Output::Schema,
        };
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().expect("a time");
        let times = |mut given: Value| {
            given["namespace"] = json!("a");
            let arguments = Arguments::check(&TOOL, given.as_object().cloned()).expect("good");
            let asked = Asked::at(now, &arguments, 0);
            (asked.start_time.clone(), asked.end_time.clone(), asked.check().err())
        };
        let (noon, before) = ("2026-01-01T12:00:00Z".to_owned(), "2026-01-01T11:45:00Z".to_owned());
        assert_eq!(times(json!({})), (before, noon, None));
        let (start, ..) = times(json!({"end_time": "2026-01-01T10:00:00Z"}));
        assert_eq!(start, "2026-01-01T09:45:00Z");
        let (.., error) = times(json!({"start_time": "5m ago"}));
        let error = error.expect("wrong");
        let rest =
            error.strip_prefix("start_time is \"5m ago\"; it must be a time in RFC 3339 such as ");
        let told = rest.and_then(|rest| rest.strip_suffix(", which is now on this server"));
        assert!(told.is_some_and(|time| time.parse::<Timestamp>().is_ok()), "{error}");
    }

    #[test]
    fn a_tool_is_told_by_the_names_of_its_arguments() {
        for (change, words) in [
            (json!({"startTime":""}), "start_time is required"),
            (json!({"endTime":"2025-01-01T00:00:00Z"}), "end_time is before start_time"),
            (json!({"sortOrder":"up"}), "sort_order is \"up\""),
            (json!({"searchScope":{"namespace":"a","component":"c"}}), "component needs project"),
        ] {
            let asked = Asked { spelling: Spelling::Tool, ..asked(change.clone()) };
            let error = asked.check().expect_err("wrong");
            assert!(error.starts_with(words), "{change}: {error}");
        }
    }
}
