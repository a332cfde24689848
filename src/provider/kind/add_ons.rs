//! What a node image brings for its cluster: the pod network and the default storage class.

use serde_json::{Value, json};

use super::{container::API_PORT, engine::Engine, kubeadm::POD_SUBNET, names};
use crate::{ClusterSpec, Error};

/// In a node image: the pod network.
const NETWORK: &str = "/kind/manifests/default-cni.yaml";
/// In a node image: the storage class.
const STORAGE: &str = "/kind/manifests/default-storage.yaml";
/// In the control plane: both are applied.
const DONE: &str = "/kind/dev.curtain.add-ons";

/// Applies both, with the node's own kubectl, which fits its Kubernetes.
pub(crate) async fn ensure(engine: &Engine, spec: &ClusterSpec) -> Result<(), Error> {
    let node = names::control_plane(spec);
    let network = engine.run(&node, &["cat", NETWORK]).await?;
    let network = filled(&network, &node).map_err(|why| Error::NodeFile {
        node: node.clone(),
        path: NETWORK,
        why,
    })?;
    let storage = engine.run(&node, &["cat", STORAGE]).await?;
    for manifests in [network, storage] {
        let apply = [
            "kubectl",
            "--kubeconfig=/etc/kubernetes/admin.conf",
            "apply",
            "--server-side",
            "--force-conflicts",
            "-f",
            "-",
        ];
        engine.feed(&node, &apply, &manifests).await?;
    }
    engine.run(&node, &["touch", DONE]).await.map(drop)
}

/// Whether both were applied.
pub(crate) async fn hold(engine: &Engine, spec: &ClusterSpec) -> bool {
    let test = ["test", "-f", DONE];
    let output = engine.exec(&names::control_plane(spec), &test, None, &|_| {}).await;
    output.is_ok_and(|output| output.code == 0)
}

/// The manifests of the pod network, with what they ask for: the range of pods, and where the API is before the
/// network's own Service is.
fn filled(manifests: &str, node: &str) -> Result<String, String> {
    let text =
        manifests.replace("{{ .PodSubnet }}", POD_SUBNET).replace("{{.PodSubnet}}", POD_SUBNET);
    if text.contains("{{") {
        return Err("it asks for more than the range of the pods".to_owned());
    }
    if !manifests.contains("would you kindly patch this file") {
        return Ok(text);
    }
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(&text).map_err(|error| error.to_string())?;
    let mut filled = String::new();
    for mut document in documents {
        if document["kind"] == "DaemonSet" {
            let variable =
                json!({ "name": "CONTROL_PLANE_ENDPOINT", "value": format!("{node}:{API_PORT}") });
            match &mut document["spec"]["template"]["spec"]["containers"][0]["env"] {
                Value::Array(env) => env.push(variable),
                env => *env = json!([variable]),
            }
        }
        filled.push_str(&format!("---\n{document:#}\n"));
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pod_network_gets_what_it_asks_for() {
        let text = "# would you kindly template this file\n# would you kindly patch this file\n\
            ---\nkind: DaemonSet\nspec:\n  template:\n    spec:\n      containers:\n      \
            - env:\n        - {name: POD_SUBNET, value: '{{ .PodSubnet }}'}\n---\nkind: Role\n";
        let filled = filled(text, "c-control-plane").unwrap();
        assert!(filled.contains(r#""value": "10.244.0.0/16""#), "{filled}");
        assert!(filled.contains(r#""value": "c-control-plane:6443""#), "{filled}");
        assert!(filled.contains("Role"), "{filled}");
    }

    #[test]
    fn a_manifest_that_asks_for_nothing_stays_as_it_is() {
        assert_eq!(filled("kind: X\n", "n").unwrap(), "kind: X\n");
        assert!(filled("a: '{{ .Other }}'", "n").unwrap_err().contains("more"));
    }
}
