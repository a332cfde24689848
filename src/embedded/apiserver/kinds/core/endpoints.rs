//! Endpoints.

use serde_json::Value;

use super::super::columns::{Printer, count, joined, name, old};
use super::super::{Strategy, ValueExt};

pub(super) const ENDPOINTS: Strategy =
    Strategy { default: default_endpoints, create_on_update: true, ..Strategy::PLAIN };

fn default_endpoints(object: &mut Value) {
    for subset in object.items_mut("subsets") {
        for port in subset.items_mut("ports") {
            port.default_to("protocol", "TCP");
        }
    }
}

pub(super) const COLUMNS: Printer =
    Printer(&[("Name", "string", 0), ("Endpoints", "string", 0), ("Age", "date", 0)], |o, now| {
        let pairs = o.list(&["subsets"]).iter().flat_map(|subset| {
            let ports = subset.list(&["ports"]);
            subset.list(&["addresses"]).iter().flat_map(move |address| {
                let ip = address.text(&["ip"]);
                ports.iter().map(move |port| format!("{ip}:{}", count(port, &["port"])))
            })
        });
        vec![name(o), joined(pairs, 3), old(o, now)]
    });
