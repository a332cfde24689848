//! From a pod's container to what a shim starts.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Component, Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, SeccompProfile};
use kube::ResourceExt;

use super::environment::Environment;
use super::expand::expand;
use super::volumes::{self, Prepared};
use super::{ephemeral, resolver, resources};
use crate::ClusterConfig;
use crate::node::images::{self, Image, ImageConfig, ImageError, Reference};
use crate::node::sandbox::{
    Capabilities, ContainerSpec, LAYER, LogSpec, Mount, MountSource, Processes, Profile, RootFs,
    UserSpec,
};
use crate::node::shim::numbered;

const LOG_BYTES: u64 = 10 << 20;
const LOG_FILES: u32 = 3;
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
const TERMINATION_LOG: &str = "/dev/termination-log";

/// An image that a container can start from.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// The node's own executable.
    Own,
    /// A stored image.
    Stored(Box<Image>),
}

impl Source {
    /// Finds an image; `None` if it is not on this machine.
    pub(super) fn find(
        config: &ClusterConfig,
        reference: &Reference,
    ) -> Result<Option<Self>, ImageError> {
        if config.own_image.parse::<Reference>().is_ok_and(|own| own == *reference) {
            return Ok(Some(Self::Own));
        }
        let found = images::find(&config.home, reference.as_str())?;
        Ok(found.map(|image| Self::Stored(Box::new(image))))
    }

    /// Whether the store still has what was found; an index that cannot be read is no sign of the contrary.
    pub(super) fn is_there(&self, config: &ClusterConfig) -> bool {
        let Self::Stored(image) = self else { return true };
        let stored = images::list(&config.home);
        stored.map_or(true, |all| all.values().any(|one| one.layers == image.layers))
    }

    pub(super) fn config(&self) -> ImageConfig {
        match self {
            Self::Own => {
                ImageConfig { entrypoint: vec!["/curtain".to_owned()], ..ImageConfig::default() }
            }
            Self::Stored(image) => image.config.clone(),
        }
    }

    pub(super) fn id(&self, config: &ClusterConfig) -> String {
        match self {
            Self::Own => config.own_image.clone(),
            Self::Stored(image) => image.id.clone(),
        }
    }

    fn root(&self, config: &ClusterConfig) -> RootFs {
        match self {
            Self::Own => {
                RootFs::Own { binary: config.binary.clone(), authorities: Some(AUTHORITIES.into()) }
            }
            Self::Stored(image) => RootFs::Overlay {
                store: images::layers_dir(&config.home),
                layers: image.layers.clone(),
            },
        }
    }
}

/// Images that are mounted, by volume.
pub(super) type Images = BTreeMap<String, Source>;

/// Directories and generated files of a pod.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// Everything of the pod but its logs.
    pub(super) dir: PathBuf,
    /// Its logs.
    pub(super) logs: PathBuf,
}

impl Places {
    pub(super) fn of(config: &ClusterConfig, pod: &Pod) -> Self {
        let uid = pod.uid().unwrap_or_default();
        let namespace = pod.namespace().unwrap_or_default();
        let logs = format!("{namespace}_{}_{uid}", pod.name_any());
        Self { dir: config.pods_dir().join(&uid), logs: config.logs_dir().join(logs) }
    }

    pub(super) fn volumes(&self) -> PathBuf {
        self.dir.join("volumes")
    }

    pub(super) fn attempt(&self, container: &str, attempt: u32) -> PathBuf {
        self.dir.join("containers").join(container).join(attempt.to_string())
    }

    /// The writable layer of an attempt, if it has one on the disk.
    pub(super) fn layer(&self, container: &str, attempt: u32) -> PathBuf {
        self.attempt(container, attempt).join(LAYER)
    }

    pub(super) fn log(&self, container: &str, attempt: u32) -> PathBuf {
        self.logs.join(container).join(format!("{attempt}.log"))
    }

    pub(super) fn termination_log(&self, container: &str, attempt: u32) -> PathBuf {
        self.attempt(container, attempt).join("termination-log")
    }
}

/// A pod's host name.
pub(super) fn hostname(pod: &Pod) -> String {
    let spec = pod.spec.as_ref();
    let name = spec.and_then(|spec| spec.hostname.clone()).filter(|name| !name.is_empty());
    let mut name = name.unwrap_or_else(|| pod.name_any());
    name.truncate(63);
    name.trim_end_matches(['-', '.']).to_owned()
}

/// `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf` of a pod: name and text.
pub(super) fn network_files(
    config: &ClusterConfig,
    resolvers: &Path,
    pod: &Pod,
    ip: Ipv4Addr,
) -> Vec<(String, String)> {
    let spec = pod.spec.clone().unwrap_or_default();
    let hostname = hostname(pod);
    let namespace = pod.namespace().unwrap_or_default();
    let mut names = hostname.clone();
    if let Some(subdomain) = spec.subdomain.as_ref().filter(|name| !name.is_empty()) {
        names = format!("{hostname}.{subdomain}.{namespace}.svc.cluster.local {hostname}");
    }
    let mut hosts =
        format!("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n{ip}\t{names}\n");
    for alias in spec.host_aliases.iter().flatten() {
        let names = alias.hostnames.clone().unwrap_or_default().join(" ");
        hosts.push_str(&format!("{}\t{names}\n", alias.ip));
    }
    let host = std::fs::read_to_string(resolvers).unwrap_or_default();
    let resolv = resolver::of(&spec, &namespace, config.dns_service_ip(), &host).to_string();
    let files = [("hosts", hosts), ("hostname", format!("{hostname}\n")), ("resolv.conf", resolv)];
    files.map(|(name, text)| (name.to_owned(), text)).to_vec()
}

/// Everything that a container's start depends on.
pub(super) struct Inputs<'a> {
    pub(super) config: &'a ClusterConfig,
    pub(super) pod: &'a Pod,
    pub(super) container: &'a Container,
    pub(super) attempt: u32,
    pub(super) source: &'a Source,
    pub(super) images: &'a Images,
    pub(super) environment: &'a Environment,
    pub(super) volumes: &'a Prepared,
    pub(super) places: &'a Places,
    /// Bytes of memory of the machine.
    pub(super) memory: u64,
}

/// Builds what the shim starts.
///
/// # Errors
/// The sentence for `CreateContainerConfigError`.
pub(super) fn container(inputs: &Inputs<'_>) -> Result<ContainerSpec, String> {
    let Inputs { config, pod, container, attempt, source, environment, places, .. } = *inputs;
    let image = source.config();
    let spec = pod.spec.clone().unwrap_or_default();
    let pod_context = spec.security_context.clone().unwrap_or_default();
    let context = container.security_context.clone().unwrap_or_default();
    let expanded = |texts: &Option<Vec<String>>| -> Option<Vec<String>> {
        let texts = texts.as_ref().filter(|texts| !texts.is_empty())?;
        Some(texts.iter().map(|text| expand(text, |name| environment.get(name))).collect())
    };
    let mut argv = expanded(&container.command);
    // A command of the pod replaces the image's arguments too.
    let image_args = if argv.is_none() { image.cmd.clone() } else { Vec::new() };
    let mut words = argv.take().unwrap_or_else(|| image.entrypoint.clone());
    words.extend(expanded(&container.args).unwrap_or(image_args));
    if words.is_empty() {
        return Err("no command specified: neither the pod nor the image names one".to_owned());
    }

    let id = |value: Option<i64>| value.and_then(|id| u32::try_from(id).ok());
    let mut groups: Vec<u32> = pod_context
        .supplemental_groups
        .iter()
        .flatten()
        .filter_map(|group| u32::try_from(*group).ok())
        .collect();
    groups.extend(id(pod_context.fs_group));
    let privileged = context.privileged == Some(true);
    let profile = context.seccomp_profile.or(pod_context.seccomp_profile);
    let changes = context.capabilities.unwrap_or_default();
    let uid = pod.uid().unwrap_or_default();
    Ok(ContainerSpec {
        name: container.name.clone(),
        attempt,
        dir: places.attempt(&container.name, attempt),
        root: source.root(config),
        read_only_root: context.read_only_root_filesystem == Some(true),
        argv: words,
        env: environment.pairs(),
        cwd: container.working_dir.clone().unwrap_or(image.working_dir),
        user: UserSpec {
            uid: id(context.run_as_user.or(pod_context.run_as_user)),
            gid: id(context.run_as_group.or(pod_context.run_as_group)),
            groups,
            image: image.user,
            non_root: context.run_as_non_root.or(pod_context.run_as_non_root) == Some(true),
        },
        mounts: mounts(inputs)?,
        capabilities: Capabilities {
            add: changes.add.unwrap_or_default(),
            drop: changes.drop.unwrap_or_default(),
        },
        privileged,
        no_new_privileges: context.allow_privilege_escalation == Some(false) && !privileged,
        seccomp: profile.as_ref().is_none_or(|profile| profile.type_ != "Unconfined"),
        profile: profile.as_ref().map_or(Ok(None), |profile| own_profile(config, profile))?,
        limits: resources::limits(container),
        cgroup: format!("pods/{uid}/{}-{attempt}", container.name),
        oom_score_adj: resources::oom_score_adj(pod, container, inputs.memory),
        log: LogSpec {
            path: places.log(&container.name, attempt),
            max_bytes: LOG_BYTES,
            max_files: LOG_FILES,
        },
        stdin: container.stdin == Some(true),
        stdin_once: container.stdin_once == Some(true),
        terminal: container.tty == Some(true),
        message_file: Some(places.termination_log(&container.name, attempt)),
        processes: processes(&spec, container),
        obsolete: obsolete(places, &container.name, attempt),
    })
}

/// The profile that is a file of this machine, if it is one.
///
/// # Errors
/// A name that leads out of the directory of profiles.
fn own_profile(
    config: &ClusterConfig,
    profile: &SeccompProfile,
) -> Result<Option<Profile>, String> {
    let local = profile.localhost_profile.as_ref().filter(|_| profile.type_ == "Localhost");
    let Some(name) = local else { return Ok(None) };
    if Path::new(name).components().any(|part| !matches!(part, Component::Normal(_))) {
        return Err(format!("the seccomp profile {name:?} is not below the directory of profiles"));
    }
    Ok(Some(Profile::at(config.seccomp_dir().join(name))))
}

/// Whose processes a container sees.
pub(super) fn processes(spec: &PodSpec, container: &Container) -> Processes {
    match ephemeral::target(spec, &container.name) {
        _ if spec.share_process_namespace == Some(true) => Processes::Pod,
        Some(target) => Processes::Of(target.to_owned()),
        None => Processes::Own,
    }
}

fn mounts(inputs: &Inputs<'_>) -> Result<Vec<Mount>, String> {
    let Inputs { container, attempt, places, environment, .. } = *inputs;
    let bind = |path: PathBuf, target: &str, sub_path: Option<String>, read_only: bool| Mount {
        source: MountSource::Bind { path, sub_path },
        target: target.to_owned(),
        read_only,
    };
    let spec = inputs.pod.spec.as_ref();
    let read_only: Vec<&String> = spec
        .and_then(|spec| spec.volumes.as_ref())
        .into_iter()
        .flatten()
        .filter(|volume| volumes::is_read_only(volume))
        .map(|volume| &volume.name)
        .collect();
    let wanted = container.volume_mounts.iter().flatten();
    let taken = |path: &str| wanted.clone().any(|mount| mount.mount_path == path);
    let mut mounts = Vec::new();
    for name in ["hosts", "hostname", "resolv.conf"] {
        let target = format!("/etc/{name}");
        if !taken(&target) {
            mounts.push(bind(places.dir.join("etc").join(name), &target, None, false));
        }
    }
    let message = places.termination_log(&container.name, attempt);
    let target = container.termination_message_path.as_deref().unwrap_or(TERMINATION_LOG);
    if !taken(target) {
        mounts.push(bind(message, target, None, false));
    }
    for mount in container.volume_mounts.iter().flatten() {
        let sub_path = match (&mount.sub_path, &mount.sub_path_expr) {
            (Some(path), _) if !path.is_empty() => Some(path.clone()),
            (_, Some(text)) if !text.is_empty() => Some(expand(text, |name| environment.get(name))),
            _ => None,
        };
        if let Some(image) = inputs.images.get(&mount.name) {
            let source = match image {
                Source::Own => return Err("the platform's own image cannot be a volume".to_owned()),
                Source::Stored(image) => MountSource::Image {
                    store: images::layers_dir(&inputs.config.home),
                    layers: image.layers.clone(),
                    sub_path,
                },
            };
            mounts.push(Mount { source, target: mount.mount_path.clone(), read_only: true });
            continue;
        }
        let path = inputs
            .volumes
            .paths
            .get(&mount.name)
            .ok_or_else(|| format!("the pod has no volume {:?}", mount.name))?;
        let read_only = mount.read_only == Some(true) || read_only.contains(&&mount.name);
        mounts.push(bind(path.clone(), &mount.mount_path, sub_path, read_only));
    }
    Ok(mounts)
}

/// What attempts before the last two have left.
fn obsolete(places: &Places, container: &str, attempt: u32) -> Vec<PathBuf> {
    let Some(old) = attempt.checked_sub(2) else {
        return Vec::new();
    };
    let log = places.log(container, old);
    let rotated = (1..LOG_FILES).map(|number| numbered(&log, number));
    rotated.chain([places.attempt(container, old), log.clone()]).collect()
}

/// The signal with which a container is asked to end.
pub(super) fn signal(text: &str) -> i32 {
    let text = text.trim();
    let name = if text.starts_with("SIG") { text.to_owned() } else { format!("SIG{text}") };
    text.parse::<i32>()
        .ok()
        .or_else(|| name.parse::<nix::sys::signal::Signal>().ok().map(|signal| signal as i32))
        .unwrap_or(libc::SIGTERM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_signals_are_read_by_name_and_number() {
        assert_eq!(["SIGQUIT", "3", "QUIT", "", "?"].map(signal), [3, 3, 3, 15, 15]);
    }
}
