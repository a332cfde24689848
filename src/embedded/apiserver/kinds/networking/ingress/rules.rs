//! Which requests an Ingress is about: hosts, paths and certificates.

use curtain_schema::FieldError;
use serde_json::Value;

use super::super::super::ValueExt;
use super::super::super::meta::{is_dns_subdomain, is_wildcard_subdomain};
use super::backend;

/// Everything that is wrong with the specification's rules.
pub(super) fn validate(spec: &Value, errors: &mut Vec<FieldError>) {
    let default = spec.at(&["defaultBackend"]);
    let rules = spec.list(&["rules"]);
    if default.is_none() && rules.is_empty() {
        let why = "either `defaultBackend` or `rules` must be specified";
        errors.push(FieldError::invalid("spec", Value::Null, why));
    }
    if let Some(default) = default {
        backend::validate(default, "spec.defaultBackend", errors);
    }
    for (index, rule) in rules.iter().enumerate() {
        self::rule(rule, &format!("spec.rules[{index}]"), errors);
    }
    for (index, tls) in spec.list(&["tls"]).iter().enumerate() {
        let at = format!("spec.tls[{index}]");
        for (number, host) in tls.list(&["hosts"]).iter().enumerate() {
            dns_name(host.as_str().unwrap_or_default(), &format!("{at}.hosts[{number}]"), errors);
        }
        let secret = tls.text(&["secretName"]);
        if let Some(why) = is_dns_subdomain(secret).filter(|_| !secret.is_empty()) {
            errors.push(FieldError::invalid(format!("{at}.secretName"), secret.into(), why));
        }
    }
}

/// Hosts have names.
pub(super) fn no_address(host: &str, path: &str, errors: &mut Vec<FieldError>) {
    if host.parse::<std::net::IpAddr>().is_ok() {
        let why = "must be a DNS name, not an IP address";
        errors.push(FieldError::invalid(path, host.into(), why));
    }
}

/// A name, perhaps with a wildcard in front.
fn dns_name(host: &str, path: &str, errors: &mut Vec<FieldError>) {
    let rule = if host.contains('*') { is_wildcard_subdomain } else { is_dns_subdomain };
    if let Some(why) = rule(host) {
        errors.push(FieldError::invalid(path, host.into(), why));
    }
}

fn rule(rule: &Value, at: &str, errors: &mut Vec<FieldError>) {
    let host = rule.text(&["host"]);
    if !host.is_empty() {
        let at = format!("{at}.host");
        no_address(host, &at, errors);
        dns_name(host, &at, errors);
    }
    let Some(http) = rule.at(&["http"]) else { return };
    let paths = http.list(&["paths"]);
    if paths.is_empty() {
        errors.push(FieldError::required(format!("{at}.http.paths"), ""));
    }
    for (index, path) in paths.iter().enumerate() {
        self::path(path, &format!("{at}.http.paths[{index}]"), errors);
    }
}

fn path(entry: &Value, at: &str, errors: &mut Vec<FieldError>) {
    let path = entry.text(&["path"]);
    let mut wrong =
        |why: String| errors.push(FieldError::invalid(format!("{at}.path"), path.into(), why));
    match entry.at(&["pathType"]).and_then(Value::as_str) {
        None => {
            let why = "pathType must be specified";
            return errors.push(FieldError::required(format!("{at}.pathType"), why));
        }
        Some("Exact" | "Prefix") => {
            if !path.starts_with('/') {
                wrong("must be an absolute path".into());
            }
            for piece in ["//", "/./", "/../", "%2f", "%2F"] {
                if path.contains(piece) {
                    wrong(format!("must not contain '{piece}'"));
                }
            }
            for end in ["/..", "/."] {
                if path.ends_with(end) {
                    wrong(format!("cannot end with '{end}'"));
                }
            }
        }
        Some("ImplementationSpecific") => {
            if !path.is_empty() && !path.starts_with('/') {
                wrong("must be an absolute path".into());
            }
        }
        Some(other) => {
            let supported = ["Exact", "ImplementationSpecific", "Prefix"];
            let place = format!("{at}.pathType");
            errors.push(FieldError::not_supported(place, other.into(), &supported));
        }
    }
    backend::validate(&entry["backend"], &format!("{at}.backend"), errors);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::errors;
    use super::*;

    fn of(host: &str, path: Value) -> Vec<String> {
        let mut path = path;
        path["backend"] = json!({"service": {"name": "web", "port": {"name": "http"}}});
        errors(&json!({"spec": {"rules": [{"host": host, "http": {"paths": [path]}}]}}))
    }

    #[test]
    fn paths_and_hosts_are_checked() {
        for (host, path) in [
            ("", json!({"path": "/", "pathType": "Prefix"})),
            ("a.example", json!({"path": "/a/b..c", "pathType": "Exact"})),
            ("*.example", json!({"pathType": "ImplementationSpecific"})),
        ] {
            assert_eq!(of(host, path), Vec::<String>::new(), "{host}");
        }
        let at = "spec.rules[0].http.paths[0]";
        for (path, expected) in [
            (
                json!({"path": "/"}),
                format!("{at}.pathType: Required value: pathType must be specified"),
            ),
            (
                json!({"path": "a", "pathType": "Prefix"}),
                format!("{at}.path: Invalid value: \"a\": must be an absolute path"),
            ),
            (
                json!({"path": "/a//b", "pathType": "Exact"}),
                format!("{at}.path: Invalid value: \"/a//b\": must not contain '//'"),
            ),
            (
                json!({"path": "/a/..", "pathType": "Exact"}),
                format!("{at}.path: Invalid value: \"/a/..\": cannot end with '/..'"),
            ),
            (
                json!({"path": "/", "pathType": "Regex"}),
                format!(
                    "{at}.pathType: Unsupported value: \"Regex\": supported values: \"Exact\", \"ImplementationSpecific\", \"Prefix\""
                ),
            ),
        ] {
            assert_eq!(of("", path), [expected]);
        }
        let found = of("a.*.example", json!({"path": "/", "pathType": "Prefix"}));
        assert!(
            found[0].starts_with("spec.rules[0].host: Invalid value: \"a.*.example\": a wildcard")
        );
        assert_eq!(
            errors(&json!({"spec": {}})),
            ["spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"]
        );
    }
}
