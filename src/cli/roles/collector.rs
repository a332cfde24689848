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
    #[arg(long, default_value = curtain_role::ROLE_TOKEN)]
    token: PathBuf,
    /// Label selector of the pods to follow
    #[arg(long, default_value = SELECTOR)]
    selector: String,
    /// Port for spans by gRPC
    #[arg(long, default_value_t = 4317)]
    otlp_grpc_port: u16,
    /// Port for spans by HTTP
    #[arg(long, default_value_t = 4318)]
    otlp_http_port: u16,
}

impl Flags {
    pub(super) fn config(self) -> Config {
        Config {
            observer: self.observer,
            token: self.token,
            selector: self.selector,
            otlp_grpc_listen: self.common.at(self.otlp_grpc_port),
            otlp_http_listen: self.common.at(self.otlp_http_port),
            health_listen: self.common.at(self.common.health_port),
            kube: self.common.kube(),
        }
    }
}
