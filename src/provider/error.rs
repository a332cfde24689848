//! What can go wrong with a cluster, and what to do about it.

use std::{io, path::PathBuf, time::Duration};

#[cfg(target_os = "linux")]
use curtain_embedded::{node::images::ImageError, snapshot::SnapshotError};

/// The class of an error; the command line has an exit code for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A port of this machine belongs to somebody else.
    PortInUse,
    /// No space is left.
    DiskFull,
    /// Input from the user that cannot be used.
    BadInput,
    /// Something did not happen in time.
    Timeout,
    /// The machine lacks something.
    Unmet,
    /// What was asked for is not there.
    NotFound,
    /// Somebody wanted it to end.
    Interrupted,
    /// Anything else.
    Other,
}

/// A failed call of a provider.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `--provider` names one that does not exist.
    #[error("there is no provider {name:?}; known: auto, {}", super::NAMES.join(", "))]
    UnknownProvider {
        /// The name that was given.
        name: String,
    },
    /// No Engine was found where Engines are.
    #[error(
        "no Docker Engine was found: there is no {} where Docker, Podman and their desktops have one",
        if cfg!(windows) { "pipe" } else { "socket" }
    )]
    NoEngineAnywhere,
    /// The context that names the Engine does not exist.
    #[error(
        "there is no Docker context {name:?} in {folder}, which {by} names; `docker context ls` shows those there are",
        folder = .folder.display()
    )]
    NoContext {
        /// Its name.
        name: String,
        /// What names it.
        by: String,
        /// Where contexts are.
        folder: PathBuf,
    },
    /// An Engine does not answer, or cannot be used.
    #[error("the Docker Engine at {address} cannot be used: {why}")]
    NoEngine {
        /// Its address.
        address: String,
        /// Why not.
        why: String,
    },
    /// The user may not use the Engine.
    #[error("this user may not use the Docker Engine at {address}; {}", admission())]
    EngineDenied {
        /// Its address.
        address: String,
    },
    /// The Engine's containers are not for Linux.
    #[error(
        "the Docker Engine at {address} runs containers for {theirs}, and nodes are Linux; switch it to Linux containers"
    )]
    OtherContainers {
        /// The Engine's address.
        address: String,
        /// The system of its containers.
        theirs: String,
    },
    /// The Engine's machine cannot run what the platform's image holds.
    #[error(
        "the Docker Engine at {address} runs on {theirs}, and this is the curtain for {ours}; use the curtain for \
         {theirs}, or an Engine on {ours}"
    )]
    OtherArchitecture {
        /// The Engine's address.
        address: String,
        /// The architecture of its machine.
        theirs: String,
        /// The architecture of the program in the image.
        ours: &'static str,
    },
    /// The Engine refused something.
    #[error("the Docker Engine at {address} could not {tried}: {source}")]
    Engine {
        /// Its address.
        address: String,
        /// What was tried.
        tried: String,
        /// Its answer.
        source: Box<bollard::errors::Error>,
    },
    /// The image of the nodes is not there and cannot be had.
    #[error(
        "the node image {image} is not in the Engine and cannot be downloaded: {why}; {}",
        or_embedded(
            "load it with `docker load` or name another with --node-image",
            ", which needs none"
        )
    )]
    NodeImageMissing {
        /// The image.
        image: String,
        /// What happened.
        why: String,
    },
    /// The image is not one of a node.
    #[error("{image} is not a node image: {why}; name one of kindest/node with --node-image")]
    NotANodeImage {
        /// The image.
        image: String,
        /// What shows it.
        why: String,
    },
    /// A node does not come up.
    #[error("the node {node} did not boot: {why}; the end of its log:\n{said}")]
    NotBooted {
        /// The node.
        node: String,
        /// What happened.
        why: String,
        /// The end of its log.
        said: String,
    },
    /// A program in a node failed.
    #[error("`{command}` in {node} ended with code {code}:\n{said}")]
    Program {
        /// The node.
        node: String,
        /// The program and its arguments.
        command: String,
        /// How it ended.
        code: i64,
        /// The end of what it wrote.
        said: String,
    },
    /// Something in a node is not as its image should have it.
    #[error("{path} of {node} cannot be used: {why}")]
    NodeFile {
        /// The node.
        node: String,
        /// What was read.
        path: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A node vanished meanwhile.
    #[error(
        "the node {node} is gone; `curtain up` makes it again, `curtain down` removes what is left"
    )]
    NodeGone {
        /// The node.
        node: String,
    },
    /// Kubernetes did not come up in time.
    #[error(
        "Kubernetes on {node} was not there within {seconds:.0} s; `--timeout` gives it longer",
        seconds = .waited.as_secs_f32()
    )]
    KubernetesLate {
        /// The node.
        node: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// Kubernetes came up, and its API does not answer here.
    #[error("the cluster's API at {url} did not answer within {seconds:.1} s (last: {last})", seconds = .waited.as_secs_f32())]
    KubernetesSilent {
        /// Where it was expected.
        url: String,
        /// How long it was waited for.
        waited: Duration,
        /// What the last try said.
        last: String,
    },
    /// Something of that name is there, and this instance did not make it.
    #[error(
        "there is a {what} that this instance did not make; use another --name, or remove it by the means it was made with"
    )]
    NotOurs {
        /// What it is.
        what: String,
    },
    /// An option of nodes for a provider that has none.
    #[error("{option} is for kind: the provider {provider} has one node and no image of it")]
    NoNodes {
        /// The option.
        option: &'static str,
        /// The provider.
        provider: String,
    },
    /// A cluster of which it cannot be said that nothing leaves it.
    #[error(
        "--offline is for the embedded cluster: the provider kind cannot keep its pods on this machine; leave --provider out, or --offline"
    )]
    NotOffline,
    /// The cluster may not be given the images of an archive.
    #[error("{why}")]
    NotAdmitted {
        /// What was said of them.
        why: String,
    },
    /// The archive holds no images.
    #[error("it is not an archive of images: {why}")]
    Archive {
        /// What is wrong with it.
        why: String,
    },
    /// No provider can make a cluster here.
    #[error("no cluster can be made on this machine:\n  kind: {kind}\n  embedded: {embedded}")]
    NoProvider {
        /// Why kind cannot.
        kind: Box<Error>,
        /// Why the embedded cluster cannot.
        embedded: Box<Error>,
    },
    /// The embedded cluster on a system that it is not made for.
    #[error(
        "the embedded cluster is made of the Linux kernel, and this is {system}; use `--provider kind` with Docker \
         Desktop or another Docker Engine on this machine",
        system = std::env::consts::OS
    )]
    NotLinux,
    /// The specification has no such door.
    #[error("the cluster has no door called {name:?}")]
    UnknownDoor {
        /// The name that was asked for.
        name: String,
    },
    /// A file could not be read or written.
    #[error("cannot {verb} {path}: {source}", path = .path.display())]
    File {
        /// What was tried: `write`, `read`, `create`.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The caller may not do what the provider does.
    #[error(
        "the embedded cluster of an ordinary user needs user namespaces, and here {seen}; to change that: {fix}; or use \
         `--provider kind` with a Docker Engine"
    )]
    NoNamespaces {
        /// What is in the way.
        seen: String,
        /// How it is removed.
        fix: String,
    },
    /// A port that an instance keeps is taken by another program.
    #[error(
        "port {port} on 127.0.0.1 is in use by another program, and this instance keeps it for its {door}; \
         stop that program and try again; `curtain down` and `curtain up` make a new instance, with another port"
    )]
    PortInUse {
        /// The port.
        port: u16,
        /// What the instance uses it for.
        door: String,
    },
    /// The cluster's main process ended while it was being waited for.
    #[error("the cluster stopped while starting; the end of {log}:\n{tail}", log = .log.display())]
    Died {
        /// Its log.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// The API did not answer in time.
    #[error(
        "the cluster's API at {url} did not answer within {seconds:.1} s (last: {last}); the end of {log}:\n{tail}",
        seconds = .waited.as_secs_f32(), log = .log.display()
    )]
    NotAnswering {
        /// Where it was expected.
        url: String,
        /// How long it was waited for.
        waited: Duration,
        /// What the last try said.
        last: String,
        /// The cluster's log.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// The embedded cluster refused.
    #[cfg(target_os = "linux")]
    #[error("{what}: {source}")]
    Embedded {
        /// What was tried.
        what: &'static str,
        /// Its own explanation.
        source: curtain_embedded::Error,
    },
    /// An image archive cannot be used, or images cannot be listed.
    #[cfg(target_os = "linux")]
    #[error(transparent)]
    Image(#[from] ImageError),
    /// An image that its registry does not have for this machine.
    #[error("{why}")]
    NotInRegistry {
        /// What the registry says.
        why: String,
    },
    /// An image that is to be removed and is not there.
    #[error("the cluster has no image {reference}; `curtain image list` shows those it has")]
    NoSuchImage {
        /// The image.
        reference: String,
    },
    /// An image that is to be removed and is needed.
    #[error("a container of the cluster runs from the image {reference}; remove its pod first")]
    ImageInUse {
        /// The image.
        reference: String,
    },
    /// A registry that does not say whether it has an image: it cannot be reached, is slow, or cannot serve now.
    #[error("whether there is an image {image} cannot be found out: {why}")]
    RegistrySilent {
        /// The image.
        image: String,
        /// What happened.
        why: String,
    },
    /// A registry whose answers cannot be used.
    #[error("whether there is an image {image} cannot be found out: {why}")]
    RegistryUnclear {
        /// The image.
        image: String,
        /// What is wrong with them.
        why: String,
    },
    /// The machine's settings for registries.
    #[cfg(target_os = "linux")]
    #[error("{} cannot be used: {why}; correct it or remove it", path.display())]
    Registries {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Removing the cluster left something.
    #[error("the cluster could not be removed within {seconds:.1} s; run `curtain down` again", seconds = .waited.as_secs_f32())]
    StillThere {
        /// How long it was waited for.
        waited: Duration,
    },
    /// Pausing the cluster took too long.
    #[error(
        "the nodes could not be stopped within {seconds:.1} s; `curtain pause` again goes on, `curtain resume` starts them",
        seconds = .waited.as_secs_f32()
    )]
    NotStopped {
        /// How long it was waited for.
        waited: Duration,
    },
    /// The state of the provider's clusters cannot be saved.
    #[error(
        "an instance on {provider} can be neither saved nor restored: {why}; `curtain pause` keeps all of it in its \
         place, and an instance made by `curtain up --provider embedded`, on Linux, has snapshots"
    )]
    NoSnapshots {
        /// The provider.
        provider: &'static str,
        /// Why not.
        why: &'static str,
    },
    /// The state of an ordinary user's cluster is not the user's to save.
    #[error(
        "an ordinary user's instance on embedded can be neither saved nor restored: files in it are of ids that are not \
         this user's to read or to give away; `curtain pause` keeps all of it in its place, and root's instances have \
         snapshots"
    )]
    RootsSnapshots,
    /// A snapshot could not be made or used.
    #[cfg(target_os = "linux")]
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A snapshot takes longer than it may.
    #[error("it took longer than {:.0} s; `--timeout` gives it longer", .limit.as_secs_f32())]
    SnapshotLate {
        /// How long it had.
        limit: Duration,
    },
    /// Somebody wanted it to end.
    #[error("interrupted")]
    Interrupted,
    /// A blocking task of this program was lost.
    #[error("an internal task failed: {0}")]
    Task(String),
}

impl Error {
    /// Whether the cluster's nodes have what explains this: then it is worth collecting before they go.
    pub fn is_in_nodes(&self) -> bool {
        matches!(
            self,
            Self::NotANodeImage { .. }
                | Self::NotBooted { .. }
                | Self::Program { .. }
                | Self::NodeFile { .. }
                | Self::KubernetesLate { .. }
                | Self::KubernetesSilent { .. }
        )
    }

    /// Whether the Engine's answer has `text` in it.
    pub(crate) fn says(&self, text: &str) -> bool {
        matches!(self, Self::Engine { source, .. } if source.to_string().contains(text))
    }

    /// The class of this error.
    pub fn kind(&self) -> Kind {
        match self {
            Self::UnknownProvider { .. }
            | Self::NoContext { .. }
            | Self::NotANodeImage { .. }
            | Self::NotOurs { .. }
            | Self::NoNodes { .. }
            | Self::NotOffline
            | Self::NoSnapshots { .. }
            | Self::RootsSnapshots
            | Self::NotAdmitted { .. }
            | Self::Archive { .. } => Kind::BadInput,
            Self::NoNamespaces { .. }
            | Self::NotLinux
            | Self::OtherContainers { .. }
            | Self::OtherArchitecture { .. }
            | Self::NoEngineAnywhere
            | Self::NoEngine { .. }
            | Self::EngineDenied { .. }
            | Self::NoProvider { .. }
            | Self::NodeImageMissing { .. } => Kind::Unmet,
            Self::PortInUse { .. } => Kind::PortInUse,
            Self::NotAnswering { .. }
            | Self::KubernetesLate { .. }
            | Self::KubernetesSilent { .. }
            | Self::RegistrySilent { .. }
            | Self::NotStopped { .. }
            | Self::SnapshotLate { .. }
            | Self::StillThere { .. } => Kind::Timeout,
            Self::Program { said, .. } if said.contains("no space left") => Kind::DiskFull,
            Self::Engine { source, .. } if source.to_string().contains("no space left") => {
                Kind::DiskFull
            }
            #[cfg(target_os = "linux")]
            Self::Embedded { source, .. } => embedded(source),
            Self::NoSuchImage { .. } => Kind::NotFound,
            Self::Interrupted => Kind::Interrupted,
            #[cfg(target_os = "linux")]
            Self::Snapshot(source) => snapshot(source),
            #[cfg(target_os = "linux")]
            Self::Image(ImageError::NoRoom { .. }) => Kind::DiskFull,
            #[cfg(target_os = "linux")]
            Self::Image(source) if disk_full(source) => Kind::DiskFull,
            #[cfg(target_os = "linux")]
            Self::Image(_) | Self::Registries { .. } => Kind::BadInput,
            Self::File { source, .. } if full(source) => Kind::DiskFull,
            Self::Died { tail, .. } if tail.contains("os error 28") => Kind::DiskFull,
            _ => Kind::Other,
        }
    }
}

/// The class of an error of the embedded cluster.
#[cfg(target_os = "linux")]
fn embedded(error: &curtain_embedded::Error) -> Kind {
    match error {
        error if disk_full(error) => Kind::DiskFull,
        curtain_embedded::Error::Listen { .. } => Kind::PortInUse,
        curtain_embedded::Error::Timeout { .. } => Kind::Timeout,
        _ => Kind::Other,
    }
}

/// The class of an error of a snapshot.
#[cfg(target_os = "linux")]
fn snapshot(error: &SnapshotError) -> Kind {
    match error {
        SnapshotError::NoRoom { .. } => Kind::DiskFull,
        SnapshotError::Damaged { .. } => Kind::BadInput,
        SnapshotError::Stopped => Kind::Interrupted,
        SnapshotError::File { .. } if disk_full(error) => Kind::DiskFull,
        SnapshotError::File { action: "open", .. } => Kind::BadInput,
        SnapshotError::File { .. } => Kind::Other,
    }
}

/// How a user comes to use an Engine.
fn admission() -> &'static str {
    if cfg!(windows) {
        "join the group docker-users, then log in again"
    } else if cfg!(target_os = "macos") {
        "start Docker Desktop as this user"
    } else {
        "join the group that owns the socket (`sudo usermod -aG docker $USER`, then log in again), or run curtain as root"
    }
}

/// What else to do where there is no Engine, or none that will do.
pub(crate) fn or_embedded(otherwise: &str, because: &str) -> String {
    match cfg!(target_os = "linux") {
        true => format!("{otherwise}, or use `--provider embedded`{because}"),
        false => otherwise.to_owned(),
    }
}

fn full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Whether `ENOSPC` is anywhere below `error`.
#[cfg(target_os = "linux")]
fn disk_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<io::Error>().is_some_and(full) {
            return true;
        }
        next = error.source();
    }
    false
}
