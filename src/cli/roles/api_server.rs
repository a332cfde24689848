//! `curtain api-server`.

use std::{path::PathBuf, time::Duration};

use curtain_control::{audit::Retention, server::Config};

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
    /// Folder of the audit records
    #[arg(long, default_value = "/data")]
    data: PathBuf,
    /// Days that audit records are kept
    #[arg(long, default_value_t = 30)]
    audit_days: u64,
    /// Megabytes that audit records may have
    #[arg(long, default_value_t = 32)]
    audit_megabytes: u64,
    /// The user that may tell what the observer was asked
    #[arg(long, default_value = "system:serviceaccount:openchoreo-observability-plane:observer")]
    observer: String,
    /// The user that may tell what the SRE agent was asked
    #[arg(long, default_value = "system:serviceaccount:openchoreo-observability-plane:sre-agent")]
    sre_agent: String,
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
            data: self.data,
            retention: Retention {
                age: Duration::from_secs(self.audit_days.saturating_mul(24 * 3600)),
                bytes: self.audit_megabytes << 20,
            },
            observer: self.observer,
            sre_agent: self.sre_agent,
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
