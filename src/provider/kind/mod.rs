//! Kubernetes in Docker, as kind makes it: every node is a container of a node image.
//!
//! No program is called but those in the nodes: the Engine is spoken to over its API. What is made carries kind's labels
//! (then kind itself knows the cluster) and our own, which say whose it is; whatever lacks them is never touched.
//!
//! Entry point: [`Kind`]. The stages, in order: the image of the nodes, the network that kind's clusters share, the
//! nodes, Kubernetes on them, the add-ons the image brings, and the platform's image for containerd.

mod add_ons;
mod archive;
mod checks;
mod container;
mod engine;
mod evidence;
mod images;
mod kubeadm;
mod kubeconfig;
mod kubernetes;
mod machine;
mod names;
mod network;
mod node_image;
mod nodes;
mod platform_image;
mod ports;
mod removal;
#[cfg(test)]
mod testing;

use std::{
    io::Read,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

pub(crate) use checks::{MEMORY_MIB, find};
pub(crate) use engine::{Engine, address, optional};
pub(crate) use machine::Machine;
pub(crate) use node_image::{DEFAULT as DEFAULT_IMAGE, DOWNLOAD, available, present};

use crate::{
    Admit, Boxed, Check, ClusterSpec, Error, Freed, Image, Keeper, Leftover, Provider, Removal,
    Removed, Removing, Stage, Surroundings, Watch, api,
};

/// Makes clusters out of containers of a Docker Engine.
#[derive(Clone, Copy, Debug)]
pub struct Kind;

/// A stage by its name in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    NodeImage,
    Network,
    Nodes,
    Kubernetes,
    AddOns,
    PlatformImage,
}

impl Part {
    const ALL: [Self; 6] = [
        Self::NodeImage,
        Self::Network,
        Self::Nodes,
        Self::Kubernetes,
        Self::AddOns,
        Self::PlatformImage,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::NodeImage => "node-image",
            Self::Network => "network",
            Self::Nodes => "nodes",
            Self::Kubernetes => "kubernetes",
            Self::AddOns => "add-ons",
            Self::PlatformImage => "platform-image",
        }
    }

    fn find(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|part| part.name() == name);
        found.ok_or_else(|| Error::Task(format!("a cluster of kind has no stage {name:?}")))
    }

    fn stage(self, spec: &ClusterSpec) -> Stage {
        let (title, after): (String, &'static [&'static str]) = match self {
            Self::NodeImage => ("node image".to_owned(), &[]),
            Self::Network => ("network kind".to_owned(), &[]),
            Self::Nodes => {
                let title = match spec.settings.workers {
                    0 => "node".to_owned(),
                    workers => format!("{} nodes", workers + 1),
                };
                (title, &["node-image", "network"])
            }
            Self::Kubernetes => ("Kubernetes".to_owned(), &["nodes"]),
            Self::AddOns => ("pod network and storage class".to_owned(), &["kubernetes"]),
            Self::PlatformImage => ("platform image on the nodes".to_owned(), &["nodes"]),
        };
        Stage { name: self.name(), title, after }
    }
}

impl Provider for Kind {
    fn name(&self) -> &'static str {
        "kind"
    }

    fn patience(&self) -> Duration {
        // With a download over a slow line.
        Duration::from_secs(1_200)
    }

    fn stages(&self, spec: &ClusterSpec) -> Vec<Stage> {
        Part::ALL.into_iter().map(|part| part.stage(spec)).collect()
    }

    fn preflight<'a>(&'a self, spec: &'a ClusterSpec) -> Boxed<'a, Result<(), Error>> {
        Box::pin(async move {
            let engine = Engine::of(spec).await?;
            Machine::of(&engine).await?.runs_the_platform(&engine)
        })
    }

    fn ensure<'a>(
        &'a self,
        spec: &'a ClusterSpec,
        stage: &'a str,
        timeout: Duration,
        watch: &'a dyn Watch,
    ) -> Boxed<'a, Result<(), Error>> {
        Box::pin(async move {
            let part = Part::find(stage)?;
            let engine = Engine::of(spec).await?;
            match part {
                Part::NodeImage => node_image::ensure(&engine, spec, timeout, watch).await,
                Part::Network => network::ensure(&engine).await,
                Part::Nodes => {
                    if !nodes::are_running(&engine, spec).await {
                        ports::free(&engine, spec).await?;
                    }
                    nodes::ensure(&engine, spec, timeout, watch).await
                }
                Part::Kubernetes => kubernetes::ensure(&engine, spec, timeout, watch).await,
                Part::AddOns => add_ons::ensure(&engine, spec).await,
                Part::PlatformImage => images::ensure_platform(&engine, spec, watch).await,
            }
        })
    }

    fn holds<'a>(&'a self, spec: &'a ClusterSpec, stage: &'a str) -> Boxed<'a, bool> {
        Box::pin(async move {
            let (Ok(part), Ok(engine)) = (Part::find(stage), Engine::of(spec).await) else {
                return false;
            };
            match part {
                // Nodes that are there do not need it any more.
                Part::NodeImage => {
                    let image = node_image::wanted(spec);
                    nodes::are_running(&engine, spec).await
                        || node_image::present(&engine, image).await.is_ok_and(|it| it.is_some())
                }
                Part::Network => network::exists(&engine).await.unwrap_or(false),
                Part::Nodes => nodes::are_running(&engine, spec).await,
                Part::Kubernetes => kubernetes::holds(&engine, spec).await,
                Part::AddOns => add_ons::hold(&engine, spec).await,
                Part::PlatformImage => images::holds_platform(&engine, spec).await,
            }
        })
    }

    fn remove<'a>(
        &'a self,
        spec: &'a ClusterSpec,
        stage: &'a str,
        how: Removal,
    ) -> Boxed<'a, Result<Removed, Error>> {
        Box::pin(async move {
            let part = Part::find(stage)?;
            let engine = Engine::of(spec).await?;
            let until = Instant::now() + if how.interrupted { LATE } else { Duration::ZERO };
            let work = async {
                match part {
                    Part::NodeImage => node_image::remove(&engine, how.images).await,
                    Part::Network => again(until, || network::remove(&engine)).await,
                    Part::Nodes => {
                        let mut removed = again(until, || nodes::remove(&engine, spec)).await?;
                        removed.count += usize::from(forget(spec)?);
                        Ok(removed)
                    }
                    // These are in the nodes, and go with them.
                    Part::Kubernetes | Part::AddOns | Part::PlatformImage => Ok(Removed::default()),
                }
            };
            tokio::time::timeout(how.timeout, work)
                .await
                .map_err(|_| Error::StillThere { waited: how.timeout })?
        })
    }

    fn is_up<'a>(&'a self, spec: &'a ClusterSpec) -> Boxed<'a, bool> {
        Box::pin(async move { api::answers(&kubeconfig::path(spec)).await.is_ok() })
    }

    fn kubeconfig(&self, spec: &ClusterSpec) -> PathBuf {
        kubeconfig::path(spec)
    }

    fn load_image<'a>(
        &'a self,
        spec: &'a ClusterSpec,
        tar: Box<dyn Read + Send>,
        admit: Admit,
    ) -> Boxed<'a, Result<Vec<Image>, Error>> {
        Box::pin(async move { images::load(&Engine::of(spec).await?, spec, tar, admit).await })
    }

    fn images<'a>(&'a self, spec: &'a ClusterSpec) -> Boxed<'a, Result<Vec<Image>, Error>> {
        Box::pin(async move { images::list(&Engine::of(spec).await?, spec).await })
    }

    fn remove_images<'a>(
        &'a self,
        spec: &'a ClusterSpec,
        references: &'a [String],
        how: Removing,
    ) -> Boxed<'a, Result<Freed, Error>> {
        Box::pin(
            async move { removal::remove(&Engine::of(spec).await?, spec, references, how).await },
        )
    }

    fn pause<'a>(
        &'a self,
        spec: &'a ClusterSpec,
        timeout: Duration,
    ) -> Boxed<'a, Result<(), Error>> {
        Box::pin(async move {
            let engine = Engine::of(spec).await?;
            tokio::time::timeout(timeout, nodes::stop(&engine, spec))
                .await
                .map_err(|_| Error::NotStopped { waited: timeout })?
        })
    }

    fn keeper(&self) -> Result<&dyn Keeper, Error> {
        Err(Error::NoSnapshots {
            provider: "kind",
            why: "objects, volumes and images are inside of the node containers, in layers and volumes that the Docker \
                  Engine keeps and gives to nobody whole",
        })
    }

    fn residue<'a>(&'a self, spec: &'a ClusterSpec) -> Boxed<'a, Result<Vec<Leftover>, Error>> {
        Box::pin(async move {
            let engine = Engine::of(spec).await?;
            let mut left = nodes::residue(&engine, spec).await?;
            if spec.home.exists() {
                let name = spec.home.display().to_string();
                left.push(Leftover { kind: "file".to_owned(), name });
            }
            Ok(left)
        })
    }

    fn log(&self, _: &ClusterSpec) -> Option<PathBuf> {
        // The nodes have their own logs, each in its container.
        None
    }

    fn evidence<'a>(
        &'a self,
        spec: &'a ClusterSpec,
        into: &'a Path,
    ) -> Boxed<'a, Result<(), Error>> {
        Box::pin(async move { evidence::collect(&Engine::of(spec).await?, spec, into).await })
    }

    fn checks<'a>(&'a self, around: &'a Surroundings) -> Boxed<'a, Vec<Check>> {
        Box::pin(checks::all(around))
    }
}

/// How long the Engine may go on with what a caller asked for who died then.
const LATE: Duration = Duration::from_secs(3);
/// How long to wait before looking once more for what the Engine may have gone on with.
const PAUSE: Duration = Duration::from_millis(150);

/// Removes until `until`, and once at least.
async fn again<F>(until: Instant, remove: impl Fn() -> F) -> Result<Removed, Error>
where
    F: Future<Output = Result<Removed, Error>>,
{
    let mut removed = remove().await?;
    while Instant::now() < until {
        tokio::time::sleep(PAUSE).await;
        let more = remove().await?;
        removed.count += more.count;
        removed.kept = more.kept;
    }
    Ok(removed)
}

/// Removes the cluster's own folder, and says whether there was one.
fn forget(spec: &ClusterSpec) -> Result<bool, Error> {
    match std::fs::remove_dir_all(&spec.home) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(Error::File { verb: "remove", path: spec.home.clone(), source }),
    }
}

/// Runs `work`, which blocks, on a thread for that.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Task(error.to_string()))
}
