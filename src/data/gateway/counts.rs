//! How many requests went to which Service, and how long they took, in Prometheus' text format.
//!
//! | name | labels |
//! |---|---|
//! | `curtain_http_requests_total` | `destination_namespace`, `destination_service`, `port`, `protocol`, `method`, `route` (the path of the route's rule), `status` |
//! | `curtain_http_request_duration_seconds`, a histogram | the same |
//!
//! The names are those of the embedded node, which sees the same requests; where it does not, this is all there is.
//! Counted are requests that a route has a backend for, with the status that the client got.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::{Method, StatusCode};

use super::router::{PathMatch, Target};

/// Kinds of requests that are told apart; of more only those are counted that are known.
const MOST: usize = 2048;
/// Upper bounds of the buckets.
const BUCKETS_MS: [u64; 13] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];

/// All that was counted.
#[derive(Debug, Default)]
pub(super) struct Counts(Mutex<BTreeMap<String, Count>>);

#[derive(Debug, Clone, Default)]
struct Count {
    all: u64,
    took: Duration,
    buckets: [u64; BUCKETS_MS.len()],
}

impl Counts {
    /// A request was answered.
    pub(super) fn add(
        &self,
        (target, path, method): (&Target, &PathMatch, &Method),
        status: StatusCode,
        took: Duration,
    ) {
        let labels = labels(target, path, method, status);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MOST && !counts.contains_key(&labels) {
            return;
        }
        let count = counts.entry(labels).or_default();
        count.all += 1;
        count.took += took;
        let bucket = BUCKETS_MS.iter().position(|bound| took <= Duration::from_millis(*bound));
        if let Some(bucket) = bucket {
            count.buckets[bucket] += 1;
        }
    }

    /// Everything, as text.
    pub(super) fn text(&self) -> String {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut text = String::from("# TYPE curtain_http_requests_total counter\n");
        for (labels, count) in &counts {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "curtain_http_requests_total{{{labels}}} {}", count.all);
        }
        let name = "curtain_http_request_duration_seconds";
        let _ = writeln!(text, "# TYPE {name} histogram");
        for (labels, count) in &counts {
            let mut below = 0;
            for (bound, more) in BUCKETS_MS.iter().zip(count.buckets) {
                below += more;
                let bound = *bound as f64 / 1000.0;
                let _ = writeln!(text, "{name}_bucket{{{labels},le=\"{bound}\"}} {below}");
            }
            let _ = writeln!(text, "{name}_bucket{{{labels},le=\"+Inf\"}} {}", count.all);
            let _ = writeln!(text, "{name}_sum{{{labels}}} {}", count.took.as_secs_f64());
            let _ = writeln!(text, "{name}_count{{{labels}}} {}", count.all);
        }
        text
    }
}

fn labels(target: &Target, path: &PathMatch, method: &Method, status: StatusCode) -> String {
    let (PathMatch::Exact(route) | PathMatch::Prefix(route)) = path;
    let route = if route.is_empty() { "/" } else { route };
    let route = route.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    // What clients make up is not told apart.
    let known = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
    ];
    let method = if known.contains(method) { method.as_str() } else { "{other}" };
    let protocol = if target.h2c { "http2" } else { "http1" };
    let (namespace, name) = (&target.service.namespace, &target.service.name);
    format!(
        "destination_namespace=\"{namespace}\",destination_service=\"{name}\",port=\"{}\",protocol=\"{protocol}\",\
         method=\"{method}\",route=\"{route}\",status=\"{}\"",
        target.port,
        status.as_u16()
    )
}

#[cfg(test)]
mod tests {
    use super::super::world::Key;
    use super::*;

    #[test]
    fn requests_are_counted_by_service_route_and_status() {
        let service = Key::new("app", "cart");
        let target = Target { host: "10.96.0.9".into(), port: 80, h2c: false, service };
        let path = PathMatch::Prefix("/\"a".into());
        let counts = Counts::default();
        for (method, took) in [("GET", 1), ("GET", 7), ("GET", 60_000), ("BREW", 1)] {
            let method: Method = method.parse().expect("a method");
            let took = Duration::from_millis(took);
            counts.add((&target, &path, &method), StatusCode::OK, took);
        }
        let text = counts.text();
        let labels = r#"destination_namespace="app",destination_service="cart",port="80",protocol="http1",method="GET",route="/\"a",status="200""#;
        for line in [
            format!("curtain_http_requests_total{{{labels}}} 3\n"),
            format!("curtain_http_request_duration_seconds_bucket{{{labels},le=\"0.005\"}} 1\n"),
            format!("curtain_http_request_duration_seconds_bucket{{{labels},le=\"10\"}} 2\n"),
            format!("curtain_http_request_duration_seconds_bucket{{{labels},le=\"+Inf\"}} 3\n"),
            format!("curtain_http_request_duration_seconds_sum{{{labels}}} 60.008\n"),
        ] {
            assert!(text.contains(&line), "{line} in {text}");
        }
        assert!(text.contains("method=\"{other}\""), "{text}");
    }

    #[test]
    fn there_are_never_too_many_kinds() {
        let counts = Counts::default();
        for number in 0..MOST + 100 {
            let service = Key::new("app", &format!("s{number}"));
            let target = Target { host: String::new(), port: 80, h2c: false, service };
            let path = PathMatch::Exact("/".into());
            counts.add((&target, &path, &Method::GET), StatusCode::OK, Duration::ZERO);
        }
        assert_eq!(counts.0.lock().expect("lock").len(), MOST);
    }
}
