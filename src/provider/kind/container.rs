//! The container of a node, set up as kind's node images expect it.
//!
//! Source of the settings: the documentation of kind's node images and what `docker inspect` shows of kind's nodes.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigCgroupnsModeEnum, Mount, MountType,
    MountVolumeOptions, PortBinding, RestartPolicy, RestartPolicyNameEnum,
};

use super::{
    machine::Machine,
    names::{self, Node, Role},
    network::NETWORK,
};
use crate::ClusterSpec;

/// Port of the API in the node.
pub(crate) const API_PORT: u16 = 6443;

/// What the Engine is to create for `node` from `image`.
pub(crate) fn body(
    spec: &ClusterSpec,
    node: &Node,
    image: &str,
    machine: &Machine,
) -> ContainerCreateBody {
    let mut labels = names::owned(spec);
    labels.insert(names::CLUSTER.to_owned(), names::cluster(spec));
    labels.insert(names::ROLE.to_owned(), node.role.label().to_owned());
    let ports = match node.role {
        Role::ControlPlane => ports(spec),
        Role::Worker => Vec::new(),
    };
    let env = match node.role {
        // `kubectl` in the node is the administrator, for people who look around in it.
        Role::ControlPlane => Some(vec!["KUBECONFIG=/etc/kubernetes/admin.conf".to_owned()]),
        Role::Worker => None,
    };
    ContainerCreateBody {
        hostname: Some(node.name.clone()),
        image: Some(image.to_owned()),
        labels: Some(labels),
        env,
        // The entrypoint writes its log to a terminal.
        tty: Some(true),
        exposed_ports: Some(ports.iter().map(|(port, _)| port.clone()).collect()),
        host_config: Some(HostConfig {
            privileged: Some(true),
            security_opt: Some(vec!["seccomp=unconfined".into(), "apparmor=unconfined".into()]),
            cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
            userns_mode: machine.remapped.then(|| "host".to_owned()),
            init: Some(false),
            network_mode: Some(NETWORK.to_owned()),
            tmpfs: Some(HashMap::from([
                ("/tmp".to_owned(), String::new()),
                ("/run".to_owned(), String::new()),
            ])),
            binds: Some(binds(machine)),
            mounts: Some(vec![var(spec)]),
            devices: machine.fuse.then(|| vec![fuse()]),
            // Comes back with the Engine after a reboot, and not for any other reason: `always` would restart a node
            // that can never work, `no` would lose it.
            restart_policy: Some(RestartPolicy {
                name: Some(RestartPolicyNameEnum::ON_FAILURE),
                maximum_retry_count: Some(1),
            }),
            port_bindings: Some(
                ports.into_iter().map(|(port, binding)| (port, Some(vec![binding]))).collect(),
            ),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

/// The API and every door, each on 127.0.0.1 only.
fn ports(spec: &ClusterSpec) -> Vec<(String, PortBinding)> {
    let doors = spec.doors.iter().map(|door| (door.node_port, door.port));
    std::iter::once((API_PORT, spec.api_port))
        .chain(doors)
        .map(|(inside, outside)| {
            let binding = PortBinding {
                host_ip: Some("127.0.0.1".to_owned()),
                host_port: Some(outside.to_string()),
            };
            (format!("{inside}/tcp"), binding)
        })
        .collect()
}

/// Pods, images and etcd lie on a volume: faster than the container's own layers. It has no name, as with kind, so that
/// it goes with the container; the label finds one that was left alone.
fn var(spec: &ClusterSpec) -> Mount {
    Mount {
        target: Some("/var".to_owned()),
        typ: Some(MountType::VOLUME),
        volume_options: Some(MountVolumeOptions {
            labels: Some(names::owned(spec)),
            ..MountVolumeOptions::default()
        }),
        ..Mount::default()
    }
}

fn binds(machine: &Machine) -> Vec<String> {
    let mut binds = vec!["/lib/modules:/lib/modules:ro".to_owned()];
    if machine.device_mapper {
        binds.push("/dev/mapper:/dev/mapper".to_owned());
    }
    binds
}

fn fuse() -> bollard::models::DeviceMapping {
    bollard::models::DeviceMapping {
        path_on_host: Some("/dev/fuse".to_owned()),
        path_in_container: Some("/dev/fuse".to_owned()),
        cgroup_permissions: Some("rwm".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::testing;

    #[test]
    fn nodes_are_set_up_as_their_images_expect_it() {
        let spec = testing::spec(1);
        let nodes = names::nodes(&spec);
        let machine = Machine::default();
        let bodies: Vec<_> = nodes
            .iter()
            .map(|node| serde_json::to_value(body(&spec, node, "kindest/node:v1.36.4", &machine)))
            .collect::<Result<_, _>>()
            .unwrap();
        insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(bodies) });
    }

    #[test]
    fn what_the_engine_lacks_is_given_to_nodes() {
        let spec = testing::spec(0);
        let machine =
            Machine { remapped: true, device_mapper: true, fuse: true, ..Machine::default() };
        let node = &names::nodes(&spec)[0];
        let host = body(&spec, node, "x", &machine).host_config.unwrap();
        assert_eq!(host.userns_mode.as_deref(), Some("host"));
        assert!(host.binds.unwrap().contains(&"/dev/mapper:/dev/mapper".to_owned()));
        assert_eq!(host.devices.unwrap().len(), 1);
    }
}
