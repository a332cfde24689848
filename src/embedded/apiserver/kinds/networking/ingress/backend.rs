//! Where requests go: to a port of a Service, or to another object.

use curtain_schema::FieldError;
use serde_json::Value;

use super::super::super::ValueExt;
use super::super::super::meta::{is_dns_1035_label, is_port_name};
use super::super::reference;

/// What is wrong with a backend.
pub(super) fn validate(backend: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let wrong = |why: &str| FieldError::invalid(path, "".into(), why);
    match (backend.at(&["resource"]), backend.at(&["service"])) {
        (Some(_), Some(_)) => errors.push(wrong("cannot set both resource and service backends")),
        (Some(resource), None) => {
            reference::validate(resource, &format!("{path}.resource"), errors);
        }
        (None, Some(service)) => self::service(service, path, errors),
        (None, None) => errors.push(wrong("resource or service backend is required")),
    }
}

fn service(service: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let at = |field: &str| format!("{path}.service.{field}");
    let name = service.text(&["name"]);
    if name.is_empty() {
        errors.push(FieldError::required(at("name"), ""));
    } else if let Some(why) = is_dns_1035_label(name) {
        errors.push(FieldError::invalid(at("name"), name.into(), why));
    }
    let number = service.int(&["port", "number"]).filter(|number| *number != 0);
    match (service.text(&["port", "name"]), number) {
        ("", None) => errors.push(FieldError::required(path, "port name or number is required")),
        ("", Some(number)) => {
            if !(1..=65535).contains(&number) {
                let why = "must be between 1 and 65535, inclusive";
                errors.push(FieldError::invalid(at("port.number"), number.into(), why));
            }
        }
        (name, None) => {
            if let Some(why) = is_port_name(name) {
                errors.push(FieldError::invalid(at("port.name"), name.into(), why));
            }
        }
        (_, Some(_)) => {
            let why = "cannot set both port name & port number";
            errors.push(FieldError::invalid(path, "".into(), why));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::errors;
    use super::*;

    #[test]
    fn a_backend_is_one_thing() {
        let service = |port: Value| json!({"service": {"name": "web", "port": port}});
        let resource = json!({"apiGroup": "example.com", "kind": "Bucket", "name": "b"});
        let of = |backend: Value| errors(&json!({"spec": {"defaultBackend": backend}}));
        assert_eq!(of(service(json!({"number": 80}))), Vec::<String>::new());
        assert_eq!(of(json!({"resource": resource})), Vec::<String>::new());
        let at = "spec.defaultBackend";
        let mut both = service(json!({"number": 80}));
        both["resource"] = resource;
        for (backend, expected) in [
            (json!({}), ": Invalid value: \"\": resource or service backend is required"),
            (both, ": Invalid value: \"\": cannot set both resource and service backends"),
            (service(json!({})), ": Required value: port name or number is required"),
            (
                service(json!({"name": "http", "number": 80})),
                ": Invalid value: \"\": cannot set both port name & port number",
            ),
            (
                service(json!({"number": 70000})),
                ".service.port.number: Invalid value: 70000: must be between 1 and 65535, inclusive",
            ),
            (
                service(json!({"name": "80"})),
                ".service.port.name: Invalid value: \"80\": must contain at least one letter (a-z)",
            ),
            (
                json!({"resource": {"name": "b"}}),
                ".resource.kind: Required value: kind is required",
            ),
        ] {
            assert_eq!(of(backend), [format!("{at}{expected}")]);
        }
    }
}
