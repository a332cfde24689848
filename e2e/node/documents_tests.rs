#![allow(clippy::unwrap_used)]

use super::*;

const FILE: &str = r#"
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.36.4
clusterName: one
controlPlaneEndpoint: one-control-plane:6443
apiServer:
  certSANs: [localhost, "127.0.0.1"]
  extraArgs: [{name: runtime-config, value: ""}]
networking: {podSubnet: 10.244.0.0/16, serviceSubnet: 10.96.0.0/16}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
bootstrapTokens: [{token: abcdef.0123456789abcdef}]
localAPIEndpoint: {advertiseAddress: 172.18.0.2, bindPort: 6443}
nodeRegistration:
  criSocket: unix:///run/containerd/containerd.sock
  kubeletExtraArgs: [{name: node-ip, value: 172.18.0.2}]
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
nodeRegistration: {criSocket: "unix:///run/containerd/containerd.sock"}
discovery:
  bootstrapToken: {apiServerEndpoint: "one-control-plane:6443", token: abcdef.0123456789abcdef, caCertHashes: ["sha256:00"]}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
"#;

#[test]
fn a_configuration_of_kubeadm_says_what_the_cluster_is() {
    let documents = Documents::parse(FILE, "v1.36.4").unwrap();
    let init = documents.init("one-control-plane", "v1.36.4").unwrap();
    assert_eq!(init.endpoint, "one-control-plane:6443");
    assert_eq!(init.api_names, ["localhost", "one-control-plane", "one-control-plane"]);
    assert_eq!(init.node_port_addresses, ["0.0.0.0/0"]);
    assert_eq!(init.tokens, ["abcdef.0123456789abcdef"]);
    assert!(init.tainted);
    let join = documents.join("one-worker").unwrap();
    assert_eq!(join.authorities.unwrap(), ["sha256:00"]);
    assert_eq!((&*join.node_name, host(&join.endpoint)), ("one-worker", "one-control-plane"));
}

#[test]
fn what_kubeadm_refuses_is_refused() {
    let unpinned = Documents::parse(&FILE.replace("caCertHashes", "other"), "v1.36.4").unwrap();
    assert!(unpinned.join("one-worker").unwrap_err().contains("caCertHashes"));
    let refused = |text: &str, version: &str| {
        let documents = Documents::parse(text, version);
        documents.and_then(|all| all.init("one-control-plane", version)).unwrap_err()
    };
    let another = refused(FILE, "v1.35.0");
    assert!(another.contains("the configuration v1.36.4"), "{another}");
    let old = FILE.replace("v1beta4", "v1beta3");
    let shape = refused(&old, "v1.36.4");
    assert!(shape.contains("a map of name and value expected"), "{shape}");
    let gone = refused(&old, "v1.37.0");
    assert!(gone.contains("1.37 does not know ClusterConfiguration"), "{gone}");
    let early = refused(FILE, "v1.30.2");
    assert!(early.contains("v1beta4"), "{early}");
    let proxy = refused(&FILE.replace("KubeProxyConf", "KubeConf"), "v1.36.4");
    assert!(proxy.contains("KubeConfiguration"), "{proxy}");
    let socket = refused(&FILE.replace("/run/containerd/", "/run/other/"), "v1.36.4");
    assert!(socket.contains("no container runtime answers"), "{socket}");
}
