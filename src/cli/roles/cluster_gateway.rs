//! `curtain cluster-gateway`.

use std::path::PathBuf;

use curtain_control::hub::Config;

#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    common: super::Common,
    /// Port for agents
    #[arg(long, default_value_t = 8443)]
    agent_port: u16,
    /// Port for the control plane
    #[arg(long, default_value_t = 8444)]
    internal_port: u16,
    /// Folder with tls.crt, tls.key and the ca.crt of internal clients
    #[arg(long, default_value = "/certs")]
    certificates: PathBuf,
}

impl Flags {
    pub(super) fn config(self) -> Config {
        Config {
            bind: self.common.bind,
            agent_port: self.agent_port,
            internal_port: self.internal_port,
            health_port: self.common.health_port,
            kube: self.common.kube(),
            certificates: self.certificates,
        }
    }
}
