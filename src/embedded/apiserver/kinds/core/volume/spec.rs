//! What claims and volumes have in common: sizes, ways of access, modes, classes, protection.

use curtain_schema::FieldError;
use serde_json::{Value, json};

use super::super::super::ValueExt;
use super::super::super::meta::is_dns_subdomain;
use crate::quantity::Quantity;

const ACCESS: [(&str, &str); 4] = [
    ("ReadWriteOnce", "RWO"),
    ("ReadOnlyMany", "ROX"),
    ("ReadWriteMany", "RWX"),
    ("ReadWriteOncePod", "RWOP"),
];
const ONE_POD: &str = "ReadWriteOncePod";

/// `RWO,RWX`, in the order in which real servers print them.
pub(super) fn short_access(modes: &[Value]) -> String {
    let has = |mode: &str| modes.iter().any(|known| known == mode);
    let short = ACCESS.iter().filter(|(mode, _)| has(mode)).map(|(_, short)| *short);
    short.collect::<Vec<_>>().join(",")
}

/// Ways of access: known ones, at least one, and a pod of its own beside no other.
pub(super) fn validate_access(spec: &Value, errors: &mut Vec<FieldError>) {
    const AT: &str = "spec.accessModes";
    let modes = spec.list(&["accessModes"]);
    if modes.is_empty() {
        errors.push(FieldError::required(AT, "at least 1 access mode is required"));
    }
    for mode in modes {
        if !ACCESS.iter().any(|(known, _)| mode == known) {
            let mut supported = ACCESS.map(|(known, _)| known);
            supported.sort_unstable();
            errors.push(FieldError::not_supported(AT, mode.clone(), &supported));
        }
    }
    if modes.len() > 1 && modes.iter().any(|mode| mode == ONE_POD) {
        let why = "may not use ReadWriteOncePod with other access modes";
        errors.push(FieldError::forbidden(AT, why));
    }
}

/// An amount of storage, which is more than none.
pub(super) fn validate_size(size: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let why = match Quantity::of(size) {
        Some(amount) if amount.is_zero() || amount.is_negative() => "must be greater than zero",
        Some(_) => return,
        None => {
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        }
    };
    errors.push(FieldError::invalid(path, size.clone(), why));
}

/// An amount of storage; none for what is no quantity.
pub(super) fn size(value: Option<&Value>) -> Quantity {
    value.and_then(Quantity::of).unwrap_or(Quantity::ZERO)
}

/// The name of a class and the volume mode.
pub(super) fn validate_kind(spec: &Value, errors: &mut Vec<FieldError>) {
    let class = spec.text(&["storageClassName"]);
    if !class.is_empty()
        && let Some(why) = is_dns_subdomain(class)
    {
        errors.push(FieldError::invalid("spec.storageClassName", class.into(), why));
    }
    if let Some(mode) = spec.at(&["volumeMode"])
        && !matches!(mode.as_str(), Some("Block" | "Filesystem"))
    {
        let supported = ["Block", "Filesystem"];
        errors.push(FieldError::not_supported("spec.volumeMode", mode.clone(), &supported));
    }
}

/// What is in use stays until its controller takes this away.
pub(super) fn protect(object: &mut Value, finalizer: &str) {
    let metadata = object.sub("metadata");
    metadata.default_to("finalizers", json!([]));
    if let Some(list) = metadata["finalizers"].as_array_mut()
        && !list.iter().any(|known| known == finalizer)
    {
        list.push(finalizer.into());
    }
}

/// The phase that is printed.
pub(super) fn phase(object: &Value) -> Value {
    match object.at(&["metadata", "deletionTimestamp"]) {
        Some(_) => "Terminating".into(),
        None => object.text(&["status", "phase"]).into(),
    }
}

pub(super) fn or_unset(text: &str) -> Value {
    if text.is_empty() { "<unset>".into() } else { text.into() }
}
