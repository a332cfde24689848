//! The tools for metrics.

use curtain_control::mcp::{Access, Arg, ArgKind, Arguments, Member, Output, Tool};

use super::ask::{CostQuery, MetricsQuery, TopologyQuery};
use super::signal::{FINOPS, METRICS};
use crate::asked::{Asked, COMPONENT, END, ENVIRONMENT, NAMESPACE, PROJECT, SINCE, START, UNTIL};
use crate::spelling::Spelling;

const ONE_ENVIRONMENT: Arg = Arg::required("environment", ArgKind::Text);
const STEP: Arg = Arg::optional("step", ArgKind::Text)
    .about("all points so far apart, such as 1m; without, a summary");
const HINT: Member = Member::text("hint");

const SERIES: Output = Output::Object(&[
    Member::object("series"),
    Member::object("routes"),
    Member::text("start"),
    Member { name: "step_seconds", kind: "integer" },
    HINT,
]);

pub(super) static TABLE: [Tool; 6] = [
    Tool {
        name: "query_resource_metrics",
        description: "CPU, memory and network of components, as a summary with trend.",
        toolsets: &["metrics"],
        args: &[NAMESPACE, PROJECT, COMPONENT, ENVIRONMENT, START, END, STEP],
        actions: &[METRICS],
        access: Access::Read,
        output: SERIES,
    },
    Tool {
        name: "query_http_metrics",
        description: "Requests to components: how many, failed ones, latency, and the worst routes.",
        toolsets: &["metrics"],
        args: &[NAMESPACE, PROJECT, COMPONENT, ENVIRONMENT, START, END, STEP],
        actions: &[METRICS],
        access: Access::Read,
        output: SERIES,
    },
    Tool {
        name: "query_topology",
        description: "Who calls whom in a project, with rates, errors and latency, and which component is unhealthy and why. \
            Start here when something is wrong.",
        toolsets: &["metrics"],
        args: &[
            NAMESPACE,
            Arg::required("project", ArgKind::Text),
            ONE_ENVIRONMENT,
            Arg::optional("component", ArgKind::Text),
            START,
            END,
        ],
        actions: &[METRICS],
        access: Access::Read,
        output: Output::Object(&[
            Member::object("unhealthy"),
            Member::object("components"),
            Member::object("calls"),
            HINT,
        ]),
    },
    Tool {
        name: "query_app_metrics",
        description: "What programs measure of themselves (scraped from pods with prometheus.io/scrape).",
        toolsets: &["metrics"],
        args: &[
            NAMESPACE,
            PROJECT,
            COMPONENT,
            ENVIRONMENT,
            START,
            END,
            Arg::optional("name", ArgKind::Text).about("part of the series' name"),
        ],
        actions: &[METRICS],
        access: Access::Read,
        output: Output::Object(&[Member::object("series"), HINT]),
    },
    Tool {
        name: "query_costs",
        description: "What components cost by what they request, in USD, and which part of it they use.",
        toolsets: &["finops"],
        args: &[
            NAMESPACE,
            ONE_ENVIRONMENT,
            SINCE,
            UNTIL,
            PROJECT,
            COMPONENT,
            Arg::optional("granularity", ArgKind::Text)
                .about("one row for each, such as 1h, 1d, 1w"),
        ],
        actions: &[FINOPS],
        access: Access::Read,
        output: Output::Object(&[
            Member::object("costs"),
            Member { name: "total", kind: "number" },
            Member::text("currency"),
            HINT,
        ]),
    },
    Tool {
        name: "query_recommendations",
        description: "Requests and limits that would be enough: 95th percentile of usage and 20 %.",
        toolsets: &["finops"],
        args: &[NAMESPACE, ONE_ENVIRONMENT, SINCE, UNTIL, PROJECT, COMPONENT],
        actions: &[FINOPS],
        access: Access::Read,
        output: Output::Object(&[Member::object("recommendations"), HINT]),
    },
];

/// The query that the arguments of a tool for a `metric` mean.
pub(super) fn metrics(arguments: &Arguments, metric: &str) -> MetricsQuery {
    MetricsQuery {
        asked: Asked::of(arguments, 0),
        metric: metric.to_owned(),
        step: arguments.text("step").to_owned(),
    }
}

/// The same for the topology.
pub(super) fn topology(arguments: &Arguments) -> TopologyQuery {
    TopologyQuery { asked: Asked::of(arguments, 0), ..TopologyQuery::default() }
}

/// The same for costs and recommendations.
pub(super) fn costs(arguments: &Arguments) -> CostQuery {
    let text = |name: &str| arguments.text(name).to_owned();
    CostQuery {
        project: text("project"),
        component: text("component"),
        start_time: text("start_time"),
        end_time: text("end_time"),
        granularity: text("granularity"),
        spelling: Spelling::Tool,
    }
}
