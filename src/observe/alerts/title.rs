//! What an incident is about, in a line for people: which component, what the rule looks at, and where. The value that it
//! saw first is told beside it, as it does not stay so.

use super::entry::Alert;
use crate::asked::Place;

/// Letters of a rule's query that a title has room for.
const LETTERS: usize = 60;

/// What an alert saw when it began, as the database has it.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub(super) struct Seen {
    source: String,
    query: String,
    metric: String,
    value: String,
}

impl Seen {
    pub(super) fn of(alert: &Alert) -> Seen {
        let rule = &alert.rule;
        Seen {
            source: rule.source.clone(),
            query: rule.query.clone(),
            metric: rule.metric.clone(),
            value: alert.value.clone(),
        }
    }

    /// Such as `checkout: error rate in development`.
    pub(super) fn at(&self, place: &Place) -> String {
        let what = match (self.source.as_str(), self.metric.as_str()) {
            ("log", _) => format!("{:?} in the logs", cut(&self.query)),
            ("budget", _) => "money spent".to_owned(),
            (_, "http_error_rate") => "error rate".to_owned(),
            (_, "http_latency_p99") => "p99 latency".to_owned(),
            (_, "cpu_usage") => "CPU".to_owned(),
            (_, "memory_usage") => "memory".to_owned(),
            (_, metric) => metric.to_owned(),
        };
        format!("{}: {what} in {}", place.component, place.environment)
    }

    /// The value that began it, such as `34 %`.
    pub(super) fn at_the_start(&self) -> String {
        let value = self.value.parse().map_or_else(|_| self.value.clone(), short);
        match (self.source.as_str(), self.metric.as_str()) {
            ("log", _) if value == "1" => "once".to_owned(),
            ("log", _) => format!("{value} times"),
            ("budget", _) => format!("${}", self.value),
            (_, "http_error_rate") => format!("{value} %"),
            (_, "http_latency_p99") => latency(&self.value),
            (_, "cpu_usage" | "memory_usage") => format!("{value} % of its limit"),
            (_, "failures") if value == "1" => "1 pod or release failed".to_owned(),
            (_, "failures") => format!("{value} pods or releases failed"),
            _ => value,
        }
    }
}

/// As much of a query as a line has room for.
fn cut(query: &str) -> String {
    if query.chars().count() <= LETTERS {
        return query.to_owned();
    }
    query.chars().take(LETTERS - 1).chain(['…']).collect()
}

/// A latency in milliseconds, in a unit that reads well.
fn latency(value: &str) -> String {
    match value.parse::<f64>() {
        Ok(millis) if millis >= 10_000.0 => format!("{} s", short(millis / 1000.0)),
        // As milliseconds are rounded: none reads as 1000 ms.
        Ok(millis) if millis.round() >= 1000.0 => format!("{:.1} s", millis / 1000.0),
        Ok(millis) => format!("{} ms", short(millis)),
        Err(_) => format!("{value} ms"),
    }
}

/// As many digits as people compare.
fn short(number: f64) -> String {
    let text = if number.abs() < 10.0 { format!("{number:.1}") } else { format!("{number:.0}") };
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::Seen;
    use crate::asked::Place;

    #[test]
    fn a_title_says_which_component_what_and_where_and_the_first_value_stands_beside_it() {
        let place = Place {
            component: "cart".into(),
            environment: "development".into(),
            ..Place::default()
        };
        let title = |source: &str, query: &str, metric: &str, value: &str| {
            let [source, query, metric, value] = [source, query, metric, value].map(str::to_owned);
            let seen = Seen { source, query, metric, value };
            (seen.at(&place), seen.at_the_start())
        };
        for (what, began, source, query, metric, value) in [
            ("error rate", "34 %", "metric", "", "http_error_rate", "34.48275862068966"),
            ("error rate", "7.7 %", "metric", "", "http_error_rate", "7.6923"),
            ("error rate", "100 %", "metric", "", "http_error_rate", "100"),
            ("p99 latency", "1.2 s", "metric", "", "http_latency_p99", "1234.5"),
            ("p99 latency", "1.0 s", "metric", "", "http_latency_p99", "999.6"),
            ("p99 latency", "999 ms", "metric", "", "http_latency_p99", "999.4"),
            ("p99 latency", "12 s", "metric", "", "http_latency_p99", "12345"),
            ("p99 latency", "250 ms", "metric", "", "http_latency_p99", "250"),
            ("CPU", "93 % of its limit", "metric", "", "cpu_usage", "93.2"),
            ("failures", "1 pod or release failed", "metric", "", "failures", "1"),
            ("failures", "3 pods or releases failed", "metric", "", "failures", "3"),
            ("\"oh no\" in the logs", "12 times", "log", "oh no", "", "12"),
            ("\"oh no\" in the logs", "once", "log", "oh no", "", "1"),
            ("money spent", "$0.1234", "budget", "", "", "0.1234"),
            ("newer", "5", "metric", "", "newer", "5"),
        ] {
            let (title, start) = title(source, query, metric, value);
            assert_eq!((title, &*start), (format!("cart: {what} in development"), began));
        }
        let fits = "ö".repeat(60);
        let whole = format!("cart: \"{fits}\" in the logs in development");
        assert_eq!(title("log", &fits, "", "12").0, whole);
        let cut = format!("cart: \"{}…\" in the logs in development", "ö".repeat(59));
        assert_eq!(title("log", &"ö".repeat(10_000), "", "12").0, cut);
    }
}
