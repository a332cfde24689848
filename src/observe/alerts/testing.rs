//! What the tests of alerts share: a rule, and looks at it.

use std::path::Path;
use std::time::Duration;

use curtain_platform::types::ObservabilityAlertRule;
use serde_json::{Value, json};

use super::Store;
use super::judge::{Look, Outcome};
use super::rule::Rule;
use crate::database::Retention;

/// Nanoseconds of a second.
pub(super) const SECOND: i64 = 1_000_000_000;
/// A time in 2026, in nanoseconds since 1970.
pub(super) const START: i64 = 1_767_225_600 * SECOND;

/// A rule: more than two lines with `oh no` in 30 s; with `change` merged into its spec.
pub(super) fn object(change: &Value) -> ObservabilityAlertRule {
    let mut object = json!({
        "apiVersion": "openchoreo.dev/v1alpha1", "kind": "ObservabilityAlertRule",
        "metadata": { "name": "cart-errors", "namespace": "dp-shop", "generation": 1, "labels": {
            "openchoreo.dev/namespace": "default", "openchoreo.dev/project": "shop",
            "openchoreo.dev/component": "cart", "openchoreo.dev/environment": "development",
            "openchoreo.dev/component-uid": "c", "openchoreo.dev/project-uid": "p",
            "openchoreo.dev/environment-uid": "e",
        } },
        "spec": {
            "name": "errors", "description": "It fails \"often\"", "severity": "critical",
            "source": { "type": "log", "query": "oh no" },
            "condition": { "window": "30s", "interval": "5s", "operator": "gt", "threshold": 2 },
            "actions": {
                "notifications": { "channels": ["ops"] },
                "incident": { "enabled": true, "triggerAiRca": true },
            },
        },
    });
    for (name, value) in change.as_object().into_iter().flatten() {
        object["spec"][name] = value.clone();
    }
    serde_json::from_value(object).expect("a rule")
}

pub(super) fn rule(change: &Value) -> Rule {
    Rule::of(&object(change)).expect("good").expect("switched on")
}

pub(super) fn open(directory: &Path) -> Store {
    Store::open(&directory.join("alerts.db"), Retention::default()).expect("opens")
}

/// Looks at a rule so many seconds after the start.
pub(super) fn look(store: &Store, rule: &Rule, second: i64, value: f64) -> Outcome {
    let look = Look {
        value: Some(value),
        now: START + second * SECOND,
        watched: Some((START, i64::MAX)),
        suppression: Duration::from_secs(300),
        rca: true,
    };
    store.judge(rule, look).expect("judges")
}

/// An alert with an open incident in the directory's database, for tests of what is served.
pub(crate) fn seed(directory: &Path) {
    let store = open(directory);
    assert_eq!(look(&store, &rule(&json!({})), 1, 3.0), Outcome::Fired);
}
