//! Numbers for a scraper, in the text format of Prometheus.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Upper bounds of the histogram's buckets in seconds.
const BOUNDS: [f64; 10] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// What is counted.
#[derive(Default)]
pub(crate) struct Metrics {
    /// By route, method and status: all of them few.
    requests: Mutex<BTreeMap<(&'static str, &'static str, u16), Requests>>,
    /// Spans that were not taken by a collector.
    pub(super) spans_dropped: AtomicU64,
    /// Messages that wait, in the services that have a queue.
    queue: AtomicU64,
    has_queue: std::sync::atomic::AtomicBool,
}

#[derive(Default)]
struct Requests {
    buckets: [u64; BOUNDS.len()],
    count: u64,
    seconds: f64,
}

impl Metrics {
    pub(super) fn request(
        &self,
        route: &'static str,
        method: &'static str,
        status: u16,
        took: Duration,
    ) {
        let mut all = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let one = all.entry((route, method, status)).or_default();
        let seconds = took.as_secs_f64();
        one.count += 1;
        one.seconds += seconds;
        for (bucket, bound) in one.buckets.iter_mut().zip(BOUNDS) {
            *bucket += u64::from(seconds <= bound);
        }
    }

    /// How many messages wait.
    pub(crate) fn queue(&self, length: usize) {
        self.has_queue.store(true, Ordering::Relaxed);
        self.queue.store(u64::try_from(length).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Everything, `memory` being the bytes that the process holds.
    pub(super) fn text(&self, memory: Option<u64>) -> String {
        let mut text = String::new();
        let head = |text: &mut String, name: &str, kind: &str, help: &str| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        };
        let all = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        head(&mut text, "http_requests_total", "counter", "Requests answered.");
        for ((route, method, status), one) in all.iter() {
            let _ = writeln!(
                text,
                "http_requests_total{{route=\"{route}\",method=\"{method}\",status=\"{status}\"}} {}",
                one.count
            );
        }
        let name = "http_request_duration_seconds";
        head(&mut text, name, "histogram", "How long answers took.");
        for ((route, method, status), one) in all.iter() {
            let labels = format!("route=\"{route}\",method=\"{method}\",status=\"{status}\"");
            for (bucket, bound) in one.buckets.iter().zip(BOUNDS) {
                let _ = writeln!(text, "{name}_bucket{{{labels},le=\"{bound}\"}} {bucket}");
            }
            let _ = writeln!(text, "{name}_bucket{{{labels},le=\"+Inf\"}} {}", one.count);
            let _ = writeln!(text, "{name}_sum{{{labels}}} {}", one.seconds);
            let _ = writeln!(text, "{name}_count{{{labels}}} {}", one.count);
        }
        drop(all);
        head(&mut text, "spans_dropped_total", "counter", "Spans that no collector took.");
        let _ =
            writeln!(text, "spans_dropped_total {}", self.spans_dropped.load(Ordering::Relaxed));
        if self.has_queue.load(Ordering::Relaxed) {
            head(&mut text, "queue_length", "gauge", "Messages that wait.");
            let _ = writeln!(text, "queue_length {}", self.queue.load(Ordering::Relaxed));
        }
        if let Some(memory) = memory {
            let name = "process_resident_memory_bytes";
            head(&mut text, name, "gauge", "Memory that the process holds.");
            let _ = writeln!(text, "{name} {memory}");
        }
        text
    }
}

/// Bytes of memory that this process holds, where the system tells.
pub(super) fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_what_a_scraper_reads() {
        let metrics = Metrics::default();
        for millis in [2, 40, 4000] {
            metrics.request("/products/{id}", "GET", 200, Duration::from_millis(millis));
        }
        let text = metrics.text(Some(4096));
        let labels = "route=\"/products/{id}\",method=\"GET\",status=\"200\"";
        for line in [
            format!("http_requests_total{{{labels}}} 3"),
            format!("http_request_duration_seconds_bucket{{{labels},le=\"0.005\"}} 1"),
            format!("http_request_duration_seconds_bucket{{{labels},le=\"0.05\"}} 2"),
            format!("http_request_duration_seconds_bucket{{{labels},le=\"+Inf\"}} 3"),
            format!("http_request_duration_seconds_count{{{labels}}} 3"),
            "process_resident_memory_bytes 4096".to_owned(),
        ] {
            assert!(text.lines().any(|one| one == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("queue_length"), "there is no queue");
        metrics.queue(3);
        assert!(metrics.text(None).contains("\nqueue_length 3\n"));
    }
}
