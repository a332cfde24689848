//! `discovery.k8s.io`: EndpointSlices.

use curtain_schema::FieldError;
use serde_json::Value;

use super::builtin::{Line, PLAIN};
use super::columns::{Printer, count, joined, name, old};
use super::meta::immutable;
use super::template::one_of;
use super::{Strategy, ValueExt};

pub(super) const KINDS: &[Line] = &[Line {
    kind: "EndpointSlice",
    plural: "endpointslices",
    strategy: ENDPOINT_SLICE,
    columns: COLUMNS,
    generation: true,
    ..PLAIN
}];

const ENDPOINT_SLICE: Strategy =
    Strategy { default: default_slice, validate: validate_slice, ..Strategy::PLAIN };

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

const COLUMNS: Printer = Printer(
    &[
        ("Name", "string", 0),
        ("AddressType", "string", 0),
        ("Ports", "string", 0),
        ("Endpoints", "string", 0),
        ("Age", "string", 0),
    ],
    |o, now| {
        let ports = o.list(&["ports"]).iter().map(|p| count(p, &["port"]).to_string());
        let addresses = o.list(&["endpoints"]).iter().flat_map(|e| e.list(&["addresses"]));
        let addresses = addresses.filter_map(Value::as_str).map(str::to_owned);
        vec![name(o), o["addressType"].clone(), joined(ports, 3), joined(addresses, 3), old(o, now)]
    },
);
