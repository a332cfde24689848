//! A specification for tests.

use crate::{ClusterSpec, Door, Settings};

/// The cluster of instance `ci`, with `workers` nodes beside the control plane.
pub(crate) fn spec(workers: u16) -> ClusterSpec {
    let door = |name: &str, port, service_port, node_port| Door {
        name: name.to_owned(),
        port,
        namespace: "openchoreo-control-plane".to_owned(),
        service: "gateway-default".to_owned(),
        service_port,
        node_port,
    };
    ClusterSpec {
        provider: "kind".to_owned(),
        instance: "ci".to_owned(),
        home: "/data/ci/cluster".into(),
        binary: "/data/ci/bin/curtain".into(),
        image: "docker.io/library/curtain:0.1.0-0123456789ab".to_owned(),
        api_port: 6443,
        doors: vec![door("portal", 8080, 8080, 30080), door("mcp", 8081, 8081, 30081)],
        settings: Settings {
            id: Some("0123456789abcdef01234567".to_owned()),
            engine: Some("unix:///var/run/docker.sock".to_owned()),
            node_image: Some("kindest/node:v1.36.4".to_owned()),
            workers,
            keep: false,
            offline: false,
        },
    }
}
