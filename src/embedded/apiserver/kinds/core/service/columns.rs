//! What `kubectl get services` shows.

use serde_json::{Value, json};

use super::super::super::ValueExt;
use super::super::super::columns::{Printer, count, name, old, or_none, selector};

pub(in super::super) const COLUMNS: Printer = Printer(
    &[
        ("Name", "string", 0),
        ("Type", "string", 0),
        ("Cluster-IP", "string", 0),
        ("External-IP", "string", 0),
        ("Port(s)", "string", 0),
        ("Age", "string", 0),
        ("Selector", "string", 1),
    ],
    |o, now| {
        let ports = o.list(&["spec", "ports"]).iter().map(|p| match p.int(&["nodePort"]) {
            Some(node) if node != 0 => {
                format!("{}:{node}/{}", count(p, &["port"]), p.text(&["protocol"]))
            }
            _ => format!("{}/{}", count(p, &["port"]), p.text(&["protocol"])),
        });
        let ports = ports.collect::<Vec<_>>().join(",");
        let external = match o.text(&["spec", "type"]) {
            "ExternalName" => o.text(&["spec", "externalName"]).to_owned(),
            "LoadBalancer" => {
                let ingress = o.list(&["status", "loadBalancer", "ingress"]).iter();
                let ips = ingress.map(|i| i.text(&["ip"])).collect::<Vec<_>>().join(",");
                if ips.is_empty() { "<pending>".into() } else { ips }
            }
            _ => o
                .list(&["spec", "externalIPs"])
                .iter()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join(","),
        };
        let labels = o.at(&["spec", "selector"]).map(|s| json!({"matchLabels": s}));
        let kind = o["spec"]["type"].clone();
        let ip = or_none(o.text(&["spec", "clusterIP"]));
        vec![
            name(o),
            kind,
            ip,
            or_none(&external),
            or_none(&ports),
            old(o, now),
            selector(labels.as_ref()),
        ]
    },
);
