//! Counters in Prometheus' text format.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::ends::{Ends, Peer};
use super::lock;
use super::series::{BUCKETS_MS, Histogram, Pair, Request};
use crate::node::network::index::Protocol;

/// A metric: its name, type and meaning, and its lines for one pair.
struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    lines: fn(&mut Text, &Pair),
}

const FAMILIES: [Family; 8] = [
    Family {
        name: "curtain_tcp_connections_total",
        kind: "counter",
        help: "Connections by what became of them.",
        lines: |text, pair| connections(text, pair, Protocol::Tcp),
    },
    Family {
        name: "curtain_tcp_sent_bytes_total",
        kind: "counter",
        help: "Bytes from the source to the destination.",
        lines: |text, pair| bytes(text, pair, Protocol::Tcp, &pair.sent),
    },
    Family {
        name: "curtain_tcp_received_bytes_total",
        kind: "counter",
        help: "Bytes from the destination to the source.",
        lines: |text, pair| bytes(text, pair, Protocol::Tcp, &pair.received),
    },
    Family {
        name: "curtain_udp_sessions_total",
        kind: "counter",
        help: "Sessions of datagrams by what became of them.",
        lines: |text, pair| connections(text, pair, Protocol::Udp),
    },
    Family {
        name: "curtain_udp_sent_bytes_total",
        kind: "counter",
        help: "Bytes in datagrams from the source to the destination.",
        lines: |text, pair| bytes(text, pair, Protocol::Udp, &pair.sent),
    },
    Family {
        name: "curtain_udp_received_bytes_total",
        kind: "counter",
        help: "Bytes in datagrams from the destination to the source.",
        lines: |text, pair| bytes(text, pair, Protocol::Udp, &pair.received),
    },
    Family {
        name: "curtain_http_requests_total",
        kind: "counter",
        help: "Requests by their response's status.",
        lines: |text, pair| {
            requests(text, pair, |text, labels, all| text.line("", labels, all.count))
        },
    },
    Family {
        name: "curtain_http_request_duration_seconds",
        kind: "histogram",
        help: "Time from a request's first byte to the end of its response's head.",
        lines: |text, pair| requests(text, pair, histogram),
    },
];

/// Everything, in pieces: metric by metric, pair by pair.
pub(super) fn expose(pairs: Vec<Arc<Pair>>) -> impl Iterator<Item = Bytes> + Send {
    FAMILIES.iter().flat_map(move |family| {
        let Family { name, kind, help, .. } = family;
        let head = Bytes::from(format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        let pairs = pairs.clone().into_iter().map(move |pair| {
            let mut text = Text { name, out: String::new() };
            (family.lines)(&mut text, &pair);
            Bytes::from(text.out)
        });
        [head].into_iter().chain(pairs.filter(|piece| !piece.is_empty()))
    })
}

/// Lines of one metric.
struct Text {
    name: &'static str,
    out: String,
}

impl Text {
    fn line(&mut self, suffix: &str, labels: &str, value: impl std::fmt::Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.out, "{}{suffix}{{{labels}}} {value}", self.name);
    }
}

fn connections(text: &mut Text, pair: &Pair, protocol: Protocol) {
    if pair.ends.protocol != protocol {
        return;
    }
    let labels = labels(&pair.ends, transport(protocol));
    let verdicts =
        [("forwarded", &pair.forwarded), ("denied", &pair.denied), ("failed", &pair.failed)];
    for (verdict, count) in verdicts {
        let count = count.load(Ordering::Relaxed);
        if count > 0 {
            text.line("", &format!("{labels},verdict=\"{verdict}\""), count);
        }
    }
}

fn bytes(text: &mut Text, pair: &Pair, protocol: Protocol, count: &AtomicU64) {
    if pair.ends.protocol == protocol && pair.forwarded.load(Ordering::Relaxed) > 0 {
        let labels = labels(&pair.ends, transport(protocol));
        text.line("", &labels, count.load(Ordering::Relaxed));
    }
}

fn requests(text: &mut Text, pair: &Pair, line: fn(&mut Text, &str, &Histogram)) {
    for (kind, counts) in lock(&pair.requests).iter() {
        let Request { protocol, method, route, status } = kind;
        let mut labels = labels(&pair.ends, protocol.name());
        add(&mut labels, "method", method);
        add(&mut labels, "route", route);
        let status = status.map_or("none".to_owned(), |status| status.to_string());
        add(&mut labels, "status", &status);
        line(text, &labels, counts);
    }
}

fn histogram(text: &mut Text, labels: &str, counts: &Histogram) {
    if counts.answered == 0 {
        return;
    }
    let mut below = 0;
    for (bound, count) in BUCKETS_MS.iter().zip(counts.buckets) {
        below += count;
        let bound = *bound as f64 / 1000.0;
        text.line("_bucket", &format!("{labels},le=\"{bound}\""), below);
    }
    text.line("_bucket", &format!("{labels},le=\"+Inf\""), counts.answered);
    text.line("_sum", labels, counts.sum.as_secs_f64());
    text.line("_count", labels, counts.answered);
}

fn transport(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    }
}

/// The labels of both ends.
fn labels(ends: &Ends, protocol: &str) -> String {
    let mut labels = String::new();
    match &ends.source {
        Peer::Pod(pod) => {
            add(&mut labels, "source_namespace", &pod.namespace);
            add(&mut labels, "source_pod", &pod.name);
        }
        Peer::Host => add(&mut labels, "source_pod", "host"),
        Peer::Elsewhere(_) | Peer::Nobody => {}
        Peer::Other => add(&mut labels, "source_pod", "{other}"),
    }
    let service = ends.service.as_ref().map(|(key, _)| key);
    match (&ends.destination, service) {
        (Peer::Pod(pod), _) => {
            add(&mut labels, "destination_namespace", &pod.namespace);
            add(&mut labels, "destination_pod", &pod.name);
        }
        (_, Some(key)) => add(&mut labels, "destination_namespace", &key.namespace),
        _ => {}
    }
    if let Some(key) = service {
        add(&mut labels, "destination_service", &key.name);
    }
    match &ends.destination {
        Peer::Host => add(&mut labels, "destination_host", "host"),
        Peer::Elsewhere(at) => add(&mut labels, "destination_host", &at.to_string()),
        Peer::Other => add(&mut labels, "destination_host", "{other}"),
        Peer::Pod(_) | Peer::Nobody => {}
    }
    add(&mut labels, "port", &ends.port.to_string());
    add(&mut labels, "protocol", protocol);
    labels
}

fn add(labels: &mut String, name: &str, value: &str) {
    if !labels.is_empty() {
        labels.push(',');
    }
    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    // Writing to a string cannot fail.
    let _ = write!(labels, "{name}=\"{value}\"");
}
