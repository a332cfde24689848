//! What `kubectl get ingress` shows.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::super::ValueExt;
use super::super::super::columns::{Printer, name, old};

/// So many hosts are named.
const SHOWN: usize = 3;

pub(in super::super) const COLUMNS: Printer = Printer(
    &[
        ("Name", "string", 0),
        ("Class", "string", 0),
        ("Hosts", "string", 0),
        ("Address", "string", 0),
        ("Ports", "string", 0),
        ("Age", "string", 0),
    ],
    |o, now| {
        let class = o.at(&["spec", "ingressClassName"]).cloned();
        let ports = if o.list(&["spec", "tls"]).is_empty() { "80" } else { "80, 443" };
        vec![
            name(o),
            class.unwrap_or_else(|| "<none>".into()),
            hosts(o.list(&["spec", "rules"])).into(),
            addresses(o).into(),
            ports.into(),
            old(o, now),
        ]
    },
);

fn hosts(rules: &[Value]) -> String {
    let mut named = Vec::new();
    let mut more = false;
    for rule in rules {
        // A rule after the last one that has room counts, though it names no host.
        more |= named.len() == SHOWN;
        let host = rule.text(&["host"]);
        if !more && !host.is_empty() {
            named.push(host);
        }
    }
    match (named.len(), more) {
        (0, _) => "*".into(),
        (_, false) => named.join(","),
        (_, true) => format!("{} + {} more...", named.join(","), rules.len() - SHOWN),
    }
}

fn addresses(ingress: &Value) -> String {
    let points = ingress.list(&["status", "loadBalancer", "ingress"]).iter();
    let all: BTreeSet<&str> = points
        .map(|point| match point.text(&["ip"]) {
            "" => point.text(&["hostname"]),
            ip => ip,
        })
        .filter(|address| !address.is_empty())
        .collect();
    all.into_iter().collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_ingress_is_shown_as_real_servers_show_it() {
        let cells = |object: &Value| {
            let mut cells = (COLUMNS.1)(object, jiff::Timestamp::UNIX_EPOCH);
            cells.pop();
            json!(cells)
        };
        let bare = json!({"metadata": {"name": "a"}, "spec": {"rules": [{}]}});
        assert_eq!(cells(&bare), json!(["a", "<none>", "*", "", "80"]));
        let some = json!([{"host": "1"}, {}, {"host": "2"}, {"host": "3"}, {}]);
        assert_eq!(hosts(some.as_array().unwrap()), "1,2,3 + 2 more...");
        let full = json!({"metadata": {"name": "b"}, "spec": {"ingressClassName": "c", "tls": [{}],
                "rules": [{"host": "1"}, {"host": "2"}, {"host": "3"}, {"host": "4"}]},
            "status": {"loadBalancer": {"ingress": [{"hostname": "z"}, {"ip": "10.0.0.1"}]}}});
        assert_eq!(cells(&full), json!(["b", "c", "1,2,3 + 1 more...", "10.0.0.1,z", "80, 443"]));
    }
}
