//! What pods ask for, summed over their containers as a scheduler does.

use std::collections::BTreeMap;

use serde_json::Value;

use super::kinds::ValueExt;
use crate::quantity::Quantity;

/// Amounts of resources by name.
pub(super) type Amounts = BTreeMap<String, Quantity>;

/// The amounts in an object of quantities, such as `resources.requests`.
pub(super) fn amounts(value: Option<&Value>) -> Amounts {
    let entries = value.and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(name, amount)| Some((name.clone(), Quantity::of(amount)?))).collect()
}

/// Adds to what is there.
pub(super) fn add(all: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let sum = all.get(name).copied().unwrap_or(Quantity::ZERO) + *amount;
        all.insert(name.clone(), sum);
    }
}

fn raise(all: &mut Amounts, to: &Amounts) {
    for (name, amount) in to {
        if all.get(name).is_none_or(|known| known < amount) {
            all.insert(name.clone(), *amount);
        }
    }
}

/// What the pod needs at most at any time. `side` is `requests` or `limits`.
///
/// Containers and sidecars run together; each init container runs beside the sidecars before it.
pub(super) fn of_pod(pod: &Value, side: &str) -> Amounts {
    let of = |container: &Value| amounts(container.at(&["resources", side]));
    let (mut sidecars, mut most) = (Amounts::new(), Amounts::new());
    for container in pod.list(&["spec", "initContainers"]) {
        let mut beside = sidecars.clone();
        add(&mut beside, &of(container));
        raise(&mut most, &beside);
        if container["restartPolicy"] == "Always" {
            sidecars = beside;
        }
    }
    let mut together = sidecars;
    for container in pod.list(&["spec", "containers"]) {
        add(&mut together, &of(container));
    }
    raise(&mut together, &most);
    let mut overhead = amounts(pod.at(&["spec", "overhead"]));
    if side == "limits" {
        overhead.retain(|name, _| together.contains_key(name));
    }
    add(&mut together, &overhead);
    together
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_needs_what_runs_at_the_same_time() {
        let container = |cpu: &str, restarts: &str| json!({"restartPolicy": restarts, "resources": {"requests": {"cpu": cpu}}});
        let cpu = |init: Value, containers: Value| {
            let pod = json!({"spec": {"initContainers": init, "containers": containers, "overhead": {"cpu": "1m"}}});
            assert!(of_pod(&pod, "limits").is_empty());
            of_pod(&pod, "requests")["cpu"].to_string()
        };
        let two = json!([container("100m", ""), container("200m", "")]);
        assert_eq!(cpu(json!([]), two.clone()), "301m");
        assert_eq!(cpu(json!([container("1", "")]), two.clone()), "1001m");
        assert_eq!(cpu(json!([container("50m", "Always")]), two.clone()), "351m");
        let after = json!([container("50m", "Always"), container("500m", "")]);
        assert_eq!(cpu(after, two), "551m");
    }
}
