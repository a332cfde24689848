//! The containers that are the cluster's nodes.

use std::time::{Duration, Instant};

use bollard::{
    models::{ContainerInspectResponse, ContainerStateStatusEnum},
    query_parameters::{
        CreateContainerOptions, ListContainersOptions, ListVolumesOptions, LogsOptions,
        RemoveContainerOptions, RemoveVolumeOptions, StopContainerOptions,
    },
};
use futures::{StreamExt, future::try_join_all};

use super::{
    container,
    engine::{Engine, is_absent, is_conflict, last_lines, optional},
    machine::Machine,
    names::{self, Node, OWNER},
    network, node_image,
};
use crate::{ClusterSpec, Error, Leftover, Removed, Watch};

/// How long a node may take until its services can be asked for anything.
const BOOT: Duration = Duration::from_secs(60);
/// How long a node may take to stop before it is killed.
const STOP_SECONDS: i32 = 20;

/// Makes and starts every node.
pub(crate) async fn ensure(
    engine: &Engine,
    spec: &ClusterSpec,
    timeout: Duration,
    watch: &dyn Watch,
) -> Result<(), Error> {
    let machine = Machine::of(engine).await?;
    let wanted = node_image::wanted(spec);
    let image =
        node_image::present(engine, wanted).await?.ok_or_else(|| Error::NodeImageMissing {
            image: wanted.to_owned(),
            why: "it was removed meanwhile".to_owned(),
        })?;
    node_image::check(engine, &image).await?;
    let all = names::nodes(spec);
    let each = all.iter().map(|node| one(engine, spec, node, &image, &machine, timeout));
    watch.detail(format!("{} booting", all.len()));
    try_join_all(each).await.map(drop)
}

/// Whether every node is there and runs.
pub(crate) async fn are_running(engine: &Engine, spec: &ClusterSpec) -> bool {
    for node in names::nodes(spec) {
        match inspect(engine, &node.name).await {
            Ok(Some(found)) if is_ours(&found, spec) && is_running(&found) => {}
            _ => return false,
        }
    }
    true
}

async fn one(
    engine: &Engine,
    spec: &ClusterSpec,
    node: &Node,
    image: &str,
    machine: &Machine,
    timeout: Duration,
) -> Result<(), Error> {
    if let Some(found) = inspect(engine, &node.name).await? {
        if !is_ours(&found, spec) {
            return Err(Error::NotOurs { what: format!("container {}", node.name) });
        }
        if is_running(&found) {
            // Whoever started it may not have waited for it. What its log says already is read at once.
            let since = started(&found);
            let waited = engine_time(engine).await?.saturating_sub(since);
            if waited > BOOT.as_secs().cast_signed() {
                return Ok(());
            }
            return boot(engine, node, since, timeout.min(BOOT)).await;
        }
    } else {
        create(engine, spec, node, image, machine).await?;
    }
    start(engine, spec, node, timeout).await
}

async fn create(
    engine: &Engine,
    spec: &ClusterSpec,
    node: &Node,
    image: &str,
    machine: &Machine,
) -> Result<(), Error> {
    let name = &node.name;
    for last in [false, true] {
        let options = CreateContainerOptions { name: Some(name.clone()), ..Default::default() };
        let body = container::body(spec, node, image, machine);
        match engine.api().create_container(Some(options), body).await {
            Ok(_) => return Ok(()),
            Err(error) if is_conflict(&error) => {
                // The Engine may have completed what we asked for before we died.
                return match inspect(engine, name).await? {
                    Some(found) if is_ours(&found, spec) => Ok(()),
                    _ => Err(Error::NotOurs { what: format!("container {name}") }),
                };
            }
            // The last cluster beside this one took the network with it a moment ago.
            Err(error) if !last && error.to_string().contains("network") => {
                network::ensure(engine).await?;
            }
            Err(error) => return Err(engine.error(format!("create the container {name}"), error)),
        }
    }
    Ok(())
}

async fn start(
    engine: &Engine,
    spec: &ClusterSpec,
    node: &Node,
    timeout: Duration,
) -> Result<(), Error> {
    let name = &node.name;
    let before = engine_time(engine).await?;
    for last in [false, true] {
        match engine.api().start_container(name, None).await {
            Ok(()) => break,
            // The last cluster beside this one took the network with it a moment ago.
            Err(error) if !last && error.to_string().contains("network") => {
                network::ensure(engine).await?;
            }
            Err(error) => {
                if let Some((port, door)) = taken(spec, &error.to_string()) {
                    return Err(Error::PortInUse { port, door });
                }
                return Err(engine.error(format!("start the container {name}"), error));
            }
        }
    }
    boot(engine, node, before, timeout.min(BOOT)).await
}

/// The port of 127.0.0.1 that the Engine could not give, and what it is for.
fn taken(spec: &ClusterSpec, said: &str) -> Option<(u16, String)> {
    if !said.contains("already allocated") && !said.contains("address already in use") {
        return None;
    }
    let doors = spec.doors.iter().map(|door| (door.port, door.name.as_str()));
    let mut ports = std::iter::once((spec.api_port, "API")).chain(doors);
    let named = |port: u16| {
        said.split(&format!("127.0.0.1:{port}"))
            .skip(1)
            .any(|rest| !rest.starts_with(|next: char| next.is_ascii_digit()))
    };
    ports.find(|(port, _)| named(*port)).map(|(port, door)| (port, door.to_owned()))
}

/// Waits until the node's services run: before that, nothing can be run in it without disturbing them.
async fn boot(engine: &Engine, node: &Node, since: i64, limit: Duration) -> Result<(), Error> {
    let name = &node.name;
    let started = Instant::now();
    let options = LogsOptions {
        follow: true,
        stdout: true,
        stderr: true,
        since: i32::try_from(since).unwrap_or(0),
        ..LogsOptions::default()
    };
    let mut log = Box::pin(engine.api().logs(name, Some(options)));
    let mut seen = String::new();
    let reading = async {
        while let Some(part) = log.next().await {
            let part =
                part.map_err(|error| engine.error(format!("read the log of {name}"), error))?;
            seen.push_str(&String::from_utf8_lossy(part.as_ref()));
            if is_booted(&seen) {
                return Ok(true);
            }
        }
        Ok::<bool, Error>(false)
    };
    let outcome = tokio::time::timeout(limit, reading).await;
    let why = match outcome {
        Ok(Ok(true)) => return Ok(()),
        Ok(Err(error)) => return Err(error),
        Ok(Ok(false)) => match inspect(engine, name).await? {
            Some(found) => format!("it ended with code {}", exit_code(&found)),
            None => "it is gone".to_owned(),
        },
        Err(_) => format!("it did not say so within {:.0} s", started.elapsed().as_secs_f32()),
    };
    Err(Error::NotBooted { node: name.clone(), why, said: last_lines(&seen) })
}

/// What the log of a node image says when its services run, or when it does not matter.
fn is_booted(log: &str) -> bool {
    log.lines().any(|line| {
        line.contains("detected cgroup v1")
            || line
                .split_once("Reached target")
                .is_some_and(|(_, rest)| rest.contains("Multi-User System"))
    })
}

/// Removes every node with its volume, by our label: also one whose name has changed.
pub(crate) async fn remove(engine: &Engine, spec: &ClusterSpec) -> Result<Removed, Error> {
    let mut removed = Removed::default();
    let each = containers(engine, spec).await?.into_iter().map(|(id, name)| async move {
        let options = RemoveContainerOptions { v: true, force: true, link: false };
        match engine.api().remove_container(&id, Some(options)).await {
            Ok(()) => Ok(1),
            // Gone, or being removed by somebody else just now.
            Err(error) if is_absent(&error) || is_conflict(&error) => Ok(0),
            Err(error) => Err(engine.error(format!("remove the container {name}"), error)),
        }
    });
    removed.count += try_join_all(each).await?.into_iter().sum::<usize>();
    for volume in volumes(engine, spec).await? {
        match engine.api().remove_volume(&volume, None::<RemoveVolumeOptions>).await {
            Ok(()) => removed.count += 1,
            // Gone, or still of a container that is just going: what stays is looked for in the end.
            Err(error) if is_absent(&error) || is_conflict(&error) => {}
            Err(error) => return Err(engine.error(format!("remove the volume {volume}"), error)),
        }
    }
    Ok(removed)
}

/// Stops every node, the workers first.
pub(crate) async fn stop(engine: &Engine, spec: &ClusterSpec) -> Result<(), Error> {
    let control_plane = names::control_plane(spec);
    let (first, workers): (Vec<_>, Vec<_>) =
        containers(engine, spec).await?.into_iter().partition(|one| one.1 == control_plane);
    for nodes in [workers, first] {
        let each = nodes.into_iter().map(|(id, name)| async move {
            let options = StopContainerOptions { t: Some(STOP_SECONDS), ..Default::default() };
            let stopping = engine.api().stop_container(&id, Some(options));
            engine.call(format!("stop {name}"), stopping).await
        });
        try_join_all(each).await?;
    }
    Ok(())
}

/// What of the nodes is still there.
pub(crate) async fn residue(engine: &Engine, spec: &ClusterSpec) -> Result<Vec<Leftover>, Error> {
    let found = containers(engine, spec).await?.into_iter().map(|(_, name)| ("container", name));
    let volumes = volumes(engine, spec).await?.into_iter().map(|name| ("volume", name));
    Ok(found.chain(volumes).map(|(kind, name)| Leftover { kind: kind.to_owned(), name }).collect())
}

/// Address of a node in the network of the nodes.
pub(crate) async fn address(engine: &Engine, node: &str) -> Result<String, Error> {
    let found = inspect(engine, node).await?;
    found
        .and_then(|found| found.network_settings?.networks?.remove(network::NETWORK)?.ip_address)
        .filter(|address| !address.is_empty())
        .ok_or_else(|| Error::NodeGone { node: node.to_owned() })
}

/// The container called `name`.
pub(crate) async fn inspect(
    engine: &Engine,
    name: &str,
) -> Result<Option<ContainerInspectResponse>, Error> {
    let answer = async { optional(engine.api().inspect_container(name, None).await) };
    engine.call(format!("look at the container {name}"), answer).await
}

/// Ids and names of this cluster's containers, the control plane first.
async fn containers(engine: &Engine, spec: &ClusterSpec) -> Result<Vec<(String, String)>, Error> {
    let options = ListContainersOptions {
        all: true,
        filters: Some(names::ours(spec)),
        ..ListContainersOptions::default()
    };
    let found =
        engine.call("list the containers", engine.api().list_containers(Some(options))).await?;
    let mut all: Vec<_> = found
        .into_iter()
        .filter_map(|one| {
            let name = one.names.unwrap_or_default().first().cloned().unwrap_or_default();
            Some((one.id?, name.trim_start_matches('/').to_owned()))
        })
        .collect();
    all.sort_by(|one, other| one.1.cmp(&other.1));
    Ok(all)
}

async fn volumes(engine: &Engine, spec: &ClusterSpec) -> Result<Vec<String>, Error> {
    let options = ListVolumesOptions { filters: Some(names::ours(spec)) };
    let found = engine.call("list the volumes", engine.api().list_volumes(Some(options))).await?;
    Ok(found.volumes.unwrap_or_default().into_iter().map(|volume| volume.name).collect())
}

fn is_ours(found: &ContainerInspectResponse, spec: &ClusterSpec) -> bool {
    let labels = found.config.as_ref().and_then(|config| config.labels.as_ref());
    labels.and_then(|labels| labels.get(OWNER)).is_some_and(|owner| owner == names::owner(spec))
}

fn is_running(found: &ContainerInspectResponse) -> bool {
    found.state.as_ref().and_then(|state| state.status) == Some(ContainerStateStatusEnum::RUNNING)
}

/// When it was started, in seconds since 1970; 0 if the Engine does not say.
fn started(found: &ContainerInspectResponse) -> i64 {
    let text = found.state.as_ref().and_then(|state| state.started_at.as_ref());
    text.and_then(|text| text.to_string().parse::<jiff::Timestamp>().ok())
        .map_or(0, jiff::Timestamp::as_second)
}

fn exit_code(found: &ContainerInspectResponse) -> i64 {
    found.state.as_ref().and_then(|state| state.exit_code).unwrap_or(0)
}

/// The Engine's clock, in seconds: its log is older or younger than that, whatever the clock here says.
async fn engine_time(engine: &Engine) -> Result<i64, Error> {
    let machine = Machine::of(engine).await?;
    Ok(machine.seconds())
}

#[cfg(test)]
mod tests {
    use super::{is_booted, taken};

    #[test]
    fn a_port_that_somebody_has_is_named_with_its_door() {
        let spec = crate::kind::testing::spec(0);
        let said = "driver failed: Bind for 127.0.0.1:8080 failed: port is already allocated";
        assert_eq!(taken(&spec, said), Some((8080, "portal".to_owned())));
        let other = "listen tcp4 127.0.0.1:80801: bind: address already in use";
        assert_eq!(taken(&spec, other), None);
        assert_eq!(taken(&spec, "no such image"), None);
    }

    #[test]
    fn a_node_has_booted_when_its_log_says_so() {
        assert!(is_booted(
            "x\r\n[\u{1b}[0;32m  OK  \u{1b}[0m] Reached target \u{1b}[0;1;39mMulti-User System\u{1b}[0m.\r\n"
        ));
        assert!(is_booted("INFO: detected cgroup v1\n"));
        assert!(!is_booted("Reached target Basic System\nMulti-User System\n"));
    }
}
