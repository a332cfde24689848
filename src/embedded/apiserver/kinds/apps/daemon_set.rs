//! DaemonSets.

use curtain_schema::FieldError;
use serde_json::Value;

use super::super::columns::{
    Printer, container_columns, count, name, old as age, or_none, selector,
};
use super::super::{Strategy, ValueExt, check};
use super::workload;

pub(super) const DAEMON_SET: Strategy = Strategy { default, prepare, validate, ..Strategy::PLAIN };

fn default(object: &mut Value) {
    workload::default_template(object);
    let spec = object.sub("spec");
    spec.default_to("revisionHistoryLimit", 10);
    let strategy = spec.sub("updateStrategy");
    strategy.default_to("type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        let rolling = strategy.sub("rollingUpdate");
        rolling.default_to("maxUnavailable", 1);
        rolling.default_to("maxSurge", 0);
    }
}

fn prepare(object: &mut Value, old: Option<&Value>) {
    if old.is_none() {
        let numbers = [
            "currentNumberScheduled",
            "desiredNumberScheduled",
            "numberMisscheduled",
            "numberReady",
        ];
        workload::begin(object, &numbers);
    }
}

fn validate(object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    workload::validate_selector(object, "daemonset", errors);
    workload::validate_template(object, errors);
    workload::validate_always(object, "DaemonSet", errors);
    check::non_negative(&object["spec"], "spec", "minReadySeconds", errors);
    validate_strategy(&object["spec"]["updateStrategy"], errors);
    check::non_negative(&object["spec"], "spec", "revisionHistoryLimit", errors);
    workload::validate_same_selector(object, old, errors);
}

fn validate_strategy(strategy: &Value, errors: &mut Vec<FieldError>) {
    const AT: &str = "spec.updateStrategy.rollingUpdate";
    match strategy.text(&["type"]) {
        "OnDelete" => {}
        "RollingUpdate" => {
            let rolling = &strategy["rollingUpdate"];
            check::int_or_share(rolling, AT, "maxUnavailable", errors);
            check::int_or_share(rolling, AT, "maxSurge", errors);
            let [unavailable, surge] =
                ["maxUnavailable", "maxSurge"].map(|field| check::amount(rolling, field) != 0);
            if unavailable && surge {
                let why = "may not be set when maxUnavailable is non-zero";
                let value = rolling["maxSurge"].clone();
                errors.push(FieldError::invalid(format!("{AT}.maxSurge"), value, why));
            } else if !unavailable && !surge {
                let why = "cannot be 0 when maxSurge is 0";
                errors.push(FieldError::required(format!("{AT}.maxUnavailable"), why));
            }
        }
        _ => errors.push(FieldError::not_supported(
            "spec.updateStrategy",
            strategy.clone(),
            &["RollingUpdate", "OnDelete"],
        )),
    }
}

pub(super) const COLUMNS: Printer = Printer(
    &[
        ("Name", "string", 0),
        ("Desired", "integer", 0),
        ("Current", "integer", 0),
        ("Ready", "integer", 0),
        ("Up-to-date", "integer", 0),
        ("Available", "integer", 0),
        ("Node Selector", "string", 0),
        ("Age", "string", 0),
        ("Containers", "string", 1),
        ("Images", "string", 1),
        ("Selector", "string", 1),
    ],
    |o, now| {
        let status = |field: &str| count(o, &["status", field]).into();
        let pods = &o["spec"]["template"]["spec"];
        let labels = pods.at(&["nodeSelector"]).and_then(Value::as_object).into_iter().flatten();
        let nodes: Vec<_> =
            labels.map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect();
        let [containers, images] = container_columns(pods);
        vec![
            name(o),
            status("desiredNumberScheduled"),
            status("currentNumberScheduled"),
            status("numberReady"),
            status("updatedNumberScheduled"),
            status("numberAvailable"),
            or_none(&nodes.join(",")),
            age(o, now),
            containers,
            images,
            selector(o.at(&["spec", "selector"])),
        ]
    },
);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(strategy: Value) -> Value {
        let mut set = json!({"metadata": {"name": "agent"}, "spec": {"selector": {"matchLabels": {"a": "b"}},
            "updateStrategy": strategy,
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}}});
        default(&mut set);
        set
    }

    fn errors(set: &Value, old: Option<&Value>) -> Vec<String> {
        let mut errors = Vec::new();
        validate(set, old, &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn strategies_are_defaulted_and_checked() {
        let rolling = set(Value::Null);
        assert_eq!(
            rolling["spec"]["updateStrategy"],
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}})
        );
        let rolling = |unavailable: Value, surge: Value| json!({"rollingUpdate": {"maxUnavailable": unavailable, "maxSurge": surge}});
        const AT: &str = "spec.updateStrategy.rollingUpdate";
        for (strategy, expected) in [
            (json!({"type": "OnDelete"}), None),
            (rolling(json!("10%"), json!(0)), None),
            (
                rolling(json!(1), json!(1)),
                Some("maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero"),
            ),
            (
                rolling(json!(0), json!("0%")),
                Some("maxUnavailable: Required value: cannot be 0 when maxSurge is 0"),
            ),
            (
                rolling(json!("101%"), json!(0)),
                Some("maxUnavailable: Invalid value: \"101%\": must not be greater than 100%"),
            ),
        ] {
            let expected: Vec<_> = expected.iter().map(|why| format!("{AT}.{why}")).collect();
            assert_eq!(errors(&set(strategy), None), expected);
        }
        let odd = errors(&set(json!({"type": "Odd"})), None);
        assert_eq!(
            odd,
            [
                "spec.updateStrategy: Unsupported value: {\"type\":\"Odd\"}: supported values: \"RollingUpdate\", \"OnDelete\""
            ]
        );
    }

    #[test]
    fn whom_it_selects_stays() {
        let old = set(Value::Null);
        let mut new = old.clone();
        new["spec"]["selector"]["matchLabels"] = json!({"c": "d"});
        new["spec"]["template"]["metadata"]["labels"] = json!({"c": "d"});
        let found = errors(&new, Some(&old));
        assert!(found.len() == 1 && found[0].ends_with("field is immutable"), "{found:?}");
        new["spec"]["selector"] = json!({});
        let found = errors(&new, None);
        assert_eq!(
            found,
            ["spec.selector: Invalid value: {}: empty selector is invalid for daemonset"]
        );
    }
}
