//! What a pod asks a node for: amounts of resources and ports of the node.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;

use crate::host_port::{self, HostPort};
use crate::quantity::Quantity;

/// Amounts of resources by name.
pub(super) type Amounts = BTreeMap<String, Quantity>;

/// What a pod takes of a node while it is there.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Needs {
    pub(super) amounts: Amounts,
    pub(super) ports: Vec<HostPort>,
}

impl Needs {
    pub(super) fn of(spec: &PodSpec) -> Self {
        Self { amounts: amounts_of(spec), ports: host_port::of(spec) }
    }
}

/// Quantities as numbers. What is none is left out.
pub(super) fn read(texts: Option<&BTreeMap<String, Text>>) -> Amounts {
    let entries = texts.into_iter().flatten();
    entries.filter_map(|(name, text)| Some((name.clone(), Quantity::parse(&text.0)?))).collect()
}

/// Adds to what is there.
pub(super) fn add(all: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let sum = all.get(name).copied().unwrap_or(Quantity::ZERO) + *amount;
        all.insert(name.clone(), sum);
    }
}

/// Takes away from what is there.
pub(super) fn subtract(all: &mut Amounts, less: &Amounts) {
    for (name, amount) in less {
        let left = all.get(name).copied().unwrap_or(Quantity::ZERO).less(*amount);
        if left.is_zero() {
            all.remove(name);
        } else {
            all.insert(name.clone(), left);
        }
    }
}

fn raise(all: &mut Amounts, to: &Amounts) {
    for (name, amount) in to {
        if all.get(name).is_none_or(|known| known < amount) {
            all.insert(name.clone(), *amount);
        }
    }
}

fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// What the pod needs at most at any time.
///
/// Containers and sidecars run together; each init container runs beside the sidecars before it. What is asked for the
/// pod as a whole stands instead of that sum.
fn amounts_of(spec: &PodSpec) -> Amounts {
    let of = |container: &Container| {
        read(container.resources.as_ref().and_then(|resources| resources.requests.as_ref()))
    };
    let (mut sidecars, mut most) = (Amounts::new(), Amounts::new());
    for container in spec.init_containers.iter().flatten() {
        let mut beside = sidecars.clone();
        add(&mut beside, &of(container));
        raise(&mut most, &beside);
        if is_sidecar(container) {
            sidecars = beside;
        }
    }
    let mut together = sidecars;
    for container in &spec.containers {
        add(&mut together, &of(container));
    }
    raise(&mut together, &most);
    let whole = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    let of_pods = |name: &str| matches!(name, "cpu" | "memory") || name.starts_with("hugepages-");
    together.extend(read(whole).into_iter().filter(|(name, _)| of_pods(name)));
    add(&mut together, &read(spec.overhead.as_ref()));
    together
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn needs(spec: Value) -> Needs {
        Needs::of(&serde_json::from_value(spec).expect("a PodSpec"))
    }

    #[test]
    fn a_pod_needs_what_runs_at_the_same_time() {
        let container = |cpu: &str, restarts: Value| json!({"name": "c", "restartPolicy": restarts, "resources": {"requests": {"cpu": cpu}}});
        let cpu = |init: Value, whole: Value| {
            let two = json!([container("100m", Value::Null), container("200m", Value::Null)]);
            needs(json!({"initContainers": init, "containers": two, "overhead": {"cpu": "1m"},
                "resources": {"requests": whole}}))
            .amounts["cpu"]
                .to_string()
        };
        let once = |cpu: &str| container(cpu, Value::Null);
        let sidecar = |cpu: &str| container(cpu, json!("Always"));
        for (init, whole, expected) in [
            (json!([]), json!({}), "301m"),
            (json!([once("1")]), json!({}), "1001m"),
            (json!([once("1"), once("2")]), json!({}), "2001m"),
            (json!([sidecar("50m")]), json!({}), "351m"),
            (json!([sidecar("50m"), once("500m")]), json!({}), "551m"),
            (json!([once("500m"), sidecar("50m")]), json!({}), "501m"),
            (json!([]), json!({"cpu": "2", "memory": "1Gi"}), "2001m"),
            (json!([]), json!({"ephemeral-storage": "1Gi"}), "301m"),
        ] {
            assert_eq!(cpu(init.clone(), whole.clone()), expected, "{init} {whole}");
        }
        let whole = needs(json!({"containers": [], "resources": {"requests":
            {"memory": "1Gi", "ephemeral-storage": "1Gi", "hugepages-2Mi": "2Mi"}}}));
        assert_eq!(whole.amounts.keys().collect::<Vec<_>>(), ["hugepages-2Mi", "memory"]);
    }

    #[test]
    fn sums_are_exact_and_what_is_nothing_is_gone() {
        let some =
            |cpu: &str| Amounts::from([("cpu".to_owned(), Quantity::parse(cpu).expect("one"))]);
        let mut all = Amounts::new();
        add(&mut all, &some("100m"));
        add(&mut all, &some("0.3"));
        subtract(&mut all, &some("100m"));
        assert_eq!(all["cpu"].to_string(), "300m");
        subtract(&mut all, &some("300m"));
        assert!(all.is_empty());
    }
}
