//! How much is asked of somebody: requests, those that failed, and how long answers took.

use serde_json::Value;

/// Of what is asked of a component, this part has to fail for it not to be well.
const FAILING: f64 = 0.05;

/// Requests within some time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Traffic {
    count: f64,
    /// Of these, those that are known from spans alone.
    traced: f64,
    failed: f64,
    seconds: f64,
    /// Seconds.
    p99: Option<f64>,
}

impl Traffic {
    pub(super) fn add(&mut self, metrics: &Value, seconds: f64) {
        let number = |name: &str| metrics[name].as_f64().filter(|number| number.is_finite());
        self.count += number("requestCount").unwrap_or_default();
        self.traced += number("tracedRequestCount").unwrap_or_default();
        // Refused ones are unsuccessful, too, but not the fault of whoever was asked; others than our observer only tell both.
        let failed = number("failedRequestCount").or_else(|| number("unsuccessfulRequestCount"));
        self.failed += failed.unwrap_or_default();
        self.seconds = seconds;
        self.p99 = match (self.p99, number("latencyP99")) {
            (Some(a), Some(b)) => Some(f64::max(a, b)),
            (a, b) => a.or(b),
        };
    }

    /// Whether anything was asked.
    pub(crate) fn is_any(&self) -> bool {
        self.count > 0.0
    }

    /// Whether too much of it failed to be well.
    pub(crate) fn is_failing(&self) -> bool {
        self.share() > FAILING
    }

    fn share(&self) -> f64 {
        if self.count > 0.0 { self.failed / self.count } else { 0.0 }
    }

    /// How many requests in which time, as people say it: of rare ones, those of a minute.
    fn often(&self) -> (String, &'static str) {
        let rate = self.count / self.seconds.max(1.0);
        match (rate, rate * 60.0) {
            (rate, _) if rate <= 0.0 => ("0".to_owned(), "s"),
            (_, minute) if minute < 1.0 => ("< 1".to_owned(), "min"),
            (rate, minute) if rate < 0.1 => (format!("{minute:.0}"), "min"),
            (rate, _) if rate < 10.0 => (format!("{rate:.1}"), "s"),
            (rate, _) => (format!("{rate:.0}"), "s"),
        }
    }

    /// How many requests there were.
    pub(crate) fn number(&self) -> String {
        format!("{:.0}", self.count)
    }

    /// Requests in a time, such as `1.2/s`.
    pub(crate) fn rate(&self) -> String {
        let (number, unit) = self.often();
        format!("{number}/{unit}")
    }

    /// The same with the word for what is counted, such as `1.2 req/s`.
    pub(crate) fn requests(&self) -> String {
        let (number, unit) = self.often();
        format!("{number} req/{unit}")
    }

    /// How it is known, where that is not from the way that requests take: a request without a span was not counted.
    pub(crate) fn note(&self) -> Option<&'static str> {
        match self.traced {
            traced if traced <= 0.0 => None,
            traced if traced < self.count => Some("partly from spans"),
            _ => Some("from spans"),
        }
    }

    /// The part that failed. A few of many are not none.
    pub(crate) fn failed_share(&self) -> String {
        match 100.0 * self.share() {
            percent if percent > 0.0 && percent < 1.0 => "< 1 %".to_owned(),
            percent => format!("{percent:.0} %"),
        }
    }

    /// Of 100 answers, 99 took no longer.
    pub(crate) fn latency(&self) -> Option<String> {
        self.p99.map(|seconds| match seconds * 1000.0 {
            milliseconds if milliseconds < 10.0 => format!("{milliseconds:.1} ms"),
            milliseconds if milliseconds < 1000.0 => format!("{milliseconds:.0} ms"),
            milliseconds => format!("{:.1} s", milliseconds / 1000.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Traffic;

    #[test]
    fn rare_requests_are_those_of_a_minute() {
        for (count, words) in
            [(0.0, "0/s"), (1.0, "< 1/min"), (3.0, "2/min"), (9.0, "0.1/s"), (900.0, "10/s")]
        {
            let traffic = Traffic { count, seconds: 90.0, ..Traffic::default() };
            assert_eq!(traffic.rate(), words);
        }
    }

    #[test]
    fn what_spans_alone_tell_is_said() {
        let seen = |all: u32, traced: u32| {
            let mut traffic = Traffic::default();
            let metrics = serde_json::json!({"requestCount": all, "tracedRequestCount": traced});
            traffic.add(&metrics, 90.0);
            traffic.note()
        };
        assert_eq!((seen(0, 0), seen(4, 0)), (None, None));
        assert_eq!((seen(4, 1), seen(4, 4)), (Some("partly from spans"), Some("from spans")));
    }
}
