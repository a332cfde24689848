//! Namespaces: their life is in `spec.finalizers` and `status.phase`.

use serde_json::{Value, json};

use super::super::columns::{Printer, name, old};
use super::super::meta::is_dns_label;
use super::super::{Deletion, Kept, Strategy, ValueExt};

pub(super) const NAMESPACE: Strategy = Strategy {
    default,
    prepare,
    deletion: Deletion::Namespace,
    kept: Kept {
        names: &["default", "kube-node-lease", "kube-public", "kube-system"],
        why: "this namespace may not be deleted",
    },
    name: is_dns_label,
    ..Strategy::PLAIN
};

fn default(object: &mut Value) {
    let name = object.text(&["metadata", "name"]).to_owned();
    if !name.is_empty() {
        object.sub("metadata").sub("labels")["kubernetes.io/metadata.name"] = name.into();
    }
}

fn prepare(object: &mut Value, old: Option<&Value>) {
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

pub(super) const COLUMNS: Printer =
    Printer(&[("Name", "string", 0), ("Status", "string", 0), ("Age", "date", 0)], |o, now| {
        vec![name(o), o.text(&["status", "phase"]).into(), old(o, now)]
    });
