//! What kubeadm is told, by version of Kubernetes.
//!
//! Source: the reference of kubeadm's configuration, v1beta3 (Kubernetes 1.22 to 1.30) and v1beta4 (from 1.31), and of
//! the configurations of the kubelet and kube-proxy.

use std::{fmt, str::FromStr};

use serde_json::{Value, json};

use super::container::API_PORT;

/// Range of the pods' addresses.
pub(crate) const POD_SUBNET: &str = "10.244.0.0/16";
/// Range of the Services' addresses.
const SERVICE_SUBNET: &str = "10.96.0.0/16";
/// Where nodes have their container runtime.
const RUNTIME: &str = "unix:///run/containerd/containerd.sock";

/// A version of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    text: String,
    minor: u32,
}

/// The first minor version with kubeadm's v1beta3, and that with v1beta4.
const V1BETA3: u32 = 22;
const V1BETA4: u32 = 31;

impl FromStr for Version {
    type Err = String;

    /// Reads `v1.36.4`, as the file `/kind/version` of a node image says it.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let mut parts = text.strip_prefix('v').unwrap_or(text).split('.');
        let minor = match (parts.next(), parts.next().map(str::parse)) {
            (Some("1"), Some(Ok(minor))) if minor >= V1BETA3 => minor,
            (Some("1"), Some(Ok(minor))) => {
                return Err(format!(
                    "Kubernetes 1.{minor} is too old: a node image of 1.{V1BETA3} or later is needed"
                ));
            }
            _ => return Err(format!("{text:?} is not a version of Kubernetes")),
        };
        Ok(Self { text: text.to_owned(), minor })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What a node's configuration depends on.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// What the node image has.
    pub(crate) version: Version,
    /// The cluster's name.
    pub(crate) cluster: String,
    /// The node's name.
    pub(crate) node: String,
    /// The node's address in the network of the nodes.
    pub(crate) address: String,
    /// The control plane's name in that network.
    pub(crate) control_plane: String,
    /// Whether pods may run on the control plane because there are no other nodes.
    pub(crate) alone: bool,
    /// Whether the Engine runs without root: then some of the kernel's settings are not the node's to change.
    pub(crate) rootless: bool,
    /// Version of the machine's control groups.
    pub(crate) cgroups: u8,
}

/// How a worker finds and trusts its cluster.
#[derive(Clone)]
pub(crate) struct Join {
    /// Address of the control plane.
    pub(crate) endpoint: String,
    /// Bootstrap token.
    pub(crate) token: String,
    /// Hash of the cluster's authority.
    pub(crate) authority: String,
}

impl fmt::Debug for Join {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Join").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Join {
    /// Reads what `kubeadm token create --print-join-command` prints.
    pub(crate) fn parse(command: &str) -> Option<Self> {
        let words: Vec<&str> = command.split_whitespace().collect();
        let after = |word: &str| {
            let at = words.iter().position(|one| *one == word)?;
            words.get(at + 1).map(|value| (*value).to_owned())
        };
        Some(Self {
            endpoint: after("join")?,
            token: after("--token")?,
            authority: after("--discovery-token-ca-cert-hash")?,
        })
    }
}

impl Settings {
    /// The file for `kubeadm init`.
    pub(crate) fn init(&self) -> String {
        let mut registration = self.registration();
        if self.alone {
            registration["taints"] = json!([]);
        }
        documents(&[
            self.cluster(),
            json!({
                "apiVersion": self.api(),
                "kind": "InitConfiguration",
                "localAPIEndpoint": { "advertiseAddress": self.address, "bindPort": API_PORT },
                "nodeRegistration": registration,
            }),
            self.kubelet(),
            self.proxy(),
        ])
    }

    /// The file for `kubeadm join`.
    pub(crate) fn join(&self, join: &Join) -> String {
        documents(&[json!({
            "apiVersion": self.api(),
            "kind": "JoinConfiguration",
            "nodeRegistration": self.registration(),
            "discovery": { "bootstrapToken": {
                "apiServerEndpoint": join.endpoint,
                "token": join.token,
                "caCertHashes": [join.authority],
            } },
        })])
    }

    fn api(&self) -> &'static str {
        if self.version.minor >= V1BETA4 {
            "kubeadm.k8s.io/v1beta4"
        } else {
            "kubeadm.k8s.io/v1beta3"
        }
    }

    /// Extra arguments: a list since v1beta4, a map before.
    fn arguments(&self, arguments: &[(&str, &str)]) -> Value {
        if self.version.minor >= V1BETA4 {
            arguments.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
        } else {
            arguments.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect()
        }
    }

    fn cluster(&self) -> Value {
        json!({
            "apiVersion": self.api(),
            "kind": "ClusterConfiguration",
            "kubernetesVersion": self.version.text,
            "clusterName": self.cluster,
            "controlPlaneEndpoint": format!("{}:{API_PORT}", self.control_plane),
            // The certificate must hold where the port leads on this machine.
            "apiServer": { "certSANs": ["localhost", "127.0.0.1"] },
            "networking": { "podSubnet": POD_SUBNET, "serviceSubnet": SERVICE_SUBNET },
        })
    }

    fn registration(&self) -> Value {
        let provider = format!("kind://docker/{}/{}", self.cluster, self.node);
        json!({
            "name": self.node,
            "criSocket": RUNTIME,
            "kubeletExtraArgs":
                self.arguments(&[("node-ip", &self.address), ("provider-id", &provider)]),
        })
    }

    /// The kubelet sees the machine's disk and must not try to make room on it, and the machine may swap.
    fn kubelet(&self) -> Value {
        let mut kubelet = json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "cgroupDriver": "systemd",
            "cgroupRoot": "/kubelet",
            "failSwapOn": false,
            "imageGCHighThresholdPercent": 100,
            "evictionHard": {
                "nodefs.available": "0%",
                "nodefs.inodesFree": "0%",
                "imagefs.available": "0%",
            },
        });
        // Kubelets refuse version 1 unless they are told not to, and know that since 1.31.
        if self.cgroups == 1 && self.version.minor >= V1BETA4 {
            kubelet["failCgroupV1"] = json!(false);
        }
        if self.rootless {
            kubelet["featureGates"] = json!({ "KubeletInUserNamespace": true });
        }
        kubelet
    }

    fn proxy(&self) -> Value {
        // A limit of the whole machine is not the node's to change.
        let mut conntrack = json!({ "maxPerCore": 0 });
        if self.rootless {
            conntrack["tcpEstablishedTimeout"] = json!("0s");
            conntrack["tcpCloseWaitTimeout"] = json!("0s");
        }
        json!({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "iptables": { "minSyncPeriod": "1s" },
            "conntrack": conntrack,
        })
    }
}

/// A YAML file of several documents. JSON is YAML, and kubeadm reads it as such.
fn documents(documents: &[Value]) -> String {
    let mut text = String::new();
    for document in documents {
        text.push_str("---\n");
        text.push_str(&format!("{document:#}\n"));
    }
    text
}

#[cfg(test)]
mod tests;
