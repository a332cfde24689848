//! What a component uses and how it answers, as charts.

use super::Page;
use super::frame::{Frame, Tab};
use super::live::{Visit, live};
use crate::ask::Window;
use crate::backend::User;
use crate::chart::{Chart, Line, Unit};
use crate::error::{BackendError, softly};
use crate::model::text;
use crate::pages::parts;
use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::Value;

/// Points of a line.
const POINTS: i64 = 60;
/// Seconds until the charts are fetched again.
const EVERY: u32 = 15;

pub(crate) async fn show(visit: Visit) -> Page {
    live(visit, (Tab::Metrics, EVERY), charts).await
}

async fn charts(user: &User<'_>, frame: &Frame) -> Result<Markup, BackendError> {
    let step = (frame.seconds() / POINTS).max(1);
    let mut window = frame.window();
    // Steps begin where the observer's do, so that the first is a whole one.
    let start = window.start.as_second().div_euclid(step) * step;
    window.start = Timestamp::from_second(start).unwrap_or(window.start);
    let question = |metric: &str| {
        let mut question = window.ask(frame.scope(&frame.place.component), 1);
        question["metric"] = metric.into();
        question["step"] = format!("{step}s").into();
        question
    };
    let asked = [question("resource"), question("http")];
    let path = "/api/v1/metrics/query";
    let (used, http) = tokio::join!(user.observed(path, &asked[0]), user.observed(path, &asked[1]));
    let (used, http) = (softly(used)?, softly(http)?);
    let of = Of { window, step: step as f64 };
    Ok(html! {
        @match &http {
            Ok(http) => section aria-labelledby="requests" {
                h2.label #requests { "Requests" }
                p.dim { "A request is refused if the caller was wrong (4xx): that is no fault of this component." }
                @if http["tracedRequestCount"].is_array() {
                    p.dim { "Some of them are known from spans alone: a request that its program does not trace is not counted." }
                }
                div.charts {
                    (of.chart("Requests", Unit::PerSecond, vec![of.rate("all", &http["requestCount"])]))
                    (of.chart("Failed and refused", Unit::PerSecond, errors(&of, http)))
                    (of.chart("Latency", Unit::Seconds, vec![
                        line("p50", &http["latencyP50"]), line("p99", &http["latencyP99"]),
                    ]))
                }
            },
            Err(reason) => (parts::missing("There are no requests to show", reason)),
        }
        @match &used {
            Ok(used) => section aria-labelledby="resources" {
                h2.label #resources { "Resources" }
                div.charts {
                    (of.chart("CPU", Unit::Cores, vec![
                        line("used", &used["cpuUsage"]), line("requested", &used["cpuRequests"]),
                        line("limit", &used["cpuLimits"]),
                    ]))
                    (of.chart("Memory", Unit::Bytes, vec![
                        line("used", &used["memoryUsage"]), line("requested", &used["memoryRequests"]),
                        line("limit", &used["memoryLimits"]),
                    ]))
                    (of.chart("Network", Unit::BytesPerSecond, vec![
                        of.rate("received", &used["networkReceiveBytes"]),
                        of.rate("sent", &used["networkTransmitBytes"]),
                    ]))
                }
            },
            Err(reason) => (parts::missing("There are no resources to show", reason)),
        }
    })
}

/// Failed requests, as everywhere else, and beside them those that were refused, in which the caller was wrong. Others than
/// our observer only tell both together.
fn errors(of: &Of, http: &Value) -> Vec<Line> {
    let unsuccessful = &http["unsuccessfulRequestCount"];
    if !http["failedRequestCount"].is_array() {
        return vec![of.rate("failed or refused", unsuccessful)];
    }
    let failed = of.rate("failed", &http["failedRequestCount"]);
    let mut refused = of.rate("refused", unsuccessful);
    for ((_, value), (_, failed)) in refused.points.iter_mut().zip(&failed.points) {
        *value = (*value - failed).max(0.0);
    }
    vec![failed, refused]
}

/// The time that charts are of.
struct Of {
    window: Window,
    step: f64,
}

impl Of {
    fn chart(&self, title: &'static str, unit: Unit, lines: Vec<Line>) -> Markup {
        Chart { title, unit, lines, window: self.window, step: self.step }.draw()
    }

    /// Counts of steps as so many a second. The last step is not over: what of it is still to come is not counted,
    /// and while that is nearly all of it, it says nothing.
    fn rate(&self, name: &'static str, series: &Value) -> Line {
        let end = self.window.end.as_second() as f64;
        let mut line = line(name, series);
        line.points.retain(|(time, _)| end - time > self.step / 4.0);
        for (time, value) in &mut line.points {
            *value /= (end - *time).clamp(1.0, self.step);
        }
        line
    }
}

/// A series of the observer as a line.
fn line(name: &'static str, series: &Value) -> Line {
    let point = |point: &Value| {
        let time: Timestamp = text(point, "/timestamp").parse().ok()?;
        Some((time.as_second() as f64, point["value"].as_f64()?))
    };
    Line { name, points: series.as_array().into_iter().flatten().filter_map(point).collect() }
}
