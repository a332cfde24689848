//! What was measured, and the lines that tell it.

use std::time::Duration;

use serde_json::json;

/// What the parts of a step gave so far.
#[derive(Clone, Debug)]
pub(crate) enum Sample {
    /// How long each request took.
    Times(Vec<Duration>),
    /// How much was done, in what time.
    Done { what: &'static str, count: usize, took: Duration },
}

/// One line.
#[derive(Clone, Debug)]
pub(crate) struct Measure {
    metric: String,
    value: f64,
    unit: String,
    more_is_better: bool,
}

impl Default for Sample {
    fn default() -> Self {
        Self::Times(Vec::new())
    }
}

impl Sample {
    /// One more part of the same step.
    pub(crate) fn add(&mut self, part: Sample) {
        match (&mut *self, part) {
            (Self::Times(all), Self::Times(more)) => all.extend(more),
            (Self::Done { count, took, .. }, Self::Done { count: more, took: longer, .. }) => {
                *count += more;
                *took += longer;
            }
            (all, part) => *all = part,
        }
    }

    pub(crate) fn measures(&self, name: &str) -> Vec<Measure> {
        match self {
            Self::Times(times) => {
                let mut times = times.clone();
                times.sort();
                let quantile =
                    |q: f64| times.get((times.len().saturating_sub(1) as f64 * q) as usize);
                [("p50", 0.5), ("p99", 0.99)]
                    .into_iter()
                    .filter_map(|(of, q)| {
                        Some(Measure::time(&format!("{name}_{of}"), *quantile(q)?))
                    })
                    .collect()
            }
            Self::Done { what, count, took } => vec![Measure {
                metric: name.to_owned(),
                value: *count as f64 / took.as_secs_f64(),
                unit: format!("{what}/s"),
                more_is_better: true,
            }],
        }
    }
}

impl Measure {
    pub(crate) fn time(metric: &str, took: Duration) -> Self {
        let value = took.as_secs_f64() * 1e3;
        Self { metric: metric.to_owned(), value, unit: "ms".to_owned(), more_is_better: false }
    }

    pub(crate) fn size(metric: &str, megabytes: f64) -> Self {
        Self {
            metric: metric.to_owned(),
            value: megabytes,
            unit: "MB".to_owned(),
            more_is_better: false,
        }
    }

    pub(crate) fn named(mut self, suffix: &str) -> Self {
        self.metric = format!("{}_{suffix}", self.metric);
        self
    }

    /// How many times as well as another server's this one is.
    pub(crate) fn ratio(&self, other: &Self) -> Self {
        let (good, bad) = if self.more_is_better { (self, other) } else { (other, self) };
        Self {
            metric: format!("{}_ratio", self.metric),
            value: good.value / bad.value,
            unit: "x".to_owned(),
            more_is_better: true,
        }
    }

    pub(crate) fn print(&self) {
        let value = (self.value * 1000.0).round() / 1000.0;
        println!(
            "{}",
            json!({"bench": "api", "metric": self.metric, "value": value, "unit": self.unit})
        );
    }
}
