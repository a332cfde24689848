//! NetworkPolicies, Endpoints and EndpointSlices.

use curtain_schema::FieldError;
use serde_json::{Value, json};

use super::meta::immutable;
use super::template::one_of;
use super::{Strategy, ValueExt};

pub(super) const NETWORK_POLICY: Strategy =
    Strategy { default: default_policy, validate: validate_policy, ..Strategy::PLAIN };
pub(super) const ENDPOINTS: Strategy =
    Strategy { default: default_endpoints, create_on_update: true, ..Strategy::PLAIN };
pub(super) const ENDPOINT_SLICE: Strategy =
    Strategy { default: default_slice, validate: validate_slice, ..Strategy::PLAIN };

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

fn default_endpoints(object: &mut Value) {
    for subset in object.items_mut("subsets") {
        for port in subset.items_mut("ports") {
            port.default_to("protocol", "TCP");
        }
    }
}

fn default_slice(object: &mut Value) {
    for port in object.items_mut("ports") {
        port.default_to("protocol", "TCP");
        port.default_to("name", "");
    }
}

fn validate_slice(object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    one_of(object, "addressType", &["FQDN", "IPv4", "IPv6"], "addressType", errors);
    for (at, endpoint) in object.list(&["endpoints"]).iter().enumerate() {
        if endpoint.list(&["addresses"]).is_empty() {
            let why = "must contain at least 1 address";
            errors.push(FieldError::required(format!("endpoints[{at}].addresses"), why));
        }
    }
    if let Some(old) = old
        && old.at(&["addressType"]) != object.at(&["addressType"])
    {
        errors.push(immutable("addressType", object.at(&["addressType"])));
    }
}
