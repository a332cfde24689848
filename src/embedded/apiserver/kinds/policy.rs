//! `policy`: how many pods may be away at a time.

use curtain_schema::FieldError;
use serde_json::{Value, json};

use super::builtin::{Line, PLAIN};
use super::columns::{Printer, count, name, old as age};
use super::{Strategy, ValueExt, check};

pub(super) const KINDS: &[Line] = &[Line {
    kind: "PodDisruptionBudget",
    plural: "poddisruptionbudgets",
    short: &["pdb"],
    strategy: DISRUPTION_BUDGET,
    columns: COLUMNS,
    status: true,
    generation: true,
    ..PLAIN
}];

const DISRUPTION_BUDGET: Strategy = Strategy { prepare, validate, ..Strategy::PLAIN };

fn prepare(budget: &mut Value, old: Option<&Value>) {
    if old.is_none() {
        budget["status"] = json!({"disruptionsAllowed": 0, "currentHealthy": 0,
            "desiredHealthy": 0, "expectedPods": 0});
    }
}

fn validate(budget: &Value, _: Option<&Value>, errors: &mut Vec<FieldError>) {
    let Some(spec) = budget.at(&["spec"]) else { return };
    if spec.at(&["minAvailable"]).is_some() && spec.at(&["maxUnavailable"]).is_some() {
        let why = "minAvailable and maxUnavailable cannot be both set";
        errors.push(FieldError::invalid("spec", spec.clone(), why));
    }
    for field in ["minAvailable", "maxUnavailable"] {
        check::int_or_share(spec, "spec", field, errors);
    }
    if let Some(selector) = spec.at(&["selector"]) {
        check::selector(selector, "spec.selector", errors);
    }
    let policies = ["AlwaysAllow", "IfHealthyBudget"];
    if let Some(policy) = spec.at(&["unhealthyPodEvictionPolicy"])
        && !policies.iter().any(|known| policy == known)
    {
        let path = "spec.unhealthyPodEvictionPolicy";
        errors.push(FieldError::not_supported(path, policy.clone(), &policies));
    }
    let counts = ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"];
    for field in counts {
        check::non_negative(&budget["status"], "status", field, errors);
    }
}

const COLUMNS: Printer = Printer(
    &[
        ("Name", "string", 0),
        ("Min Available", "string", 0),
        ("Max Unavailable", "string", 0),
        ("Allowed Disruptions", "integer", 0),
        ("Age", "string", 0),
    ],
    |o, now| {
        let share = |field: &str| match o.at(&["spec", field]) {
            None => "N/A".into(),
            Some(Value::String(text)) => text.as_str().into(),
            Some(number) => number.to_string().into(),
        };
        vec![
            name(o),
            share("minAvailable"),
            share("maxUnavailable"),
            count(o, &["status", "disruptionsAllowed"]).into(),
            age(o, now),
        ]
    },
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named_where_it_is() {
        for (spec, expected) in [
            (
                json!({"minAvailable": 1, "maxUnavailable": "50%"}),
                "spec: Invalid value: {\"maxUnavailable\":\"50%\",\"minAvailable\":1}: minAvailable and maxUnavailable cannot be both set",
            ),
            (
                json!({"minAvailable": -1}),
                "spec.minAvailable: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                json!({"maxUnavailable": "101%"}),
                "spec.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%",
            ),
            (
                json!({"unhealthyPodEvictionPolicy": "Never"}),
                "spec.unhealthyPodEvictionPolicy: Unsupported value: \"Never\": supported values: \"AlwaysAllow\", \"IfHealthyBudget\"",
            ),
        ] {
            let mut errors = Vec::new();
            validate(&json!({"spec": spec}), None, &mut errors);
            assert_eq!(errors.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
        }
    }

    #[test]
    fn budgets_print_as_kubectl_prints_them() {
        let budget = json!({"metadata": {"name": "web"}, "spec": {"minAvailable": "50%"},
            "status": {"disruptionsAllowed": 1}});
        let cells = (COLUMNS.1)(&budget, jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(json!(cells[..4]), json!(["web", "50%", "N/A", 1]));
    }
}
