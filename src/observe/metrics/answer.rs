//! Metrics as callers read them.

use curtain_control::mcp::economy::fit;
use serde_json::{Map, Value, json};

use super::ask::Window;
use super::requests::{Asked, Http};
use super::resources::{KINDS, Points, Resources};
use super::statistics::{rounded, statistics, thinned};

/// Points that an agent gets of a series that it did not ask the points of.
const FEW: usize = 6;
/// Routes that an agent is told of.
const ROUTES: usize = 8;

/// Names, units and values over HTTP, in the order of the contract. Latencies are in seconds.
/// `failedRequestCount` is ours: of the unsuccessful ones, those that the caller was not wrong in.
fn series(http: &Http) -> [(&'static str, &'static str, Points); 8] {
    let points = |of: &dyn Fn(&Asked) -> Option<f64>| -> Points {
        if http.steps.iter().all(Option::is_none) {
            return Points::new();
        }
        http.steps.iter().map(|step| step.as_ref().and_then(of)).collect()
    };
    [
        ("requestCount", "requests", points(&|asked| Some(asked.all.count as f64))),
        (
            "successfulRequestCount",
            "requests",
            points(&|asked| Some(asked.all.count.saturating_sub(asked.unsuccessful) as f64)),
        ),
        ("unsuccessfulRequestCount", "requests", points(&|asked| Some(asked.unsuccessful as f64))),
        ("failedRequestCount", "requests", points(&|asked| Some(asked.failed as f64))),
        ("meanLatency", "seconds", points(&|asked| asked.all.mean())),
        ("latencyP50", "seconds", points(&|asked| asked.all.quantile(0.5))),
        ("latencyP90", "seconds", points(&|asked| asked.all.quantile(0.9))),
        ("latencyP99", "seconds", points(&|asked| asked.all.quantile(0.99))),
    ]
}

/// Series with their points, as REST has them.
fn full<'a>(all: impl Iterator<Item = (&'static str, &'a Points)>, window: &Window) -> Value {
    let point = |(step, value): (usize, &Option<f64>)| {
        value.map(|value| json!({"timestamp": window.time_of(step).to_string(), "value": value}))
    };
    let series = all.map(|(name, points)| {
        let points: Vec<Value> = points.iter().enumerate().filter_map(point).collect();
        (name.to_owned(), points.into())
    });
    Value::Object(series.collect())
}

/// The answer of REST about resources.
pub(super) fn resources(found: &Resources, window: &Window) -> Value {
    full(KINDS.iter().map(|kind| kind.name).zip(&found.0), window)
}

/// The answer of REST about requests.
pub(super) fn http(found: &Http, window: &Window) -> Value {
    let all = series(found);
    let mut answer = full(all.iter().map(|(name, _, points)| (*name, points)), window);
    let traced = |step: &Option<Asked>| step.as_ref().map(|asked| asked.traced as f64);
    let traced: Points = found.steps.iter().map(traced).collect();
    if traced.iter().flatten().any(|count| *count > 0.0) {
        // Ours: of the requests, those that are known from spans alone.
        let series = full([("tracedRequestCount", &traced)].into_iter(), window);
        answer["tracedRequestCount"] = series["tracedRequestCount"].clone();
    }
    answer
}

/// A series for an agent: in few words, or all points after each other.
fn told(points: &Points, unit: &str, stepped: bool) -> Option<Value> {
    let found = statistics(points)?;
    if stepped {
        let values: Vec<Option<f64>> = points.iter().map(|value| value.map(rounded)).collect();
        return Some(json!({"unit": unit, "values": values}));
    }
    if found.min == found.max {
        return Some(json!({"unit": unit, "always": rounded(found.mean)}));
    }
    let few: Vec<Option<f64>> =
        thinned(points, FEW).into_iter().map(|value| value.map(rounded)).collect();
    Some(json!({
        "unit": unit, "mean": rounded(found.mean), "min": rounded(found.min), "max": rounded(found.max),
        "p95": rounded(found.p95), "last": rounded(found.last), "trend": found.trend(), "points": few,
    }))
}

/// When a series that is told as values begins, and how far they are apart.
fn head(window: &Window, stepped: bool, longer: bool) -> Value {
    let mut answer = json!({"series": {}});
    if stepped {
        answer["start"] = window.time_of(0).to_string().into();
        answer["step_seconds"] = window.step.into();
    }
    if longer {
        answer["hint"] =
            json!("the step is longer than asked for, to keep this short; ask for less time");
    }
    answer
}

/// The answer for an agent about resources. `stepped`: it asked for points.
pub(super) fn compact_resources(
    found: &Resources,
    window: &Window,
    (stepped, longer): (bool, bool),
) -> Value {
    let mut answer = head(window, stepped, longer);
    for (kind, points) in KINDS.iter().zip(&found.0) {
        let Some(mut told) = told(points, kind.unit, stepped) else { continue };
        let limit = kind.limit.and_then(|limit| statistics(&found.0[limit]));
        if let Some((used, limit)) = statistics(points).zip(limit.filter(|limit| limit.last > 0.0))
        {
            told["last_of_limit"] = json!(format!("{:.0} %", 100.0 * used.last / limit.last));
        }
        answer["series"][kind.name] = told;
    }
    nothing(&mut answer, "nothing was measured in this time; is the component deployed there?");
    answer
}

/// The answer for an agent about requests.
pub(super) fn compact_http(
    found: &Http,
    window: &Window,
    (stepped, longer): (bool, bool),
) -> Value {
    let mut answer = head(window, stepped, longer);
    for (name, unit, points) in series(found) {
        let Some(mut told) = told(&points, unit, stepped) else { continue };
        if unit == "requests" && !stepped {
            told["total"] = rounded(points.iter().flatten().sum()).into();
            told["unit"] = json!(format!("requests per {} s", window.step));
        }
        answer["series"][name] = told;
    }
    let routes = routes(found, window.place.component.is_empty());
    if !routes.is_empty() {
        answer["routes"] =
            json!({"columns": ["route", "requests", "failed", "p99 ms", "errors"], "rows": routes});
    }
    nothing(&mut answer, "no requests were seen in this time");
    let sum = |of: fn(&Asked) -> u64| found.steps.iter().flatten().map(of).sum::<u64>();
    let (all, traced) = (sum(|asked| asked.all.count), sum(|asked| asked.traced));
    if traced > 0 {
        say(&mut answer, &format!("{traced} of {all} requests are {FROM_SPANS}"));
    }
    if found.more && traced > 0 {
        say(&mut answer, OLDER);
    }
    answer
}

/// Of requests that nothing on the way counts.
pub(super) const FROM_SPANS: &str =
    "known from spans alone: nothing on the way counts them, and what is not traced is missing";
/// When there are more spans than are looked at.
pub(super) const OLDER: &str =
    "there are too many spans to count, so older requests are missing; ask for less time";

/// Adds to the hint of an answer.
pub(super) fn say(answer: &mut Value, hint: &str) {
    answer["hint"] = match answer["hint"].as_str() {
        Some(said) => format!("{said}; {hint}").into(),
        None => hint.into(),
    };
}

fn nothing(answer: &mut Value, hint: &str) {
    if answer["series"].as_object().is_some_and(Map::is_empty) {
        answer["hint"] = hint.into();
    }
}

/// Routes: the failing ones first, then the busy ones.
fn routes(found: &Http, with_component: bool) -> Vec<Value> {
    let mut all: Vec<_> = found.routes.iter().collect();
    all.sort_by_key(|(_, asked)| std::cmp::Reverse((asked.failed, asked.all.count)));
    let row = |((component, method, route), asked): (&(String, String, String), &Asked)| {
        let component = if with_component { component.as_str() } else { "" };
        let words = [component, method, route].into_iter().filter(|word| !word.is_empty());
        let name = words.collect::<Vec<_>>().join(" ");
        let p99 = asked.all.quantile(0.99).map(|seconds| rounded(seconds * 1000.0));
        let errors: Vec<String> =
            asked.statuses.iter().map(|(status, count)| format!("{status} x{count}")).collect();
        json!([name, asked.all.count, asked.failed, p99, errors.join(", ")])
    };
    all.into_iter().take(ROUTES).map(row).collect()
}

/// `rows` of a table as far as they fit into `budget` bytes, and a hint about the others.
pub(super) fn table(
    columns: &[&str],
    mut rows: Vec<Value>,
    budget: usize,
) -> (Value, Option<String>) {
    let all = rows.len();
    let gone = fit(&mut rows, budget, |row| row.to_string().len() + 1);
    let hint =
        (gone > 0).then(|| format!("{} of {all} rows; narrow by project or component", rows.len()));
    (json!({"columns": columns, "rows": rows}), hint)
}
