//! ConfigMaps and Secrets.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use curtain_schema::FieldError;
use serde_json::Value;

use super::super::columns::{Printer, name, old};
use super::super::meta::immutable;
use super::super::{Strategy, ValueExt};

const MAX_DATA: usize = 1 << 20;

pub(super) const CONFIG_MAP: Strategy =
    Strategy { validate: validate_config_map, ..Strategy::PLAIN };
pub(super) const SECRET: Strategy =
    Strategy { default: default_secret, validate: validate_secret, ..Strategy::PLAIN };

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

fn entries(object: &Value, fields: &[&str]) -> Value {
    fields
        .iter()
        .filter_map(|f| object.at(&[f])?.as_object())
        .map(serde_json::Map::len)
        .sum::<usize>()
        .into()
}

pub(super) const CONFIG_MAP_COLUMNS: Printer =
    Printer(&[("Name", "string", 0), ("Data", "integer", 0), ("Age", "date", 0)], |o, now| {
        vec![name(o), entries(o, &["data", "binaryData"]), old(o, now)]
    });

pub(super) const SECRET_COLUMNS: Printer = Printer(
    &[("Name", "string", 0), ("Type", "string", 0), ("Data", "integer", 0), ("Age", "date", 0)],
    |o, now| vec![name(o), o["type"].clone(), entries(o, &["data"]), old(o, now)],
);
