//! Queries over metrics as callers write them.

use jiff::Timestamp;
use serde::Deserialize;

use super::scan::Moment;
use crate::asked::{Asked, Place};
use crate::spelling::Spelling;

/// Steps that are chosen for callers who name none, in seconds.
const STEPS: [i64; 14] = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200];
/// Points that a caller gets who names no step.
const POINTS: i64 = 60;
/// More points are not given.
const MOST_POINTS: i64 = 11_000;

/// The body of `POST /api/v1/metrics/query`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct MetricsQuery {
    #[serde(flatten)]
    pub(super) asked: Asked,
    pub(super) metric: String,
    pub(super) step: String,
}

/// The body of `POST /api/v1alpha1/metrics/runtime-topology`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TopologyQuery {
    #[serde(flatten)]
    pub(super) asked: Asked,
    pub(super) include_gateways: Option<bool>,
    pub(super) include_external: Option<bool>,
}

/// The query of `GET …/costs/…` and `…/recommendations`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct CostQuery {
    pub(super) project: String,
    pub(super) component: String,
    pub(super) start_time: String,
    pub(super) end_time: String,
    pub(super) granularity: String,
    #[serde(skip)]
    pub(super) spelling: Spelling,
}

/// What a query asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Metric {
    Resource,
    Http,
}

/// A checked query: a place, and a stretch of time in steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) place: Place,
    /// Seconds since 1970, both included.
    pub(super) between: (i64, i64),
    /// Seconds.
    pub(super) step: i64,
}

impl Window {
    /// Beginning of the first step.
    pub(super) fn first(&self) -> i64 {
        self.between.0.div_euclid(self.step) * self.step
    }

    /// How many steps there are.
    pub(super) fn steps(&self) -> usize {
        usize::try_from((self.between.1 - self.first()) / self.step + 1).unwrap_or(1)
    }

    /// The step that a moment is in.
    pub(super) fn step_of(&self, moment: Moment) -> usize {
        self.step_at(moment.time)
    }

    /// The step that a second since 1970 is in.
    pub(super) fn step_at(&self, time: i64) -> usize {
        let step = (time - self.first()).max(0) / self.step;
        usize::try_from(step).unwrap_or(0).min(self.steps() - 1)
    }

    /// When a step begins.
    pub(super) fn time_of(&self, step: usize) -> Timestamp {
        let seconds = self.first() + self.step * i64::try_from(step).unwrap_or(0);
        Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The same in so many steps at most; whether they had to become longer.
    pub(super) fn at_most(&mut self, points: i64) -> bool {
        let longer = self.step * points < self.between.1 - self.between.0;
        if longer {
            self.step = chosen(self.between, points);
        }
        longer
    }
}

impl MetricsQuery {
    /// Checks it. The error is a sentence for the caller.
    pub(super) fn check(self) -> Result<(Metric, Window), String> {
        let metric = match self.metric.as_str() {
            "resource" => Metric::Resource,
            "http" => Metric::Http,
            other => return Err(format!("metric is {other:?}; it must be resource or http")),
        };
        Ok((metric, window(self.asked, &self.step)?))
    }
}

/// Checks a query without more. The error is a sentence for the caller.
pub(super) fn window(asked: Asked, step: &str) -> Result<Window, String> {
    let page = asked.check()?;
    let seconds = |time: i64| time.div_euclid(1_000_000_000);
    let between = (seconds(page.between.0), seconds(page.between.1));
    let step = match step {
        "" => chosen(between, POINTS),
        text => duration(text).ok_or_else(|| {
            format!("step is {text:?}; it must be a duration such as 30s, 5m or 1h")
        })?,
    };
    let points = (between.1 - between.0) / step;
    if points > MOST_POINTS {
        return Err(format!(
            "step is so short that there would be {points} points; at most {MOST_POINTS} are given"
        ));
    }
    Ok(Window { place: page.place, between, step })
}

impl TopologyQuery {
    /// Checks it. The error is a sentence for the caller.
    pub(super) fn check(self) -> Result<Window, String> {
        let spelling = self.asked.spelling;
        let window = window(self.asked, "")?;
        for (name, value) in
            [("project", &window.place.project), ("environment", &window.place.environment)]
        {
            if value.is_empty() {
                return Err(format!("{} is required", spelling.scope(name)));
            }
        }
        Ok(window)
    }
}

impl CostQuery {
    /// Checks it. The error is a sentence for the caller.
    pub(super) fn check(self, namespace: &str, environment: &str) -> Result<Window, String> {
        let asked = Asked {
            start_time: self.start_time,
            end_time: self.end_time,
            search_scope: crate::asked::Scope {
                namespace: namespace.to_owned(),
                project: self.project,
                component: self.component,
                environment: environment.to_owned(),
                ..Default::default()
            },
            spelling: self.spelling,
            ..Asked::default()
        };
        let mut window = window(asked, "")?;
        if window.between.0 == window.between.1 {
            let field = |name| self.spelling.field(name);
            return Err(format!("{} must be after {}", field("end_time"), field("start_time")));
        }
        window.step = match self.granularity.as_str() {
            "" => window.between.1 - window.between.0,
            text => granularity(text).ok_or_else(|| {
                format!("granularity is {text:?}; it must be a number of hours, days or weeks such as 1h, 2d or 1w")
            })?,
        };
        Ok(window)
    }
}

fn chosen(between: (i64, i64), points: i64) -> i64 {
    let wanted = (between.1 - between.0) / points.max(1);
    STEPS.into_iter().find(|step| *step >= wanted).unwrap_or(86_400)
}

fn granularity(text: &str) -> Option<i64> {
    let unit = match text.chars().last()? {
        'h' => 3600,
        'd' => 24 * 3600,
        'w' => 7 * 24 * 3600,
        _ => return None,
    };
    let number = &text[..text.len() - 1];
    let plain = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
    number.parse::<i64>().ok().filter(|_| plain)?.checked_mul(unit)
}

/// A duration as Go writes it, in whole seconds of which there is at least one.
fn duration(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        seconds += number
            * match &rest[..unit] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    (1.0..=1e9).contains(&seconds).then_some(seconds as i64)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(change: Value) -> Result<(Metric, Window), String> {
        let mut body = json!({"metric": "http", "startTime": "2026-01-01T00:00:01Z",
            "endTime": "2026-01-01T01:00:00Z", "searchScope": {"namespace": "default"}});
        for (name, value) in change.as_object().expect("an object") {
            body[name] = value.clone();
        }
        serde_json::from_value::<MetricsQuery>(body).expect("well-formed").check()
    }

    #[test]
    fn a_step_is_what_was_asked_for_or_gives_some_sixty_points() {
        let (metric, window) = check(json!({})).expect("good");
        assert_eq!((metric, window.step, window.steps()), (Metric::Http, 60, 61));
        assert_eq!(window.time_of(1).to_string(), "2026-01-01T00:01:00Z");
        let step = |text: &str| check(json!({"step": text})).map(|found| found.1.step);
        for (text, wanted) in [("30s", 30), ("5m", 300), ("1h30m", 5400), ("1.5m", 90)] {
            assert_eq!(step(text), Ok(wanted), "{text}");
        }
        for text in ["0s", "m", "5", "1d", "-5m", "5m5", "10ms", "1e9h"] {
            assert!(step(text).expect_err(text).contains("such as 30s"), "{text}");
        }
        let error = check(json!({"step": "1s", "endTime": "2026-01-02T00:00:00Z"}));
        assert!(error.expect_err("too many").contains("at most 11000"));
        assert!(check(json!({"metric": "gpu"})).expect_err("wrong").contains("resource or http"));
    }

    #[test]
    fn steps_of_costs_are_hours_days_and_weeks() {
        let check = |granularity: &str, end: &str| {
            let query = json!({"startTime": "2026-01-01T00:00:00Z", "endTime": end, "granularity": granularity});
            let query = serde_json::from_value::<CostQuery>(query).expect("well-formed");
            query.check("default", "development").map(|window| window.step)
        };
        assert_eq!(check("", "2026-01-03T00:00:00Z"), Ok(2 * 24 * 3600));
        assert_eq!(check("2h", "2026-01-03T00:00:00Z"), Ok(7200));
        assert_eq!(check("1w", "2026-01-03T00:00:00Z"), Ok(7 * 24 * 3600));
        for text in ["0h", "01h", "h", "1m", "-1d", "1 d"] {
            assert!(check(text, "2026-01-03T00:00:00Z").is_err(), "{text}");
        }
        assert!(check("", "2026-01-01T00:00:00Z").expect_err("empty").contains("after startTime"));
    }

    #[test]
    fn a_topology_is_of_a_project_in_an_environment() {
        let check = |scope: Value| {
            let body = json!({"startTime": "2026-01-01T00:00:00Z", "endTime": "2026-01-01T01:00:00Z", "searchScope": scope});
            serde_json::from_value::<TopologyQuery>(body).expect("well-formed").check()
        };
        let error = check(json!({"namespace": "a", "project": "p"})).expect_err("wrong");
        assert_eq!(error, "searchScope.environment is required");
        assert!(check(json!({"namespace": "a", "project": "p", "environment": "e"})).is_ok());
    }
}
