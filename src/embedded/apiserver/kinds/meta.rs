//! Names, labels, annotations: rules that hold for every object.

use curtain_schema::FieldError;
use serde_json::Value;

use super::{Resource, ValueExt};

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const WILDCARD: &str = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const MAX_ANNOTATIONS: usize = 256 << 10;

fn lower(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit()
}

fn label_shape(name: &str) -> bool {
    let bytes = name.as_bytes();
    let ends =
        bytes.first().copied().is_some_and(lower) && bytes.last().copied().is_some_and(lower);
    ends && bytes.iter().all(|b| lower(*b) || *b == b'-')
}

/// What is wrong with an RFC 1123 subdomain.
pub(crate) fn is_dns_subdomain(name: &str) -> Option<String> {
    if name.len() > 253 {
        return Some("must be no more than 253 bytes".into());
    }
    (!name.split('.').all(label_shape)).then(|| SUBDOMAIN.into())
}

/// What is wrong with `*.` and a subdomain.
pub(super) fn is_wildcard_subdomain(name: &str) -> Option<String> {
    if name.len() > 253 {
        return Some("must be no more than 253 bytes".into());
    }
    let fine = name.strip_prefix("*.").is_some_and(|rest| rest.split('.').all(label_shape));
    (!fine).then(|| WILDCARD.into())
}

/// What is wrong with the name of a port.
pub(super) fn is_port_name(name: &str) -> Option<String> {
    let why = if name.len() > 15 {
        "must be no more than 15 bytes"
    } else if !name.bytes().all(|b| lower(b) || b == b'-') {
        "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
    } else if !name.bytes().any(|b| b.is_ascii_lowercase()) {
        "must contain at least one letter (a-z)"
    } else if name.contains("--") {
        "must not contain consecutive hyphens"
    } else if name.starts_with('-') || name.ends_with('-') {
        "must not begin or end with a hyphen"
    } else {
        return None;
    };
    Some(why.into())
}

/// What is wrong with an RFC 1123 label.
pub(super) fn is_dns_label(name: &str) -> Option<String> {
    if name.len() > 63 {
        return Some("must be no more than 63 bytes".into());
    }
    (!label_shape(name)).then(|| LABEL.into())
}

/// What is wrong with an RFC 1035 label (names of Services).
pub(super) fn is_dns_1035_label(name: &str) -> Option<String> {
    if name.len() > 63 {
        return Some("must be no more than 63 bytes".into());
    }
    let fine = label_shape(name) && name.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
    (!fine).then(|| LABEL_1035.into())
}

/// What is wrong with a name that is only a path segment (RBAC).
pub(super) fn is_path_segment(name: &str) -> Option<String> {
    match name {
        "." | ".." => Some(format!("may not be '{name}'")),
        _ if name.contains('/') => Some("may not contain '/'".into()),
        _ if name.contains('%') => Some("may not contain '%'".into()),
        _ => None,
    }
}

fn qualified_part(name: &str) -> bool {
    let bytes = name.as_bytes();
    let ends = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    ends(bytes.first())
        && ends(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// What is wrong with a label key or finalizer.
pub(crate) fn is_qualified_name(name: &str) -> Option<String> {
    let (prefix, part) = match name.split_once('/') {
        Some((prefix, part)) => (Some(prefix), part),
        None => (None, name),
    };
    if let Some(prefix) = prefix {
        if prefix.is_empty() {
            return Some("prefix part must be non-empty".into());
        }
        if let Some(why) = is_dns_subdomain(prefix) {
            return Some(format!("prefix part {why}"));
        }
    }
    if part.is_empty() {
        return Some("name part must be non-empty".into());
    }
    if part.len() > 63 {
        return Some("name part must be no more than 63 bytes".into());
    }
    (!qualified_part(part)).then(|| QUALIFIED.into())
}

/// What is wrong with a label value.
pub(crate) fn is_label_value(value: &str) -> Option<String> {
    if value.len() > 63 {
        return Some("must be no more than 63 bytes".into());
    }
    (!value.is_empty() && !qualified_part(value)).then(|| LABEL_VALUE.into())
}

/// Labels at `path`.
pub(super) fn validate_labels(labels: Option<&Value>, path: &str, errors: &mut Vec<FieldError>) {
    for (name, value) in labels.and_then(Value::as_object).into_iter().flatten() {
        if let Some(why) = is_qualified_name(name) {
            errors.push(FieldError::invalid(path, name.as_str().into(), why));
        }
        if let Some(why) = is_label_value(value.as_str().unwrap_or_default()) {
            errors.push(FieldError::invalid(path, value.clone(), why));
        }
    }
}

/// The name alone.
pub(super) fn validate_name(resource: &Resource, object: &Value, errors: &mut Vec<FieldError>) {
    let name = object.text(&["metadata", "name"]);
    if name.is_empty() {
        errors.push(FieldError::required("metadata.name", "name or generateName is required"));
    } else if let Some(why) = (resource.strategy.name)(name) {
        errors.push(FieldError::invalid("metadata.name", name.into(), why));
    }
}

/// Everything in `metadata`, and what an update may not change there.
pub(crate) fn validate_metadata(
    resource: &Resource,
    object: &Value,
    old: Option<&Value>,
    errors: &mut Vec<FieldError>,
) {
    validate_name(resource, object, errors);
    validate_labels(object.at(&["metadata", "labels"]), "metadata.labels", errors);
    let mut size = 0;
    for (name, value) in
        object.at(&["metadata", "annotations"]).and_then(Value::as_object).into_iter().flatten()
    {
        if let Some(why) = is_qualified_name(&name.to_ascii_lowercase()) {
            errors.push(FieldError::invalid("metadata.annotations", name.as_str().into(), why));
        }
        size += name.len() + value.as_str().map_or(0, str::len);
    }
    if size > MAX_ANNOTATIONS {
        errors.push(FieldError::too_long("metadata.annotations", MAX_ANNOTATIONS as u64));
    }
    for (at, finalizer) in object.list(&["metadata", "finalizers"]).iter().enumerate() {
        let text = finalizer.as_str().unwrap_or_default();
        if let Some(why) = is_qualified_name(text) {
            errors.push(FieldError::invalid(
                format!("metadata.finalizers[{at}]"),
                finalizer.clone(),
                why,
            ));
        }
    }
    let mut controllers = 0;
    for (at, owner) in object.list(&["metadata", "ownerReferences"]).iter().enumerate() {
        let path = |field: &str| format!("metadata.ownerReferences[{at}].{field}");
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner.text(&[field]).is_empty() {
                errors.push(FieldError::invalid(path(field), "".into(), "must not be empty"));
            }
        }
        controllers += usize::from(owner["controller"] == true);
    }
    if controllers > 1 {
        errors.push(FieldError::invalid(
            "metadata.ownerReferences",
            object["metadata"]["ownerReferences"].clone(),
            "Only one reference can have Controller set to true",
        ));
    }
    if let Some(old) = old {
        validate_metadata_update(object, old, errors);
    }
}

fn validate_metadata_update(object: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    for field in ["name", "namespace"] {
        let path = ["metadata", field];
        if object.text(&path) != old.text(&path) {
            errors.push(immutable(&format!("metadata.{field}"), object.at(&path)));
        }
    }
    if old.at(&["metadata", "deletionTimestamp"]).is_some() {
        let known = old.list(&["metadata", "finalizers"]);
        let added: Vec<_> = object
            .list(&["metadata", "finalizers"])
            .iter()
            .filter(|f| !known.contains(f))
            .map(Value::to_string)
            .collect();
        if !added.is_empty() {
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                added.join(", ")
            );
            errors.push(FieldError::forbidden("metadata.finalizers", why));
        }
    }
}

/// `field is immutable`.
pub(super) fn immutable(path: &str, value: Option<&Value>) -> FieldError {
    FieldError::invalid(path, value.cloned().unwrap_or_default(), "field is immutable")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_their_rules() {
        for (rule, good, bad) in [
            (
                is_dns_subdomain as fn(&str) -> Option<String>,
                vec!["a", "a.b-c", "1"],
                vec!["", "A", "-a", "a..b", "a_b"],
            ),
            (is_dns_label, vec!["a", "a-b", "1a"], vec!["", "a.b", "a-"]),
            (is_dns_1035_label, vec!["a1"], vec!["1a", "a.b"]),
            (is_wildcard_subdomain, vec!["*.a", "*.a.b"], vec!["*", "a", "*a", "*.*.a", "a.*"]),
            (
                is_port_name,
                vec!["http", "h2-c"],
                vec!["", "8", "a--b", "-a", "A", "0123456789abcdef"],
            ),
            (is_path_segment, vec!["system:node"], vec!["a/b", "..", "a%"]),
            (is_qualified_name, vec!["a", "a.b/C_d"], vec!["", "/a", "a/", "a/b/c", "A B"]),
            (is_label_value, vec!["", "A.b_c"], vec!["-", "a b"]),
        ] {
            for name in good {
                assert_eq!(rule(name), None, "{name}");
            }
            for name in bad {
                assert!(rule(name).is_some(), "{name}");
            }
        }
    }
}
