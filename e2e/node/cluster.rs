//! The embedded cluster inside of the container.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use curtain_embedded::{ClusterConfig, Reach, Registries};

use crate::{Outcome, documents::InitSettings};

/// Where the cluster and the images are, on the volume.
pub(crate) const HOME: &str = "/var/lib/curtain-node";
/// The administrator's kubeconfig, where kubeadm puts it.
pub(crate) const ADMIN: &str = "/etc/kubernetes/admin.conf";
/// The kubelet's.
pub(crate) const KUBELET: &str = "/etc/kubernetes/kubelet.conf";
/// This program, as the image has it.
const BINARY: &str = "/usr/local/bin/entrypoint";

const START_LIMIT: Duration = Duration::from_secs(30);
const READY_LIMIT: Duration = Duration::from_secs(60);
/// The node, then pods that do not listen to signals, get 5 seconds each.
const STOP_LIMIT: Duration = Duration::from_secs(12);

/// The cluster of this container, once `kubeadm init` has made one.
pub(crate) fn known() -> Option<ClusterConfig> {
    ClusterConfig::read(&Path::new(HOME).join("config.json")).ok()
}

/// The cluster that `settings` ask for.
pub(crate) fn config(settings: &InitSettings) -> Result<ClusterConfig, String> {
    let range = |text: &str| text.parse().map_err(|error| format!("{error}"));
    let ranges = settings.node_port_addresses.iter().map(|text| range(text));
    Ok(ClusterConfig {
        version: ClusterConfig::VERSION,
        instance: "node".to_owned(),
        home: PathBuf::from(HOME),
        binary: PathBuf::from(BINARY),
        // Every image has to be imported, as into a containerd.
        own_image: "none.invalid/none:none".to_owned(),
        api_listen: ([0, 0, 0, 0], settings.port).into(),
        front_doors: Vec::new(),
        service_cidr: range(&settings.service_subnet)?,
        pod_cidr: range(&settings.pod_subnet)?,
        reach: Reach {
            node_name: Some(settings.node_name.clone()),
            api_names: settings.api_names.clone(),
            node_port_addresses: ranges.collect::<Result<_, _>>()?,
        },
        registries: Registries::default(),
        sight: true,
        offline: false,
    })
}

/// Makes keys, certificates and directories.
pub(crate) fn prepare(config: &ClusterConfig) -> Outcome {
    curtain_embedded::init(config).map_err(|error| error.to_string())
}

/// Starts a prepared cluster and waits for its API.
pub(crate) fn start(config: &ClusterConfig) -> Outcome {
    curtain_embedded::start(config, START_LIMIT).map_err(|error| error.to_string())?;
    wait(&config.admin_kubeconfig())
}

/// Stops it, keeping everything that it stored.
pub(crate) fn stop(config: &ClusterConfig) -> Outcome {
    curtain_embedded::stop(config, STOP_LIMIT).map_err(|error| error.to_string())
}

/// Waits until the API server says that it is ready and the node has registered.
fn wait(kubeconfig: &Path) -> Outcome {
    let start = Instant::now();
    loop {
        let nodes = kubectl(kubeconfig, &["get", "nodes", "-o", "name"], None);
        match nodes {
            Ok(nodes) if !nodes.is_empty() => return Ok(()),
            Ok(_) if start.elapsed() > READY_LIMIT => {
                return Err(format!("waited {READY_LIMIT:?} for the node to register"));
            }
            Err(error) if start.elapsed() > READY_LIMIT => {
                return Err(format!("waited {READY_LIMIT:?} for the API server: {error}"));
            }
            _ => sleep(Duration::from_millis(50)),
        }
    }
}

/// Writes the kubeconfigs as kubeadm does: for the cluster's end point instead of this machine's. The kubelet's, which
/// nobody reads here, says to others that this node was set up.
pub(crate) fn write_kubeconfigs(config: &ClusterConfig, endpoint: &str) -> Outcome {
    let path = config.admin_kubeconfig();
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let own = format!("server: https://{}", config.api_address());
    let text = text.replace(&own, &format!("server: https://{endpoint}"));
    private(KUBELET, &text)?;
    private(ADMIN, &text)
}

/// Writes a file that is nobody else's to read.
pub(crate) fn private(path: &str, text: &str) -> Outcome {
    use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};
    let file = fs::File::options().create(true).write(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| format!("{path}: {error}"))
}

/// Runs the image's kubectl; what it printed.
pub(crate) fn kubectl(
    kubeconfig: &Path,
    words: &[&str],
    input: Option<&str>,
) -> Result<String, String> {
    use std::{io::Write as _, process::Stdio};
    let fail = |error| format!("kubectl: {error}");
    let mut child = Command::new("kubectl")
        .args(["--request-timeout=10s", "--cache-dir=/tmp/kubectl", "--kubeconfig"])
        .arg(kubeconfig)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(fail)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.unwrap_or_default().as_bytes()).map_err(fail)?;
    }
    let output = child.wait_with_output().map_err(fail)?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("kubectl {words:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}

pub(crate) fn supervise(path: &str) -> Outcome {
    curtain_embedded::supervise(Path::new(path)).map_err(|error| error.to_string())
}

pub(crate) fn node(path: &str, fd: &str) -> Outcome {
    tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stderr).init();
    curtain_embedded::run_node(Path::new(path), number(fd)?).map_err(|error| error.to_string())
}

pub(crate) fn shim(fd: &str) -> Outcome {
    curtain_embedded::run_shim(number(fd)?).map_err(|error| error.to_string())
}

pub(crate) fn pause() -> Outcome {
    curtain_embedded::run_pause().map_err(|error| error.to_string())
}

pub(crate) fn store(path: &str, fd: &str) -> Outcome {
    curtain_embedded::store_image(Path::new(path), number(fd)?).map_err(|error| error.to_string())
}

fn number(fd: &str) -> Result<i32, String> {
    fd.parse().map_err(|error| format!("--control-fd {fd}: {error}"))
}
