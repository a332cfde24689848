//! Ports of the host that pods ask for: what the scheduler keeps apart, and the node listens on.

use std::net::{IpAddr, Ipv4Addr};

use k8s_openapi::api::core::v1::PodSpec;

/// A port of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostPort {
    /// The address; unspecified where the pod names none.
    pub(crate) ip: IpAddr,
    /// `TCP`, `UDP` or `SCTP`.
    pub(crate) protocol: String,
    pub(crate) port: u16,
    /// Where it leads to in the pod.
    pub(crate) container_port: u16,
}

impl HostPort {
    /// Whether nobody can have both.
    pub(crate) fn conflicts(&self, other: &Self) -> bool {
        let all = |one: &Self| one.ip.is_unspecified();
        self.port == other.port
            && self.protocol == other.protocol
            && (self.ip == other.ip || all(self) || all(other))
    }
}

/// The ports of the host that a pod asks for, those of its sidecars among them.
pub(crate) fn of(spec: &PodSpec) -> Vec<HostPort> {
    let sidecars = spec.init_containers.iter().flatten();
    let sidecars = sidecars.filter(|one| one.restart_policy.as_deref() == Some("Always"));
    let ports = sidecars.chain(&spec.containers).flat_map(|one| one.ports.iter().flatten());
    let number = |port: i32| u16::try_from(port).ok().filter(|port| *port != 0);
    ports
        .filter_map(|port| {
            let ip = port.host_ip.as_deref().filter(|ip| !ip.is_empty());
            Some(HostPort {
                ip: ip.map_or(Some(Ipv4Addr::UNSPECIFIED.into()), |ip| ip.parse().ok())?,
                protocol: port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()),
                port: number(port.host_port?)?,
                container_port: number(port.container_port)?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn two_have_no_port_of_the_host() {
        let of = |ports: serde_json::Value| {
            let container = json!({"name": "c", "ports": ports});
            let init = json!([{"name": "a", "ports": [{"containerPort": 1, "hostPort": 9}]},
                {"name": "b", "restartPolicy": "Always", "ports": [{"containerPort": 1, "hostPort": 8}]}]);
            let spec = json!({"initContainers": init, "containers": [container]});
            of(&serde_json::from_value(spec).unwrap())
        };
        let side = of(json!([{"containerPort": 80}]));
        assert_eq!(side.iter().map(|one| one.port).collect::<Vec<_>>(), [8], "it runs on");
        let one = |ip: &str, protocol: &str, port: u16| {
            let port = json!([{"containerPort": 80, "hostPort": port, "protocol": protocol, "hostIP": ip}]);
            of(port).remove(1)
        };
        let any = one("", "TCP", 80);
        assert_eq!((any.ip, any.container_port), (Ipv4Addr::UNSPECIFIED.into(), 80));
        let loopback = one("127.0.0.1", "TCP", 80);
        assert!(any.conflicts(&loopback) && loopback.conflicts(&any));
        for other in
            [one("127.0.0.2", "TCP", 80), one("127.0.0.1", "UDP", 80), one("127.0.0.1", "TCP", 81)]
        {
            assert!(!loopback.conflicts(&other), "{other:?}");
        }
    }
}
