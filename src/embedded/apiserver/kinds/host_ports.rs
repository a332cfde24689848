//! Validation of the ports of the host that a pod asks for.

use std::collections::HashSet;

use curtain_schema::FieldError;
use serde_json::Value;

use super::ValueExt;

/// Validates those of a pod spec at `path`.
pub(super) fn validate(spec: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let on_host = spec["hostNetwork"] == true;
    let mut taken = HashSet::new();
    let all = ["initContainers", "containers"].into_iter().flat_map(|field| {
        spec.list(&[field]).iter().enumerate().map(move |(index, one)| (field, index, one))
    });
    for (field, index, container) in all {
        for (number, port) in container.list(&["ports"]).iter().enumerate() {
            let at = format!("{path}.{field}[{index}].ports[{number}]");
            let Some(host) = port.int(&["hostPort"]).filter(|port| *port != 0) else { continue };
            let place = format!("{at}.hostPort");
            if !(1..=65535).contains(&host) {
                let why = "must be between 1 and 65535, inclusive";
                errors.push(FieldError::invalid(place, host.into(), why));
                continue;
            }
            if on_host && port.int(&["containerPort"]) != Some(host) {
                let why = "must match `hostPort` when `hostNetwork` is true";
                let container = port["containerPort"].clone();
                errors.push(FieldError::invalid(format!("{at}.containerPort"), container, why));
            }
            let ip = port.text(&["hostIP"]);
            if !ip.is_empty() && ip.parse::<std::net::IpAddr>().is_err() {
                let why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
                errors.push(FieldError::invalid(format!("{at}.hostIP"), ip.into(), why));
            }
            let name = format!("{}/{ip}/{host}", port.text(&["protocol"]));
            if !taken.insert(name.clone()) {
                errors.push(FieldError::duplicate(place, name.into()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_port_of_the_host_is_one_and_asked_for_once() {
        let refused = |on_host: bool, ports: Value| {
            let spec =
                json!({"hostNetwork": on_host, "containers": [{"name": "c", "ports": ports}]});
            let mut errors = Vec::new();
            validate(&spec, "spec", &mut errors);
            errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        };
        let port = |host: i64, ip: &str| json!({"containerPort": 80, "hostPort": host, "hostIP": ip, "protocol": "TCP"});
        assert_eq!(refused(false, json!([port(0, ""), port(80, ""), port(80, "127.0.0.1")])), "");
        let at = "spec.containers[0].ports[0]";
        for (on_host, ports, expected) in [
            (false, json!([port(65536, "")]), format!("{at}.hostPort: Invalid value")),
            (true, json!([port(81, "")]), format!("{at}.containerPort: Invalid value")),
            (false, json!([port(80, "here")]), format!("{at}.hostIP: Invalid value")),
            (
                false,
                json!([port(80, ""), port(80, "")]),
                "spec.containers[0].ports[1].hostPort: Duplicate value: \"TCP//80\"".to_owned(),
            ),
        ] {
            let errors = refused(on_host, ports);
            assert!(errors.starts_with(&expected), "{errors}");
        }
    }
}
