//! `curtain cluster-agent`.

use std::path::PathBuf;

use curtain_data::agent::{Config, PlaneId};

#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    common: super::Common,
    /// The hub
    #[arg(long, default_value = "wss://cluster-gateway.openchoreo-control-plane:8443/ws")]
    server_url: http::Uri,
    /// A plane it stands for, TYPE/ID; may be repeated
    #[arg(long = "plane", required = true)]
    planes: Vec<PlaneId>,
    /// Folder with its own tls.crt and tls.key
    #[arg(long, default_value = "/certs")]
    certificates: PathBuf,
    /// The authority of the hub's certificate
    #[arg(long, default_value = "/server-ca/ca.crt")]
    server_ca: PathBuf,
}

impl Flags {
    pub(super) fn config(self) -> Config {
        Config {
            kube: self.common.kube(),
            server_url: self.server_url,
            planes: self.planes,
            certificates: self.certificates,
            server_ca: self.server_ca,
            bind: self.common.bind,
            health_port: self.common.health_port,
        }
    }
}
