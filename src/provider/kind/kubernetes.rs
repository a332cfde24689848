//! Kubernetes on the nodes: `kubeadm init` on the first, `kubeadm join` on the others.
//!
//! A node that is part of the cluster has the file [`WHOLE`], written last: one without it was interrupted, and is reset.

use std::time::{Duration, Instant};

use futures::future::try_join_all;

use super::{
    engine::Engine,
    kubeadm::{Join, Settings, Version},
    kubeconfig,
    machine::Machine,
    names::{self, Node, Role},
    node_image, nodes,
};
use crate::{
    ClusterSpec, Error, Watch,
    api::{self, Silence},
};

/// In a node: it is part of the cluster.
const WHOLE: &str = "/kind/dev.curtain.joined";
/// In a node: what kubeadm is told.
const CONFIG: &str = "/kind/kubeadm.conf";
/// In a node image: the version of its Kubernetes.
const VERSION: &str = "/kind/version";

/// Ends a kubeadm whose caller died, and takes back what it did.
const RESET: &str = r#"
if [ -e /kind/dev.curtain.joined ]; then echo 'this node is part of a cluster' >&2; exit 3; fi
for proc in /proc/[0-9]*; do
  if [ "$(cat "$proc/comm" 2>/dev/null)" = kubeadm ]; then kill -9 "${proc#/proc/}" 2>/dev/null; fi
done
if [ -e /etc/kubernetes/kubelet.conf ] || [ -e /etc/kubernetes/manifests/kube-apiserver.yaml ]; then
  kubeadm reset --force
fi
"#;

/// Makes every node part of the cluster, and waits for its API.
pub(crate) async fn ensure(
    engine: &Engine,
    spec: &ClusterSpec,
    timeout: Duration,
    watch: &dyn Watch,
) -> Result<(), Error> {
    let started = Instant::now();
    let first = names::control_plane(spec);
    let version = version(engine, spec, &first).await?;
    let machine = Machine::of(engine).await?;
    let all = names::nodes(spec);
    let work = async {
        if !is_whole(engine, &first).await? {
            let node = &all[0];
            let address = nodes::address(engine, &node.name).await?;
            let file = settings(spec, node, &version, &address, &machine).init();
            kubeadm(engine, node, &file, "init", watch).await?;
        }
        kubeconfig::write(engine, spec).await?;
        let rest: Vec<_> = all.iter().filter(|node| node.role == Role::Worker).collect();
        let each = rest.into_iter().map(|node| join(engine, spec, node, &version, &machine, watch));
        try_join_all(each).await.map(drop)
    };
    tokio::time::timeout(timeout, work)
        .await
        .map_err(|_| Error::KubernetesLate { node: first.clone(), waited: timeout })??;
    let left = timeout.saturating_sub(started.elapsed());
    watch.detail("waiting for the API".to_owned());
    // Nodes that end say so themselves, to whoever asks the Engine.
    match api::wait(&kubeconfig::path(spec), left, || true).await {
        Ok(()) => Ok(()),
        Err(Silence::Dead) => Err(Error::NodeGone { node: first }),
        Err(Silence::Late(last)) => Err(Error::KubernetesSilent {
            url: format!("https://127.0.0.1:{}", spec.api_port),
            waited: left,
            last,
        }),
    }
}

/// Whether every node is part of the cluster, and its API answers.
pub(crate) async fn holds(engine: &Engine, spec: &ClusterSpec) -> bool {
    for node in names::nodes(spec) {
        if !is_whole(engine, &node.name).await.unwrap_or(false) {
            return false;
        }
    }
    api::answers(&kubeconfig::path(spec)).await.is_ok()
}

/// Whether the cluster was whole once: then there may be work in it.
pub(crate) async fn is_whole(engine: &Engine, node: &str) -> Result<bool, Error> {
    let test = ["test", "-f", WHOLE];
    let output = engine.exec(node, &test, None, &|_| {}).await?;
    match output.code {
        0 => Ok(true),
        1 => Ok(false),
        // It could not even be asked: that says nothing about the cluster, and must not begin it anew.
        _ => output.success(node, &test).map(|_| false),
    }
}

/// The version of Kubernetes in a node, which also tells that the image is one of a node.
async fn version(engine: &Engine, spec: &ClusterSpec, node: &str) -> Result<Version, Error> {
    let image = node_image::wanted(spec).to_owned();
    let not = |why: String| Error::NotANodeImage { image, why };
    let output = engine.exec(node, &["cat", VERSION], None, &|_| {}).await?;
    if output.code != 0 {
        return Err(not(format!("it has no file {VERSION}")));
    }
    output.stdout.parse().map_err(not)
}

async fn join(
    engine: &Engine,
    spec: &ClusterSpec,
    node: &Node,
    version: &Version,
    machine: &Machine,
    watch: &dyn Watch,
) -> Result<(), Error> {
    if is_whole(engine, &node.name).await? {
        return Ok(());
    }
    let command = ["kubeadm", "token", "create", "--ttl=15m", "--print-join-command"];
    let first = names::control_plane(spec);
    let printed = engine.run(&first, &command).await?;
    let join = Join::parse(&printed).ok_or_else(|| Error::Program {
        node: first,
        command: command.join(" "),
        code: 0,
        said: "  (no command to join with)".to_owned(),
    })?;
    let address = nodes::address(engine, &node.name).await?;
    let file = settings(spec, node, version, &address, machine).join(&join);
    kubeadm(engine, node, &file, "join", watch).await
}

fn settings(
    spec: &ClusterSpec,
    node: &Node,
    version: &Version,
    address: &str,
    machine: &Machine,
) -> Settings {
    Settings {
        version: version.clone(),
        cluster: names::cluster(spec),
        node: node.name.clone(),
        address: address.to_owned(),
        control_plane: names::control_plane(spec),
        alone: spec.settings.workers == 0,
        rootless: machine.rootless,
        cgroups: machine.cgroups,
    }
}

/// Runs `kubeadm init` or `join` with the configuration `file`, which holds a token for the latter and is not kept.
async fn kubeadm(
    engine: &Engine,
    node: &Node,
    file: &str,
    verb: &str,
    watch: &dyn Watch,
) -> Result<(), Error> {
    let name = &node.name;
    engine.run(name, &["sh", "-c", RESET]).await?;
    engine.feed(name, &["sh", "-c", &format!("umask 077; cat > {CONFIG}")], file).await?;
    let config = format!("--config={CONFIG}");
    let mut argv = vec!["kubeadm", verb, &config, "--skip-phases=preflight", "--v=6"];
    if verb == "init" {
        argv.push("--skip-token-print");
    }
    let phases = |line: &str| {
        if let Some((phase, rest)) = line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            watch.detail(format!("{phase}: {}", rest.trim().chars().take(60).collect::<String>()));
        }
    };
    let output = engine.exec(name, &argv, None, &phases).await?;
    output.success(name, &argv)?;
    let done = format!("touch {WHOLE}");
    let done = if verb == "join" { format!("rm -f {CONFIG} && {done}") } else { done };
    engine.run(name, &["sh", "-c", &done]).await.map(drop)
}
