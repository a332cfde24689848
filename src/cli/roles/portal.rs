//! `curtain portal`.

use curtain_portal::Config;

#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    common: super::Common,
    /// Port for browsers
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Base URL of the REST API
    #[arg(long, default_value = "http://openchoreo-api.openchoreo-control-plane:8080")]
    api: String,
    /// Base URL of the observer
    #[arg(long, default_value = "http://observer.openchoreo-observability-plane:8080")]
    observer: String,
    /// Base URL of the SRE agent, which need not be there
    #[arg(long, default_value = "http://sre-agent.openchoreo-observability-plane:8080")]
    sre_agent: String,
    #[command(flatten)]
    instance: super::Named,
    /// A host name to answer to beside the usual ones; may be repeated
    #[arg(long = "allow-host")]
    allowed_hosts: Vec<String>,
}

impl Flags {
    pub(super) fn config(self) -> Config {
        Config {
            bind: self.common.at(self.port),
            health: self.common.at(self.common.health_port),
            api_url: self.api,
            observer_url: self.observer,
            sre_url: self.sre_agent,
            instance: self.instance.instance(),
            allowed_hosts: self.allowed_hosts,
        }
    }
}
