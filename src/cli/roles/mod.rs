//! The parts that containers run, one file each: flags in, a role's `Config` out.

mod api_server;
mod cluster_agent;
mod cluster_gateway;
mod collector;
mod controller_manager;
mod gateway;
mod observer;
mod portal;
mod sample;
mod sre_agent;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use clap::{Args, Subcommand};
use curtain_role::{Instance, KubeAccess, Shutdown};

use crate::{exit::Exit, failure::Failure};

/// A part of the platform. They are for bundles, not for people, so help does not list them.
#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// REST, identity and the control plane's MCP server
    #[command(hide = true)]
    ApiServer(api_server::Flags),
    /// The platform's controllers
    #[command(hide = true)]
    ControllerManager(controller_manager::Flags),
    /// A Gateway API proxy
    #[command(hide = true)]
    Gateway(gateway::Flags),
    /// The web portal
    #[command(hide = true)]
    Portal(portal::Flags),
    /// A sample application
    #[command(hide = true, subcommand)]
    Sample(sample::Sample),
    /// The hub that agents of planes dial in to
    #[command(hide = true)]
    ClusterGateway(cluster_gateway::Flags),
    /// Follows the logs of components
    #[command(hide = true)]
    Collector(collector::Flags),
    /// Keeps logs and answers queries over them
    #[command(hide = true)]
    Observer(observer::Flags),
    /// Looks into alerts
    #[command(hide = true)]
    SreAgent(sre_agent::Flags),
    /// A plane's link to the control plane
    #[command(hide = true)]
    ClusterAgent(cluster_agent::Flags),
}

/// Flags of every role.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Address to listen on
    #[arg(long, env = "POD_IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    bind: IpAddr,
    /// Port of /healthz and /readyz
    #[arg(long, default_value_t = 8086)]
    health_port: u16,
    /// Kubeconfig to use outside of a pod
    #[arg(long)]
    kubeconfig: Option<std::path::PathBuf>,
}

impl Common {
    /// How the role reaches its API server.
    fn kube(&self) -> KubeAccess {
        self.kubeconfig.clone().map_or(KubeAccess::InCluster, KubeAccess::Kubeconfig)
    }

    /// `port` at the address to listen on.
    fn at(&self, port: u16) -> SocketAddr {
        (self.bind, port).into()
    }
}

/// The flag of roles that tell people commands.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// Name of the instance
    #[arg(long, default_value = Instance::DEFAULT)]
    instance: String,
}

impl Named {
    fn instance(self) -> Instance {
        Instance::new(self.instance)
    }
}

/// Runs a role until it is asked to end.
pub(crate) async fn run(role: Role) -> Result<(), Failure> {
    let shutdown = Shutdown::on_signals()?;
    match role {
        Role::ApiServer(flags) => {
            ended(curtain_control::server::run(flags.config(), shutdown).await)
        }
        Role::ControllerManager(flags) => flags.run(shutdown).await,
        Role::Gateway(flags) => ended(curtain_data::gateway::run(flags.config(), shutdown).await),
        Role::Collector(flags) => {
            ended(curtain_observe::collector::run(flags.config(), shutdown).await)
        }
        Role::Observer(flags) => {
            ended(curtain_observe::observer::run(flags.config(), shutdown).await)
        }
        Role::SreAgent(flags) => ended(curtain_agents::sre::run(flags.config(), shutdown).await),
        Role::Portal(flags) => ended(curtain_portal::run(flags.config(), shutdown).await),
        Role::Sample(sample) => sample.run(shutdown).await,
        Role::ClusterGateway(flags) => {
            ended(curtain_control::hub::run(flags.config(), shutdown).await)
        }
        Role::ClusterAgent(flags) => {
            ended(curtain_data::agent::run(flags.config(), shutdown).await)
        }
    }
}

/// How roles inside of the control plane reach planes.
#[derive(Debug, Args)]
pub(crate) struct Planes {
    /// The cluster gateway
    #[arg(long, default_value = "https://cluster-gateway.openchoreo-control-plane:8444")]
    cluster_gateway: String,
    /// Folder with tls.crt, tls.key and ca.crt for it
    #[arg(long, default_value = "/certs")]
    certificates: std::path::PathBuf,
}

impl Planes {
    fn gateway(self) -> curtain_platform::remote::Gateway {
        curtain_platform::remote::Gateway {
            url: self.cluster_gateway,
            certificates: self.certificates,
        }
    }
}

fn ended<E: std::fmt::Display>(outcome: Result<(), E>) -> Result<(), Failure> {
    outcome.map_err(|error| Failure::new(Exit::Failed, error.to_string()))
}
