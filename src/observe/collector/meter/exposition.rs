//! Prometheus' text format, line by line.

use std::collections::HashMap;

use crate::metrics::wire::Labels;

/// What is told of a name that only grows, or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    /// A histogram or a summary: its sums, counts and buckets grow.
    Distribution,
}

/// Names that are told the kind of; more are taken for gauges.
const MOST_NAMES: usize = 2000;

/// The kinds of the names seen so far.
#[derive(Debug, Default)]
pub(super) struct Kinds(HashMap<String, Kind>);

/// A line with a value: the name and labels as they were written, and the value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Line<'a> {
    /// Name and labels: what tells series apart.
    pub(super) series: &'a str,
    pub(super) name: &'a str,
    labels: &'a str,
    pub(super) value: f64,
}

impl Kinds {
    /// Reads a line. `None` for comments, empty lines, and what is not understood.
    pub(super) fn read<'a>(&mut self, line: &'a str) -> Option<Line<'a>> {
        let line = line.trim();
        if let Some(comment) = line.strip_prefix('#') {
            self.comment(comment);
            return None;
        }
        let end = line.find(|c: char| c == '{' || c.is_whitespace())?;
        let name = &line[..end];
        let (labels, rest) = match line[end..].strip_prefix('{') {
            Some(labels) => {
                let close = closing(labels)?;
                (&labels[..close], &labels[close + 1..])
            }
            None => ("", &line[end..]),
        };
        // A time may follow: it is the moment of the reading that counts.
        let value = rest.split_whitespace().next()?;
        let value = match value {
            "+Inf" | "-Inf" | "NaN" => return None,
            value => value.parse().ok()?,
        };
        let series = line[..line.len() - rest.len()].trim_end();
        Some(Line { series, name, labels, value })
    }

    fn comment(&mut self, comment: &str) {
        let mut words = comment.split_whitespace();
        let (Some("TYPE"), Some(name), Some(kind)) = (words.next(), words.next(), words.next())
        else {
            return;
        };
        let kind = match kind {
            "counter" => Kind::Counter,
            "histogram" | "summary" => Kind::Distribution,
            _ => Kind::Gauge,
        };
        if self.0.len() < MOST_NAMES {
            self.0.insert(name.to_owned(), kind);
        }
    }

    /// Whether the series of a name only grow.
    pub(super) fn grows(&self, name: &str) -> bool {
        match self.0.get(name) {
            Some(Kind::Counter) => return true,
            // A summary's quantiles.
            Some(Kind::Gauge | Kind::Distribution) => return false,
            None => {}
        }
        let part = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
        if part.is_some_and(|whole| self.0.get(whole) == Some(&Kind::Distribution)) {
            return true;
        }
        // OpenMetrics tells the kind of a counter without its ending.
        let whole = name.strip_suffix("_total");
        whole.is_some_and(|whole| !matches!(self.0.get(whole), Some(Kind::Gauge)))
    }
}

impl Line<'_> {
    /// The labels, each with its value.
    pub(super) fn labels(&self) -> Labels {
        let mut labels = Labels::new();
        let mut rest = self.labels;
        while let Some((name, after)) = rest.split_once('=') {
            let Some(quoted) = after.trim_start().strip_prefix('"') else { break };
            let (value, after) = unquoted(quoted);
            labels.insert(name.trim_matches([' ', ',', '\t']).to_owned(), value);
            rest = after;
        }
        labels
    }
}

/// Where the labels end: a bracket in quotes does not count.
fn closing(labels: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in labels.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'}' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// A value up to its closing quote, and what follows.
fn unquoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return (value, &text[at + 1..]),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, other)) => value.push(other),
                None => break,
            },
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Kinds, Vec<(String, Labels, f64)>) {
        let mut kinds = Kinds::default();
        let mut lines = Vec::new();
        for line in text.lines() {
            let found = kinds.read(line);
            lines.extend(found.map(|line| (line.name.to_owned(), line.labels(), line.value)));
        }
        (kinds, lines)
    }

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// All that the format allows, in one page.
    const PAGE: &str = r#"
# HELP jobs_total Jobs that were done.
# TYPE jobs_total counter
jobs_total{queue="mail",result="ok"} 1027 1395066363000
jobs_total{ queue = "mail" , result="failed", }    3 1395066363000

# Escaping in label values:
disk_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find:\n\"FILE.TXT\" {}"} 1.458255915e9
bare_value 12.47
 odd_time{problem="division by zero"} +Inf -3982045

# A histogram.
# TYPE wait_seconds histogram
wait_seconds_bucket{le="0.05"} 24054
wait_seconds_bucket{le="+Inf"} 144320
wait_seconds_sum 53423
wait_seconds_count 144320
# TYPE rpc_seconds summary
rpc_seconds{quantile="0.99"} 76656
rpc_seconds_sum 1.7560473e+07
# TYPE depth gauge
depth -2
# TYPE open_jobs counter
open_jobs_total 4
broken{a="b" 1
nothing
"#;

    #[test]
    fn all_that_the_format_allows() {
        let (_, lines) = read(PAGE);
        let names: Vec<&str> = lines.iter().map(|line| line.0.as_str()).collect();
        assert_eq!(
            names,
            [
                "jobs_total",
                "jobs_total",
                "disk_seconds",
                "bare_value",
                "wait_seconds_bucket",
                "wait_seconds_bucket",
                "wait_seconds_sum",
                "wait_seconds_count",
                "rpc_seconds",
                "rpc_seconds_sum",
                "depth",
                "open_jobs_total"
            ]
        );
        assert_eq!(lines[0].1, labels(&[("queue", "mail"), ("result", "ok")]));
        assert_eq!(lines[1].1, labels(&[("queue", "mail"), ("result", "failed")]));
        assert_eq!((lines[0].2, lines[1].2), (1027.0, 3.0));
        let error = "Cannot find:\n\"FILE.TXT\" {}";
        assert_eq!(lines[2].1, labels(&[("path", "C:\\DIR\\FILE.TXT"), ("error", error)]));
        assert_eq!((lines[2].2, lines[10].2), (1.458255915e9, -2.0));
    }

    #[test]
    fn what_grows_is_told_by_type_and_ending() {
        let (kinds, _) = read(PAGE);
        for name in [
            "jobs_total",
            "wait_seconds_bucket",
            "wait_seconds_sum",
            "rpc_seconds_sum",
            "open_jobs_total",
            "x_total",
        ] {
            assert!(kinds.grows(name), "{name}");
        }
        for name in ["depth", "bare_value", "rpc_seconds", "other_sum", "unknown"] {
            assert!(!kinds.grows(name), "{name}");
        }
    }

    #[test]
    fn a_series_is_told_apart_by_how_it_is_written() {
        let mut kinds = Kinds::default();
        let line = kinds.read("a{b=\"c d\"} 1").expect("a value");
        assert_eq!(line.series, "a{b=\"c d\"}");
        assert_eq!(kinds.read("a 1 17").expect("a value").series, "a");
    }
}
