//! `curtain api-server`.

use std::path::PathBuf;

use curtain_control::server::Config;

#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    common: super::Common,
    #[command(flatten)]
    planes: super::Planes,
    /// Port of REST and identity
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Port of MCP with a bearer token
    #[arg(long, default_value_t = 8081)]
    mcp_port: u16,
    /// Namespace of the subjects' Secrets
    #[arg(long, default_value = "openchoreo-control-plane")]
    namespace: String,
    /// Folder with the signing key
    #[arg(long, default_value = "/var/run/curtain/identity")]
    identity: PathBuf,
    /// Issuer of tokens
    #[arg(long, default_value = "http://openchoreo.localhost")]
    issuer: String,
    /// Audience of tokens
    #[arg(long, default_value = "openchoreo")]
    audience: String,
    #[command(flatten)]
    instance: super::Named,
    /// A host name to answer to beside the usual ones; may be repeated
    #[arg(long = "allow-host")]
    allowed_hosts: Vec<String>,
    /// Build that /version tells
    #[arg(long, default_value = "")]
    build: String,
}

impl Flags {
    pub(super) fn config(self) -> Config {
        Config {
            listen: self.common.at(self.port),
            mcp_listen: self.common.at(self.mcp_port),
            health_listen: self.common.at(self.common.health_port),
            kube: self.common.kube(),
            namespace: self.namespace,
            identity_dir: self.identity,
            issuer: self.issuer,
            audience: self.audience,
            instance: self.instance.instance(),
            allowed_hosts: self.allowed_hosts,
            gateway: self.planes.gateway(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: self.build,
        }
    }
}
