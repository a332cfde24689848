//! What a cluster should be, before anybody knows how it is made.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A cluster as the appliance wants it. It is stored in the ledger, so its fields only ever grow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSpec {
    /// Name of the provider that makes it.
    pub provider: String,
    /// Name of the instance; names of the cluster's own things derive from it.
    pub instance: String,
    /// Folder the provider may fill (0700).
    pub home: PathBuf,
    /// The program for Linux that the platform's image holds; on Linux it is the kept copy of this one.
    pub binary: PathBuf,
    /// Reference of the platform's image.
    pub image: String,
    /// Port of the API on 127.0.0.1, where the provider can choose it.
    pub api_port: u16,
    /// Ports of this machine that lead into the cluster.
    pub doors: Vec<Door>,
    /// What was decided about the cluster when it was made.
    #[serde(default, skip_serializing_if = "Settings::is_default")]
    pub settings: Settings,
}

/// What is decided about a cluster once, when its instance is made: whoever finds it again must find the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    /// What makes the cluster's things its own wherever they are seen from: a path may be the same on two machines that
    /// share an Engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Address of the Docker Engine that runs the nodes, as in `DOCKER_HOST`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// Image of the nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_image: Option<String>,
    /// Nodes beside the control plane.
    #[serde(skip_serializing_if = "is_zero")]
    pub workers: u16,
    /// Whether what a failed stage made stays, to be looked at.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keep: bool,
    /// Whether nothing leaves the machine.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub offline: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u16) -> bool {
    *number == 0
}

impl Settings {
    /// Whether nothing was decided.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A port of 127.0.0.1 that leads to a port of a Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Door {
    /// What the door is called: `portal`, `mcp` or `gateway`.
    pub name: String,
    /// Port on this machine.
    pub port: u16,
    /// Namespace of the Service.
    pub namespace: String,
    /// Name of the Service.
    pub service: String,
    /// Port of the Service.
    pub service_port: u16,
    /// The Service's port on every node; 0 in instances that were made before it was chosen.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub node_port: u16,
}

impl ClusterSpec {
    /// The door called `name`.
    pub fn door(&self, name: &str) -> Option<&Door> {
        self.doors.iter().find(|door| door.name == name)
    }
}
