//! `curtain observer`.

use std::{path::PathBuf, time::Duration};

use curtain_observe::{alerts::Options, database::Retention, metrics::Prices, observer::Config};

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
    /// Port for the collector
    #[arg(long, default_value_t = 8082)]
    ingest_port: u16,
    /// Folder of the databases
    #[arg(long, default_value = "/data")]
    data: PathBuf,
    /// Days that telemetry is kept
    #[arg(long, default_value_t = 7)]
    retention_days: u64,
    /// Megabytes that each database may have
    #[arg(long, default_value_t = 256)]
    retention_megabytes: u64,
    /// What a core costs in an hour, in US dollars
    #[arg(long, default_value_t = Prices::default().cpu_hour)]
    cpu_hour_price: f64,
    /// What a GiB of memory costs in an hour, in US dollars
    #[arg(long, default_value_t = Prices::default().memory_hour)]
    memory_hour_price: f64,
    /// Seconds that an alert rule waits after it fired before it fires again
    #[arg(long, default_value_t = 60)]
    alert_suppression: u64,
    /// Base URL of the agent that looks for causes of alerts; none by default
    #[arg(long)]
    rca_url: Option<http::Uri>,
    /// Base URL of that agent's reports, which are told with incidents; none by default
    #[arg(long)]
    rca_reports_url: Option<http::Uri>,
    /// Base URL of the control plane
    #[arg(long, default_value = "http://openchoreo-api.openchoreo-control-plane:8080")]
    api: http::Uri,
    /// Issuer of tokens
    #[arg(long, default_value = "http://openchoreo.localhost")]
    issuer: String,
    /// Audience of tokens
    #[arg(long, default_value = "openchoreo")]
    audience: String,
    /// The user that may post lines
    #[arg(long, default_value = "system:serviceaccount:openchoreo-observability-plane:collector")]
    collector: String,
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
            ingest_listen: self.common.at(self.ingest_port),
            health_listen: self.common.at(self.common.health_port),
            data: self.data,
            retention: Retention {
                age: Duration::from_secs(self.retention_days.saturating_mul(24 * 3600)),
                bytes: self.retention_megabytes << 20,
            },
            prices: Prices { cpu_hour: self.cpu_hour_price, memory_hour: self.memory_hour_price },
            alerts: Options {
                suppression: Duration::from_secs(self.alert_suppression),
                rca: self.rca_url,
                reports: self.rca_reports_url,
            },
            control: self.api,
            issuer: self.issuer,
            audience: self.audience,
            collector: self.collector,
            instance: self.instance.instance(),
            allowed_hosts: self.allowed_hosts,
            kube: self.common.kube(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}
