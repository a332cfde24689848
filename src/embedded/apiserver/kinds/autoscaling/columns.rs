//! What `kubectl get hpa` shows.

use serde_json::Value;

use super::super::ValueExt;
use super::super::columns::{Printer, count, name, old as age};

/// So many metrics are shown.
const SHOWN: usize = 2;

pub(super) const COLUMNS: Printer = Printer(
    &[
        ("Name", "string", 0),
        ("Reference", "string", 0),
        ("Targets", "string", 0),
        ("MinPods", "string", 0),
        ("MaxPods", "string", 0),
        ("Replicas", "string", 0),
        ("Age", "string", 0),
    ],
    |o, now| {
        let target = |field: &str| o.text(&["spec", "scaleTargetRef", field]);
        let min = o.int(&["spec", "minReplicas"]);
        vec![
            name(o),
            format!("{}/{}", target("kind"), target("name")).into(),
            targets(o.list(&["spec", "metrics"]), o.list(&["status", "currentMetrics"])).into(),
            min.map_or("<unset>".into(), |min| min.to_string().into()),
            count(o, &["spec", "maxReplicas"]).to_string().into(),
            count(o, &["status", "currentReplicas"]).to_string().into(),
            age(o, now),
        ]
    },
);

fn targets(metrics: &[Value], statuses: &[Value]) -> String {
    if metrics.is_empty() {
        return "<none>".into();
    }
    let all = metrics.iter().enumerate().map(|(at, metric)| one(metric, statuses.get(at)));
    let shown = all.take(SHOWN).collect::<Vec<_>>().join(", ");
    match metrics.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} + {more} more..."),
    }
}

/// What there is of a metric, and what is aimed at.
fn one(metric: &Value, status: Option<&Value>) -> String {
    let field = match metric.text(&["type"]) {
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        "Pods" => "pods",
        "Object" => "object",
        "External" => "external",
        _ => return "<unknown type>".into(),
    };
    let current = status.and_then(|status| status.at(&[field, "current"]));
    let text = |of: Option<&Value>, name: &str| match of.and_then(|of| of.at(&[name]))? {
        Value::String(text) => Some(text.clone()),
        number => Some(number.to_string()),
    };
    let target = metric.at(&[field, "target"]);
    let pair = |name: &str| {
        let current = text(current, name).unwrap_or_else(|| "<unknown>".into());
        format!("{current}/{}", text(target, name).unwrap_or_else(|| "<auto>".into()))
    };
    let average = target.is_some_and(|target| target.at(&["averageValue"]).is_some());
    match (field, average) {
        ("resource" | "containerResource", true) => {
            format!("{}: {}", metric.text(&[field, "name"]), pair("averageValue"))
        }
        ("resource" | "containerResource", false) => {
            let share = |of| text(of, "averageUtilization").map(|share| format!("{share}%"));
            let current = share(current).unwrap_or_else(|| "<unknown>".into());
            let target = share(target).unwrap_or_else(|| "<auto>".into());
            format!("{}: {current}/{target}", metric.text(&[field, "name"]))
        }
        ("pods", _) => pair("averageValue"),
        (_, true) => format!("{} (avg)", pair("averageValue")),
        (_, false) => pair("value"),
    }
}
