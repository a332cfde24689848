//! The health of live objects, from what a watch brings.

use super::gvk::Gvk;
use crate::controllers::watch::Object;
use crate::render;
use serde_json::{Value, json};

pub(crate) use crate::render::Health;

/// The health of an object that is there. Only kinds with rules are looked into.
pub(super) fn of_live(gvk: &Gvk, object: &Object) -> Health {
    let (group, kind) = (gvk.group.as_str(), gvk.kind.as_str());
    if !matches!(
        (group, kind),
        ("apps", "Deployment" | "StatefulSet") | ("batch", "CronJob") | ("", "Pod")
    ) {
        return Health::Healthy;
    }
    let part = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    let api_version =
        if group.is_empty() { gvk.version.clone() } else { format!("{group}/{}", gvk.version) };
    render::health(Some(&json!({
        "apiVersion": api_version,
        "kind": kind,
        "metadata": { "generation": object.meta.generation },
        "spec": part(&object.spec),
        "status": part(&object.status),
    })))
}

/// Reads a health back from a status.
pub(crate) fn parse(text: &str) -> Health {
    [Health::Progressing, Health::Healthy, Health::Suspended, Health::Degraded]
        .into_iter()
        .find(|h| h.as_str() == text)
        .unwrap_or(Health::Unknown)
}
