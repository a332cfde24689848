//! `scheduling.k8s.io`: how important pods are.

use curtain_schema::FieldError;
use serde_json::{Value, json};

use super::builtin::{CLUSTER, Line};
use super::columns::{Printer, count, name, old};
use super::meta::immutable;
use super::template::one_of;
use super::{Admission, Kept, Strategy, ValueExt};
use crate::apiserver::Api;
use crate::apiserver::admission::Operation;
use crate::apiserver::status::ApiError;
use crate::apiserver::store::{Key, Object};

pub(super) const GROUP: &str = "scheduling.k8s.io";
const TABLE: &str = "scheduling.k8s.io/priorityclasses";

pub(super) const KINDS: &[Line] = &[Line {
    kind: "PriorityClass",
    plural: "priorityclasses",
    short: &["pc"],
    strategy: PRIORITY_CLASS,
    columns: COLUMNS,
    generation: true,
    ..CLUSTER
}];

const PRIORITY_CLASS: Strategy = Strategy {
    default,
    validate,
    admit: Some(admit),
    kept: Kept {
        names: &[SYSTEM[0].0, SYSTEM[1].0],
        why: "this is a system priority class and cannot be deleted",
    },
    ..Strategy::PLAIN
};

/// Name, value and description of the classes that every cluster has.
const SYSTEM: [(&str, i64, &str); 2] = [
    (
        "system-cluster-critical",
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
    (
        "system-node-critical",
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
];
/// Whoever is above is of the system.
const HIGHEST: i64 = 1_000_000_000;
/// What pods are without a class.
const PREEMPTS: &str = "PreemptLowerPriority";

/// The classes that every cluster has.
pub(crate) fn system_classes() -> impl Iterator<Item = Value> {
    SYSTEM.iter().map(|(name, value, description)| {
        json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
            "metadata": {"name": name}, "value": value, "description": description})
    })
}

fn default(class: &mut Value) {
    class.default_to("value", 0);
    class.default_to("preemptionPolicy", PREEMPTS);
}

fn validate(class: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let (name, value) = (class.text(&["metadata", "name"]), count(class, &["value"]));
    if name.starts_with("system-") {
        let wrong = match SYSTEM.iter().find(|known| known.0 == name) {
            None => Some(format!("{name} is not a known system priority class")),
            Some((_, known, _)) if *known != value => {
                Some(format!("value of {name} PriorityClass must be {known}"))
            }
            Some(_) if class["globalDefault"] == true => {
                Some(format!("globalDefault of {name} PriorityClass must be false"))
            }
            Some(_) => None,
        };
        if let Some(wrong) = wrong {
            let why = format!(
                "priority class names with 'system-' prefix are reserved for system use only. error: {wrong}"
            );
            errors.push(FieldError::forbidden("metadata.name", why));
        }
    } else if value > HIGHEST {
        let why = format!("maximum allowed value of a user defined priority is {HIGHEST}");
        errors.push(FieldError::forbidden("value", why));
    }
    one_of(class, "preemptionPolicy", &["Never", PREEMPTS], "preemptionPolicy", errors);
    if let Some(old) = old {
        if count(old, &["value"]) != value {
            errors.push(FieldError::forbidden("value", "may not be changed in an update."));
        }
        let policy = class.at(&["preemptionPolicy"]);
        if old.at(&["preemptionPolicy"]) != policy {
            errors.push(immutable("preemptionPolicy", policy));
        }
    }
}

/// Of all classes one at most is for pods that name none.
fn admit(admission: &Admission<'_>, class: &mut Value, _: Option<&Value>) -> Result<(), ApiError> {
    let name = class.text(&["metadata", "name"]);
    if class["globalDefault"] == true
        && let Some(other) = for_all(admission.api).filter(|other| {
            admission.operation == Operation::Create || other.text(&["metadata", "name"]) != name
        })
    {
        let other = other.text(&["metadata", "name"]);
        let why = format!(
            "PriorityClass {other} is already marked as default. Only one default can exist"
        );
        return Err(ApiError::forbidden(admission.resource.qualified(), name, &why));
    }
    Ok(())
}

/// The class of pods that name none. Two that were made at the same time: the lower one.
fn for_all(api: &Api) -> Option<Value> {
    let all = api.store.list(&TABLE.into(), None).objects.into_iter();
    let marked = |class: &std::sync::Arc<Object>| class.mentions("\"globalDefault\":true");
    all.filter(marked)
        .map(|class| class.value())
        .filter(|class| class["globalDefault"] == true)
        .min_by_key(|class| count(class, &["value"]))
}

/// Gives a new pod the priority of its class.
pub(super) fn prioritize(admission: &Admission<'_>, pod: &mut Value) -> Result<(), ApiError> {
    let name = pod.text(&["spec", "priorityClassName"]);
    let class = if name.is_empty() {
        for_all(admission.api)
    } else {
        let found = admission.api.store.latest(&TABLE.into(), &Key::new("", name));
        let Some(found) = found else {
            let why = format!("no PriorityClass with name {name} was found");
            return Err(refused(admission, pod, &why));
        };
        Some(found.value())
    };
    let value = class.as_ref().map_or(0, |class| count(class, &["value"]));
    let policy = class.as_ref().map(|class| class.text(&["preemptionPolicy"]).to_owned());
    let policy = policy.filter(|policy| !policy.is_empty()).unwrap_or_else(|| PREEMPTS.into());
    if let Some(given) = pod.int(&["spec", "priority"]).filter(|given| *given != value) {
        let why = format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller computed {value} from the given PriorityClass name"
        );
        return Err(refused(admission, pod, &why));
    }
    let given = pod.text(&["spec", "preemptionPolicy"]);
    if !given.is_empty() && given != policy {
        let why = format!(
            "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority admission controller computed {policy} from the given PriorityClass name"
        );
        return Err(refused(admission, pod, &why));
    }
    let spec = pod.sub("spec");
    if let Some(class) = class {
        spec["priorityClassName"] = class["metadata"]["name"].clone();
    }
    spec["priority"] = value.into();
    spec["preemptionPolicy"] = policy.into();
    Ok(())
}

fn refused(admission: &Admission<'_>, pod: &Value, why: &str) -> ApiError {
    ApiError::forbidden(admission.resource.qualified(), pod.text(&["metadata", "name"]), why)
}

const COLUMNS: Printer = Printer(
    &[
        ("Name", "string", 0),
        ("Value", "integer", 0),
        ("Global-Default", "boolean", 0),
        ("Age", "string", 0),
        ("PreemptionPolicy", "string", 0),
    ],
    |o, now| {
        vec![
            name(o),
            count(o, &["value"]).into(),
            (o["globalDefault"] == true).into(),
            old(o, now),
            o.text(&["preemptionPolicy"]).into(),
        ]
    },
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named_where_it_is() {
        let errors = |name: &str, class: Value, old: Option<Value>| {
            let mut class = class;
            class["metadata"] = json!({"name": name});
            default(&mut class);
            let mut errors = Vec::new();
            validate(&class, old.as_ref(), &mut errors);
            errors.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        for class in system_classes() {
            let name = class.text(&["metadata", "name"]).to_owned();
            assert_eq!(errors(&name, class, None), Vec::<String>::new());
        }
        let system = "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: ";
        for (name, class, expected) in [
            ("system-x", json!({}), format!("{system}system-x is not a known system priority class")),
            (
                "system-node-critical",
                json!({"value": 1}),
                format!("{system}value of system-node-critical PriorityClass must be 2000001000"),
            ),
            (
                "high",
                json!({"value": 1_000_000_001}),
                "value: Forbidden: maximum allowed value of a user defined priority is 1000000000".into(),
            ),
            (
                "high",
                json!({"preemptionPolicy": "Always"}),
                "preemptionPolicy: Unsupported value: \"Always\": supported values: \"Never\", \"PreemptLowerPriority\"".into(),
            ),
        ] {
            assert_eq!(errors(name, class, None), [expected]);
        }
        let changed = errors(
            "high",
            json!({"value": 2, "preemptionPolicy": "Never"}),
            Some(json!({"value": 1, "preemptionPolicy": PREEMPTS})),
        );
        assert_eq!(
            changed,
            [
                "value: Forbidden: may not be changed in an update.",
                "preemptionPolicy: Invalid value: \"Never\": field is immutable"
            ]
        );
    }
}
