//! `curtain gateway`.

use curtain_data::gateway::Config;

#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    common: super::Common,
    /// Namespace of the Gateway object it serves
    #[arg(long)]
    namespace: String,
    /// Name of the Gateway object it serves
    #[arg(long)]
    gateway: String,
    /// Keep the platform's own cookies from backends, and theirs from browsers
    #[arg(long)]
    strip_cookies: bool,
    #[command(flatten)]
    instance: super::Named,
}

impl Flags {
    pub(super) fn config(self) -> Config {
        Config {
            bind: self.common.bind,
            health_port: self.common.health_port,
            kube: self.common.kube(),
            namespace: self.namespace,
            name: self.gateway,
            strip_cookies: self.strip_cookies,
            instance: self.instance.instance(),
        }
    }
}
