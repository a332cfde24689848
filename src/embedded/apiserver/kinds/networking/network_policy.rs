//! NetworkPolicies.

use curtain_schema::FieldError;
use serde_json::{Value, json};

use super::super::columns::{Printer, name, old, selector};
use super::super::{Strategy, ValueExt};

pub(super) const NETWORK_POLICY: Strategy =
    Strategy { default: default_policy, validate: validate_policy, ..Strategy::PLAIN };

fn default_policy(object: &mut Value) {
    let spec = object.sub("spec");
    for direction in ["ingress", "egress"] {
        for rule in spec.items_mut(direction) {
            for port in rule.items_mut("ports") {
                port.default_to("protocol", "TCP");
            }
        }
    }
    if spec.list(&["policyTypes"]).is_empty() {
        let egress = !spec.list(&["egress"]).is_empty();
        spec["policyTypes"] =
            if egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
    }
}

fn validate_policy(object: &Value, _: Option<&Value>, errors: &mut Vec<FieldError>) {
    for (at, kind) in object.list(&["spec", "policyTypes"]).iter().enumerate() {
        if !matches!(kind.as_str(), Some("Ingress" | "Egress")) {
            let path = format!("spec.policyTypes[{at}]");
            errors.push(FieldError::not_supported(path, kind.clone(), &["Egress", "Ingress"]));
        }
    }
    for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
        for (r, rule) in object.list(&["spec", direction]).iter().enumerate() {
            for (p, peer) in rule.list(&[peers]).iter().enumerate() {
                let path = format!("spec.{direction}[{r}].{peers}[{p}]");
                let pods = peer.at(&["podSelector"]).is_some()
                    || peer.at(&["namespaceSelector"]).is_some();
                match (pods, peer.at(&["ipBlock"]).is_some()) {
                    (false, false) => {
                        errors.push(FieldError::required(path, "must specify a peer"))
                    }
                    (true, true) => errors.push(FieldError::forbidden(
                        path,
                        "may not specify both ipBlock and another peer",
                    )),
                    _ => {}
                }
            }
        }
    }
}

pub(super) const COLUMNS: Printer = Printer(
    &[("Name", "string", 0), ("Pod-Selector", "string", 0), ("Age", "string", 0)],
    |o, now| vec![name(o), selector(o.at(&["spec", "podSelector"])), old(o, now)],
);
