//! By which names and addresses others reach a node. By default nobody but this machine does.

use serde::{Deserialize, Serialize};

use crate::Cidr;

/// How a node is known and reached from outside of its machine.
///
/// Each setting has the meaning of a Kubernetes one; left out, the node stays on loopback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Reach {
    /// Name of the node, the kubelet's `--hostname-override`; `curtain-<instance>` where none is given.
    pub node_name: Option<String>,
    /// Further host names of the API server: its certificate holds them, as kubeadm's `certSANs`.
    pub api_names: Vec<String>,
    /// Node ports are served on those of the machine's addresses that lie in one of these ranges, as with kube-proxy's
    /// `nodePortAddresses`; `0.0.0.0/0` is every address, also one that the machine gets later.
    pub node_port_addresses: Vec<Cidr>,
}

impl Default for Reach {
    fn default() -> Self {
        Self {
            node_name: None,
            api_names: Vec::new(),
            node_port_addresses: vec![Cidr::new([127, 0, 0, 0].into(), 8)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_stays_on_loopback() {
        let reach: Reach = serde_json::from_str("{}").unwrap();
        assert_eq!(reach, Reach::default());
        assert_eq!(reach.node_port_addresses, ["127.0.0.0/8".parse().unwrap()]);
        let text = r#"{"nodeName":"a","apiNames":["b"],"nodePortAddresses":["0.0.0.0/0"]}"#;
        let reach: Reach = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&reach).unwrap(), text);
    }
}
