//! The node process: API server, controllers, network and pod agent on one runtime.

use std::net::TcpListener;
use std::os::fd::{AsFd, RawFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::cgroup::Tree;
use super::confine;
use super::disk::NodeDisk;
use super::link::{Inherited, SupervisorLink};
use super::machine::Machine;
use super::network::{Key, Network, Settings};
use super::pods::Agent;
use crate::apiserver::{Server, ServerConfig};
use crate::{ClusterConfig, Error, controllers, files};

const STOP_LIMIT: Duration = Duration::from_secs(3);

/// Runs the node until SIGTERM, or until its supervisor ends. `control_fd` is the inherited socket to the supervisor.
///
/// # Errors
/// What could not be started; the supervisor tries again.
pub fn run_node(config: &Path, control_fd: RawFd) -> Result<(), Error> {
    prctl::set_pdeathsig(Signal::SIGKILL)
        .map_err(Error::errno("tie the node to its supervisor"))?;
    // If it ended before that, the socket to it is closed: see `confine`.
    // The supervisor reads its signals from a descriptor, and its children inherit that they are blocked.
    SigSet::empty().thread_set_mask().map_err(Error::errno("listen to signals"))?;
    let config = ClusterConfig::read(config)?;
    let (inherited, channel) = Inherited::receive(control_fd)?;
    let keys = Keys::read(&config)?;
    let machine = Machine::read();
    let groups = Tree::of(&config)?;
    confine::confine(&config, &machine, groups.as_ref(), channel.as_fd())?;
    machine.check_resolvers();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::system("make the node's runtime"))?;
    runtime.block_on(async {
        let supervisor =
            SupervisorLink::new(channel).map_err(Error::system("listen to the supervisor"))?;
        run(config, (machine, groups), keys, inherited, supervisor).await
    })
}

/// What the node has to know and, as the user it becomes, could not read.
struct Keys {
    ca: Vec<u8>,
    certificate: Vec<u8>,
    key: Vec<u8>,
    token_key: Vec<u8>,
}

impl Keys {
    fn read(config: &ClusterConfig) -> Result<Self, Error> {
        let pki = config.pki();
        Ok(Self {
            ca: files::read(&pki.ca_cert)?,
            certificate: files::read(&pki.apiserver_cert)?,
            key: files::read(&pki.apiserver_key)?,
            token_key: files::read(&pki.service_account_key)?,
        })
    }
}

async fn run(
    config: ClusterConfig,
    (machine, groups): (Machine, Option<Tree>),
    keys: Keys,
    inherited: Inherited,
    supervisor: SupervisorLink,
) -> Result<(), Error> {
    let shutdown = CancellationToken::new();
    let authority = String::from_utf8_lossy(&keys.ca).into_owned();
    let server = start_server(&config, keys, inherited.api, shutdown.clone()).await?;

    let client = |user: &str, groups: &[&str]| server.local_client(user, groups);
    let manager = client("system:kube-controller-manager", &["system:authenticated"]);
    let scheduler = client("system:kube-scheduler", &["system:authenticated"]);
    let disk = Arc::new(NodeDisk::new(config.clone(), supervisor.clone()));
    let settings =
        controllers::Config { authority, disk, metrics_period: controllers::METRICS_PERIOD };
    tokio::spawn(controllers::run(manager, scheduler, settings, shutdown.clone()));

    let node_user = format!("system:node:{}", config.node_name());
    let node = client(&node_user, &["system:nodes", "system:authenticated"]);
    let network = Network::new(Settings {
        resolv_conf: machine.resolvers.clone(),
        ..Settings::from(&config)
    });
    serve_front_doors(&config, &network, inherited.front_doors, &shutdown)?;
    let (following, watching, stop) = (network.clone(), node.clone(), shutdown.clone());
    tokio::spawn(async move { following.run(watching, stop).await });

    let agent = Agent::new(config, (machine, groups), node, supervisor, network, inherited.shims);
    server.set_node(Arc::new(agent.backend()));
    tokio::spawn(agent.run(shutdown.clone()));

    wait_for_signal().await?;
    shutdown.cancel();
    if tokio::time::timeout(STOP_LIMIT, server.stopped()).await.is_err() {
        tracing::warn!("connections were still open when the node stopped");
    }
    Ok(())
}

async fn start_server(
    config: &ClusterConfig,
    keys: Keys,
    listener: Option<(std::net::SocketAddr, std::os::fd::OwnedFd)>,
    shutdown: CancellationToken,
) -> Result<Server, Error> {
    let (_, listener) = listener.ok_or_else(|| Error::Protocol {
        peer: "supervisor",
        message: "it did not hand over the API server's listener".to_owned(),
    })?;
    Server::start(server_config(config, keys, listener.into()), shutdown)
        .await
        .map_err(|error| Error::Start { part: "API server", message: error.to_string() })
}

fn server_config(config: &ClusterConfig, keys: Keys, listener: TcpListener) -> ServerConfig {
    ServerConfig {
        database: config.data_dir().join("objects.redb"),
        listeners: vec![listener],
        certificate: keys.certificate,
        key: keys.key,
        ca: keys.ca,
        token_key: keys.token_key,
        service_cidr: (config.service_cidr.network(), config.service_cidr.prefix()),
        advertise: config.api_address(),
        offline: config.offline,
    }
}

fn serve_front_doors(
    config: &ClusterConfig,
    network: &Network,
    listeners: Vec<(usize, std::os::fd::OwnedFd)>,
    shutdown: &CancellationToken,
) -> Result<(), Error> {
    for (index, listener) in listeners {
        let Some(door) = config.front_doors.get(index) else {
            continue;
        };
        let service = Key::new(&door.namespace, &door.service);
        network
            .serve_front_door(listener, service, door.port, shutdown.clone())
            .map_err(Error::system(format!("serve the front door {}", door.listen)))?;
    }
    Ok(())
}

async fn wait_for_signal() -> Result<(), Error> {
    let fail = || Error::system("receive signals");
    let mut terminate = signal(SignalKind::terminate()).map_err(fail())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(fail())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::testing::TestCluster;

    #[test]
    fn the_api_server_is_as_offline_as_the_cluster() {
        let cluster = TestCluster::new("offline");
        for offline in [false, true] {
            let config = ClusterConfig { offline, ..cluster.config.clone() };
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let keys = Keys::read(&config).unwrap();
            assert_eq!(server_config(&config, keys, listener).offline, offline);
        }
    }
}
