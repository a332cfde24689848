//! Namespaces, ConfigMaps, Secrets, ServiceAccounts, Nodes and Events.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use curtain_schema::FieldError;
use serde_json::{Value, json};

use super::meta::{immutable, is_dns_label, is_qualified_name};
use super::{Deletion, Strategy, ValueExt};

const MAX_DATA: usize = 1 << 20;

pub(super) const NAMESPACE: Strategy = Strategy {
    default: default_namespace,
    prepare: prepare_namespace,
    deletion: Deletion::Namespace,
    kept: &["default", "kube-node-lease", "kube-public", "kube-system"],
    name: is_dns_label,
    ..Strategy::PLAIN
};
pub(super) const CONFIG_MAP: Strategy =
    Strategy { validate: validate_config_map, ..Strategy::PLAIN };
pub(super) const SECRET: Strategy =
    Strategy { default: default_secret, validate: validate_secret, ..Strategy::PLAIN };
pub(super) const SERVICE_ACCOUNT: Strategy = Strategy::PLAIN;
pub(super) const NODE: Strategy =
    Strategy { validate: validate_node, status_on_create: true, ..Strategy::PLAIN };
pub(super) const EVENT: Strategy =
    Strategy { default: default_event, create_on_update: true, ..Strategy::PLAIN };

fn default_namespace(object: &mut Value) {
    let name = object.text(&["metadata", "name"]).to_owned();
    if !name.is_empty() {
        object.sub("metadata").sub("labels")["kubernetes.io/metadata.name"] = name.into();
    }
}

fn prepare_namespace(object: &mut Value, old: Option<&Value>) {
    match old {
        None => {
            object["spec"] = json!({"finalizers": ["kubernetes"]});
            object["status"] = json!({"phase": "Active"});
        }
        // Only the finalize subresource changes these.
        Some(old) => {
            if let Some(spec) = old.get("spec") {
                object["spec"] = spec.clone();
            }
        }
    }
}

fn data_size(object: &Value, fields: &[&str]) -> usize {
    let maps = fields.iter().filter_map(|field| object.at(&[field])?.as_object());
    maps.flatten().map(|(name, value)| name.len() + value.as_str().map_or(0, str::len)).sum()
}

fn validate_data(object: &Value, fields: &[&str], errors: &mut Vec<FieldError>) {
    for field in fields {
        for name in object
            .at(&[field])
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(name, _)| name)
        {
            let fine = !name.is_empty()
                && name.len() <= 253
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
            if !fine || name == "." || name.starts_with("..") {
                errors.push(FieldError::invalid(
                    format!("{field}[{name}]"),
                    name.as_str().into(),
                    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
                ));
            }
        }
    }
}

fn validate_immutable(
    object: &Value,
    old: Option<&Value>,
    fields: &[&str],
    errors: &mut Vec<FieldError>,
) {
    let Some(old) = old.filter(|old| old["immutable"] == true) else { return };
    let why = "field is immutable when `immutable` is set";
    if object["immutable"] != true {
        errors.push(FieldError::forbidden("immutable", why));
    }
    for field in fields {
        if object.at(&[field]) != old.at(&[field]) {
            errors.push(FieldError::forbidden(*field, why));
        }
    }
}

fn validate_config_map(object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let fields = ["data", "binaryData"];
    validate_data(object, &fields, errors);
    for name in
        object.at(&["data"]).and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name)
    {
        if object.at(&["binaryData", name]).is_some() {
            let why = "duplicate of key present in binaryData";
            errors.push(FieldError::invalid(format!("data[{name}]"), name.as_str().into(), why));
        }
    }
    if data_size(object, &fields) > MAX_DATA {
        errors.push(FieldError::too_long("", MAX_DATA as u64));
    }
    validate_immutable(object, old, &fields, errors);
}

fn default_secret(object: &mut Value) {
    object.default_to("type", "Opaque");
    if let Some(Value::Object(text)) = object.drop_field("stringData") {
        let data = object.sub("data");
        for (name, value) in text {
            data[name] = BASE64_STANDARD.encode(value.as_str().unwrap_or_default()).into();
        }
    }
}

fn validate_secret(object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    validate_data(object, &["data"], errors);
    if data_size(object, &["data"]) > MAX_DATA * 4 / 3 {
        errors.push(FieldError::too_long("data", MAX_DATA as u64));
    }
    let required: &[&str] = match object.text(&["type"]) {
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        _ => &[],
    };
    for name in required {
        if object.at(&["data", name]).is_none() {
            errors.push(FieldError::required(format!("data[{name}]"), ""));
        }
    }
    if object["type"] == "kubernetes.io/service-account-token"
        && object
            .text(&["metadata", "annotations", "kubernetes.io/service-account.name"])
            .is_empty()
    {
        errors.push(FieldError::required(
            "metadata.annotations[kubernetes.io/service-account.name]",
            "",
        ));
    }
    if let Some(old) = old
        && old["type"] != object["type"]
    {
        errors.push(immutable("type", object.at(&["type"])));
    }
    validate_immutable(object, old, &["data"], errors);
}

fn validate_node(object: &Value, _: Option<&Value>, errors: &mut Vec<FieldError>) {
    for (at, taint) in object.list(&["spec", "taints"]).iter().enumerate() {
        let path = format!("spec.taints[{at}]");
        if let Some(why) = is_qualified_name(taint.text(&["key"])) {
            errors.push(FieldError::invalid(format!("{path}.key"), taint["key"].clone(), why));
        }
        let effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
        super::template::one_of(taint, "effect", &effects, &format!("{path}.effect"), errors);
    }
}

/// The newer form of the same objects: fields that have other names there.
const EVENT_NAMES: [(&str, &str); 7] = [
    ("message", "note"),
    ("involvedObject", "regarding"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

fn rename(object: &mut Value, names: impl Iterator<Item = (&'static str, &'static str)>) {
    for (from, to) in names {
        if let Some(value) = object.drop_field(from)
            && !value.is_null()
        {
            object[to] = value;
        }
    }
}

/// The stored form of an event in either form.
pub(super) fn stored_event(event: &Value) -> Value {
    let mut stored = event.clone();
    rename(&mut stored, EVENT_NAMES.into_iter().map(|(old, new)| (new, old)));
    stored
}

pub(super) const NEW_EVENT: Strategy = Strategy {
    serve: Some(|object| rename(object, EVENT_NAMES.into_iter())),
    store: Some(|object| {
        rename(object, EVENT_NAMES.into_iter().map(|(old, new)| (new, old)));
        default_event(object);
    }),
    create_on_update: true,
    ..Strategy::PLAIN
};

fn default_event(object: &mut Value) {
    object.default_to("reportingComponent", "");
    object.default_to("reportingInstance", "");
    object.default_to("source", json!({}));
    for field in ["firstTimestamp", "lastTimestamp", "eventTime"] {
        object.default_to(field, Value::Null);
    }
}
