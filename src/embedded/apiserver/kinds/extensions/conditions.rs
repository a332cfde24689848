//! The conditions of definitions.

use serde_json::{Value, json};

use super::super::super::time;
use super::super::ValueExt;

/// Its names are its own.
pub(super) const ACCEPTED: &str = "NamesAccepted";
/// Its objects are served.
pub(super) const ESTABLISHED: &str = "Established";
/// It is being deleted, its objects first.
const TERMINATING: &str = "Terminating";

/// Has the definition had all its names?
pub(super) fn is_established(definition: &Value) -> bool {
    holds(&definition["status"], ESTABLISHED)
}

/// Is the definition being deleted, and so are its objects?
pub(super) fn is_ending(definition: &Value) -> bool {
    holds(&definition["status"], TERMINATING)
}

pub(super) fn holds(status: &Value, kind: &str) -> bool {
    status.list(&["conditions"]).iter().any(|c| c["type"] == kind && c["status"] == "True")
}

pub(super) fn set(definition: &mut Value, kind: &str, status: &str, reason: &str, message: &str) {
    let conditions = &mut definition.sub("status")["conditions"];
    if !conditions.is_array() {
        *conditions = json!([]);
    }
    let Some(list) = conditions.as_array_mut() else { return };
    let at = list.iter().position(|c| c["type"] == kind).unwrap_or_else(|| {
        list.push(json!({"type": kind}));
        list.len() - 1
    });
    if list[at]["status"] != status {
        list[at]["lastTransitionTime"] = time::now().into();
    }
    for (field, text) in [("status", status), ("reason", reason), ("message", message)] {
        list[at][field] = text.into();
    }
}

/// Says that the definition is to be deleted.
pub(crate) fn announce_deletion(definition: &mut Value) {
    if !is_ending(definition) {
        let message =
            "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon";
        set(definition, TERMINATING, "True", "InstanceDeletionPending", message);
    }
}

/// Says that the definition's objects are being deleted; `false` if it is said already.
pub(crate) fn announce_cleanup(definition: &mut Value) -> bool {
    let before = definition["status"].clone();
    let message = "CustomResource deletion is in progress";
    set(definition, TERMINATING, "True", "InstanceDeletionInProgress", message);
    definition["status"] != before
}
