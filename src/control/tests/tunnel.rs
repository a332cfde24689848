//! The controllers reach their plane as they do in an instance: through the cluster gateway and an agent's tunnel.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../platform/tests/support/mod.rs"]
mod support;

use curtain_control::hub;
use curtain_data::agent;
use curtain_platform::remote::{Gateway, Planes};
use curtain_platform::render::cell_namespace;
use curtain_role::{KubeAccess, Shutdown};
use curtain_tunnel::{PlaneId, PlaneType};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Instant;
use support::{World, greeter, is};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A CA and a leaf for `localhost` in a folder, as `ca.crt`, `tls.crt` and `tls.key`.
fn issue(folder: &Path) -> PathBuf {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = ca.self_signed(&ca_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    leaf.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let leaf = leaf.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("ca.crt"), authority).unwrap();
    std::fs::write(folder.join("tls.crt"), leaf.pem()).unwrap();
    std::fs::write(folder.join("tls.key"), key.serialize_pem()).unwrap();
    folder.to_owned()
}

/// Ports nobody listens on; several at once, so that they differ.
fn free_ports<const N: usize>() -> [u16; N] {
    let held: [TcpListener; N] = std::array::from_fn(|_| TcpListener::bind((HERE, 0)).unwrap());
    held.each_ref().map(|listener| listener.local_addr().unwrap().port())
}

struct Link {
    shutdown: Shutdown,
    task: tokio::task::JoinHandle<()>,
}

impl Link {
    fn agent(world: &World, gateway: u16, health: u16, certificates: &Path, server: &Path) -> Self {
        let shutdown = Shutdown::default();
        let config = agent::Config {
            server_url: format!("wss://localhost:{gateway}/ws").parse().unwrap(),
            planes: vec![PlaneId { kind: PlaneType::Data, id: "default".into() }],
            certificates: certificates.to_owned(),
            server_ca: server.join("ca.crt"),
            kube: KubeAccess::Kubeconfig(world.kubeconfig.clone()),
            bind: HERE,
            health_port: health,
        };
        let until = shutdown.clone();
        let task = tokio::spawn(async move { agent::run(config, until).await.unwrap() });
        Self { shutdown, task }
    }

    async fn cut(self) {
        self.shutdown.trigger();
        self.task.await.unwrap();
    }
}

#[tokio::test]
async fn a_component_is_deployed_through_the_tunnel() {
    let home = tempfile::tempdir().unwrap();
    let internal = issue(&home.path().join("internal"));
    let agents = issue(&home.path().join("agents"));
    let authority = std::fs::read_to_string(agents.join("ca.crt")).unwrap();
    let mut world = World::prepare(&authority).await;
    let [agent_port, internal_port, hub_health, agent_health, next_health] = free_ports();
    let stop = Shutdown::default();
    let config = hub::Config {
        bind: HERE,
        agent_port,
        internal_port,
        health_port: hub_health,
        certificates: internal.clone(),
        kube: KubeAccess::Kubeconfig(world.kubeconfig.clone()),
    };
    let until = stop.clone();
    tokio::spawn(async move { hub::run(config, until).await.unwrap() });
    let url = format!("https://localhost:{internal_port}");
    world.reach_planes(Planes::Gateway(Gateway { url, certificates: internal.clone() }));
    world.run();

    // Without an agent it says so; the agent's arrival is what starts the work.
    let failed = |r: &Value| is(r, "ResourcesApplied", "False", "ApplyFailed");
    let cells = || async { world.names("RenderedRelease", "default").await };
    let mut waiting = cells().await;
    while waiting.is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        waiting = cells().await;
    }
    world.until("RenderedRelease", "default", &waiting[0], failed).await;
    let start = Instant::now();
    let link = Link::agent(&world, agent_port, agent_health, &agents, &internal);
    let connected = |p: &Value| p["status"]["agentConnection"]["connected"] == true;
    world.until("ClusterDataPlane", "", "default", connected).await;
    println!("agent connected: {:?}", start.elapsed());
    let cell = cell_namespace("default", "default", "development");
    world.until("Namespace", "", &cell, |_| true).await;
    println!("agent started -> cell: {:?}", start.elapsed());

    let start = Instant::now();
    for object in greeter() {
        world.apply(&object).await;
    }
    let applied = |r: &Value| is(r, "ResourcesApplied", "True", "ApplySucceeded");
    world.until("RenderedRelease", "default", "greeter-development", applied).await;
    println!("component applied -> objects through the tunnel: {:?}", start.elapsed());
    let name = world.names("Deployment", &cell).await[0].clone();
    let start = Instant::now();
    world.bring_up(&cell, &name).await;
    world
        .until("ReleaseBinding", "default", "greeter-development", |b| {
            is(b, "Ready", "True", "Ready")
        })
        .await;
    println!("deployment available -> binding ready through the tunnel: {:?}", start.elapsed());

    // The tunnel goes away and comes back: changes on either side are caught up with.
    link.cut().await;
    world.until("ClusterDataPlane", "", "default", |p| !connected(p)).await;
    let [_, mut workload] = greeter();
    workload["spec"]["container"]["image"] = json!("curtain:newer");
    world.apply(&workload).await;
    world.until("RenderedRelease", "default", "greeter-development", failed).await;
    let start = Instant::now();
    let link = Link::agent(&world, agent_port, next_health, &agents, &internal);
    let image =
        |d: &Value| d["spec"]["template"]["spec"]["containers"][0]["image"] == "curtain:newer";
    world.until("Deployment", &cell, &name, image).await;
    println!("agent back -> newer image: {:?}", start.elapsed());
    world.bring_up(&cell, &name).await;
    let start = Instant::now();
    world
        .until("ReleaseBinding", "default", "greeter-development", |b| {
            is(b, "Ready", "True", "Ready")
        })
        .await;
    println!("watch through the new tunnel -> binding ready: {:?}", start.elapsed());

    world.delete("Component", "default", "greeter").await;
    world.gone("Component", "default", "greeter").await;
    assert_eq!(world.names("Deployment", &cell).await, [""; 0]);
    world.halt().await;
    link.cut().await;
    stop.trigger();
}
