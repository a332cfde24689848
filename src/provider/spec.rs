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
    /// The kept copy of this program: what the cluster runs, and what the platform's image holds.
    pub binary: PathBuf,
    /// Reference of the platform's image.
    pub image: String,
    /// Port of the API on 127.0.0.1, where the provider can choose it.
    pub api_port: u16,
    /// Ports of this machine that lead into the cluster.
    pub doors: Vec<Door>,
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
}

impl ClusterSpec {
    /// The door called `name`.
    pub fn door(&self, name: &str) -> Option<&Door> {
        self.doors.iter().find(|door| door.name == name)
    }
}
