//! The parts that containers run, one file each: flags in, a role's `Config` out.

mod cluster_agent;
mod cluster_gateway;

use std::net::{IpAddr, Ipv4Addr};

use clap::{Args, Subcommand};
use curtain_role::{KubeAccess, Shutdown};

use crate::{exit::Exit, failure::Failure};

/// A part of the platform. They are for bundles, not for people, so help does not list them.
#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// The hub that agents of planes dial in to
    #[command(hide = true)]
    ClusterGateway(cluster_gateway::Flags),
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
}

/// Runs a role until it is asked to end.
pub(crate) async fn run(role: Role) -> Result<(), Failure> {
    let shutdown = Shutdown::on_signals()?;
    match role {
        Role::ClusterGateway(flags) => {
            ended(curtain_control::hub::run(flags.config(), shutdown).await)
        }
        Role::ClusterAgent(flags) => {
            ended(curtain_data::agent::run(flags.config(), shutdown).await)
        }
    }
}

fn ended<E: std::fmt::Display>(outcome: Result<(), E>) -> Result<(), Failure> {
    outcome.map_err(|error| Failure::new(Exit::Failed, error.to_string()))
}
