//! Nodes.

use curtain_schema::FieldError;
use serde_json::Value;

use super::super::columns::{Printer, name, old, or_none};
use super::super::meta::is_qualified_name;
use super::super::template::one_of;
use super::super::{Strategy, ValueExt};

pub(super) const NODE: Strategy =
    Strategy { validate: validate_node, status_on_create: true, ..Strategy::PLAIN };

fn validate_node(object: &Value, _: Option<&Value>, errors: &mut Vec<FieldError>) {
    for (at, taint) in object.list(&["spec", "taints"]).iter().enumerate() {
        let path = format!("spec.taints[{at}]");
        if let Some(why) = is_qualified_name(taint.text(&["key"])) {
            errors.push(FieldError::invalid(format!("{path}.key"), taint["key"].clone(), why));
        }
        let effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
        one_of(taint, "effect", &effects, &format!("{path}.effect"), errors);
    }
}

pub(super) const COLUMNS: Printer = Printer(
    &[
        ("Name", "string", 0),
        ("Status", "string", 0),
        ("Roles", "string", 0),
        ("Age", "string", 0),
        ("Version", "string", 0),
        ("Internal-IP", "string", 1),
        ("External-IP", "string", 1),
        ("OS-Image", "string", 1),
        ("Kernel-Version", "string", 1),
        ("Container-Runtime", "string", 1),
    ],
    |o, now| {
        let ready = o.list(&["status", "conditions"]).iter().find(|c| c["type"] == "Ready");
        let mut status = match ready.map(|c| c.text(&["status"])) {
            Some("True") => "Ready".to_owned(),
            Some(_) => "NotReady".to_owned(),
            None => "Unknown".to_owned(),
        };
        if o.at(&["spec", "unschedulable"]) == Some(&Value::Bool(true)) {
            status.push_str(",SchedulingDisabled");
        }
        let labels = o.at(&["metadata", "labels"]).and_then(Value::as_object);
        let roles: Vec<_> = labels
            .into_iter()
            .flatten()
            .filter_map(|(label, _)| label.strip_prefix("node-role.kubernetes.io/"))
            .filter(|role| !role.is_empty())
            .collect();
        let address = |kind: &str| {
            let found = o.list(&["status", "addresses"]).iter().find(|a| a["type"] == kind);
            or_none(found.map_or("", |a| a.text(&["address"])))
        };
        let info = |field: &str| o.text(&["status", "nodeInfo", field]).into();
        vec![
            name(o),
            status.into(),
            or_none(&roles.join(",")),
            old(o, now),
            info("kubeletVersion"),
            address("InternalIP"),
            address("ExternalIP"),
            info("osImage"),
            info("kernelVersion"),
            info("containerRuntimeVersion"),
        ]
    },
);
