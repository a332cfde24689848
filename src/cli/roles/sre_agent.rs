//! `curtain sre-agent`.

use std::path::PathBuf;

use curtain_agents::sre::Config;

#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    common: super::Common,
    /// Port of REST
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Port of MCP with a bearer token
    #[arg(long, default_value_t = 8081)]
    mcp_port: u16,
    /// Port for the observer, which tells of alerts
    #[arg(long, default_value_t = 8082)]
    alerts_port: u16,
    /// Folder of the database
    #[arg(long, default_value = "/data")]
    data: PathBuf,
    /// Folder with client-id and client-secret
    #[arg(long, default_value = "/identity")]
    identity: PathBuf,
    /// Folder with RCA_MODEL_NAME, RCA_LLM_API_KEY, RCA_LLM_BASE_URL and RCA_COST_LIMIT_USD, if a model is to be asked
    #[arg(long, default_value = "/model")]
    model: PathBuf,
    /// Base URL of the control plane
    #[arg(long, default_value = "http://openchoreo-api.openchoreo-control-plane:8080")]
    api: http::Uri,
    /// URL of the control plane's tools
    #[arg(
        long,
        default_value = "http://openchoreo-api.openchoreo-control-plane:8081/mcp?toolsets=component,deployment,pe"
    )]
    control_mcp: http::Uri,
    /// URL of the observer's tools
    #[arg(long, default_value = "http://observer.openchoreo-observability-plane:8081/mcp")]
    observer_mcp: http::Uri,
    /// Issuer of tokens
    #[arg(long, default_value = "http://openchoreo.localhost")]
    issuer: String,
    /// Audience of tokens
    #[arg(long, default_value = "openchoreo")]
    audience: String,
    /// The user that may tell of alerts
    #[arg(long, default_value = "system:serviceaccount:openchoreo-observability-plane:observer")]
    observer: String,
    #[command(flatten)]
    instance: super::Named,
    /// A host name to answer to beside the usual ones; may be repeated
    #[arg(long = "allow-host")]
    allowed_hosts: Vec<String>,
}

impl Flags {
    pub(super) fn config(self) -> Config {
        Config {
            listen: self.common.at(self.port),
            mcp_listen: self.common.at(self.mcp_port),
            alerts_listen: self.common.at(self.alerts_port),
            health_listen: self.common.at(self.common.health_port),
            data: self.data,
            identity: self.identity,
            model: self.model,
            control: self.api,
            control_mcp: self.control_mcp,
            observer_mcp: self.observer_mcp,
            issuer: self.issuer,
            audience: self.audience,
            observer: self.observer,
            instance: self.instance.instance(),
            allowed_hosts: self.allowed_hosts,
            kube: self.common.kube(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}
