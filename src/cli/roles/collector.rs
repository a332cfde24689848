//! `curtain collector`.

use std::path::PathBuf;

use curtain_observe::collector::{Config, SELECTOR};

#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    common: super::Common,
    /// Base URL of the observer's door for lines
    #[arg(long, default_value = "http://observer.openchoreo-observability-plane:8082")]
    observer: http::Uri,
    /// File with the token to show there
    #[arg(long, default_value = "/var/run/secrets/kubernetes.io/serviceaccount/token")]
    token: PathBuf,
    /// Label selector of the pods to follow
    #[arg(long, default_value = SELECTOR)]
    selector: String,
}

impl Flags {
    pub(super) fn config(self) -> Config {
        Config {
            observer: self.observer,
            token: self.token,
            selector: self.selector,
            health_listen: self.common.at(self.common.health_port),
            kube: self.common.kube(),
        }
    }
}
