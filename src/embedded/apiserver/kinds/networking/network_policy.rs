//! NetworkPolicies. The node enforces them: see `node::network`.

use curtain_schema::FieldError;
use serde_json::{Value, json};

use super::super::columns::{Printer, name, old, selector};
use super::super::meta::is_port_name;
use super::super::template::one_of;
use super::super::{Strategy, ValueExt, check};
use super::block;

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
    check::selector(&object["spec"]["podSelector"], "spec.podSelector", errors);
    let types = object.list(&["spec", "policyTypes"]);
    if types.len() > 2 {
        let why = "may not specify more than two policyTypes";
        errors.push(FieldError::invalid("spec.policyTypes", types.into(), why));
        return;
    }
    for (at, kind) in types.iter().enumerate() {
        if !matches!(kind.as_str(), Some("Ingress" | "Egress")) {
            let path = format!("spec.policyTypes[{at}]");
            errors.push(FieldError::not_supported(path, kind.clone(), &["Egress", "Ingress"]));
        }
    }
    for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
        for (r, rule) in object.list(&["spec", direction]).iter().enumerate() {
            let at = format!("spec.{direction}[{r}]");
            for (p, port) in rule.list(&["ports"]).iter().enumerate() {
                validate_port(port, &format!("{at}.ports[{p}]"), errors);
            }
            for (p, peer) in rule.list(&[peers]).iter().enumerate() {
                validate_peer(peer, &format!("{at}.{peers}[{p}]"), errors);
            }
        }
    }
}

fn validate_port(port: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let at = |field: &str| format!("{path}.{field}");
    one_of(port, "protocol", &["SCTP", "TCP", "UDP"], &at("protocol"), errors);
    let (given, end) = (port.at(&["port"]), port.int(&["endPort"]));
    let is_port = |number: i64| (1..=65535).contains(&number);
    const RANGE: &str = "must be between 1 and 65535, inclusive";
    if let Some(number) = given.and_then(Value::as_i64).filter(|number| !is_port(*number)) {
        errors.push(FieldError::invalid(at("port"), number.into(), RANGE));
    }
    if let Some(name) = given.and_then(Value::as_str)
        && let Some(why) = is_port_name(name)
    {
        errors.push(FieldError::invalid(at("port"), name.into(), why));
    }
    let Some(end) = end else { return };
    let why = match given {
        None => "may not be specified when `port` is not specified",
        Some(Value::String(_)) => "may not be specified when `port` is non-numeric",
        Some(number) if number.as_i64() > Some(end) => "must be greater than or equal to `port`",
        Some(_) if !is_port(end) => RANGE,
        Some(_) => return,
    };
    errors.push(FieldError::invalid(at("endPort"), end.into(), why));
}

fn validate_peer(peer: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let mut selects = false;
    for field in ["podSelector", "namespaceSelector"] {
        if let Some(selector) = peer.at(&[field]) {
            selects = true;
            check::selector(selector, &format!("{path}.{field}"), errors);
        }
    }
    match (selects, peer.at(&["ipBlock"])) {
        (false, None) => errors.push(FieldError::required(path, "must specify a peer")),
        (true, Some(_)) => {
            let why = "may not specify both ipBlock and another peer";
            errors.push(FieldError::forbidden(path, why));
        }
        (_, Some(block)) => block::validate(block, &format!("{path}.ipBlock"), errors),
        (true, None) => {}
    }
}

pub(super) const COLUMNS: Printer = Printer(
    &[("Name", "string", 0), ("Pod-Selector", "string", 0), ("Age", "string", 0)],
    |o, now| vec![name(o), selector(o.at(&["spec", "podSelector"])), old(o, now)],
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_and_ports_are_checked() {
        let errors = |rule: Value| {
            let mut policy = json!({"spec": {"podSelector": {}, "ingress": [rule]}});
            default_policy(&mut policy);
            let mut errors = Vec::new();
            validate_policy(&policy, None, &mut errors);
            errors.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let fine = json!({"from": [{"podSelector": {}}, {"ipBlock": {"cidr": "10.0.0.0/8"}}],
            "ports": [{"port": 80, "endPort": 90}, {"port": "http"}, {}]});
        assert_eq!(errors(fine), Vec::<String>::new());
        for (rule, expected) in [
            (json!({"from": [{}]}), "from[0]: Required value: must specify a peer"),
            (json!({"from": [{"ipBlock": {}}]}), "from[0].ipBlock.cidr: Required value"),
            (
                json!({"from": [{"podSelector": {}, "ipBlock": {"cidr": "10.0.0.0/8"}}]}),
                "from[0]: Forbidden: may not specify both ipBlock and another peer",
            ),
            (
                json!({"ports": [{"port": 80, "endPort": 79}]}),
                "ports[0].endPort: Invalid value: 79: must be greater than or equal to `port`",
            ),
            (
                json!({"ports": [{"port": "http", "endPort": 79}]}),
                "ports[0].endPort: Invalid value: 79: may not be specified when `port` is non-numeric",
            ),
            (
                json!({"ports": [{"protocol": "ICMP"}]}),
                "ports[0].protocol: Unsupported value: \"ICMP\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
            ),
        ] {
            assert_eq!(errors(rule), [format!("spec.ingress[0].{expected}")]);
        }
    }
}
