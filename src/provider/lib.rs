//! Where a cluster comes from.
//!
//! Purpose: one trait, [`Provider`], between the appliance and a cluster. Everything above it
//! (bundles, planes, the command line) sees a kubeconfig, an image and a few URLs, and cannot tell
//! which provider made them.
//!
//! A cluster is made in stages, each of which the appliance records before it begins.
//!
//! Invariants:
//! - every call may be repeated: [`Provider::ensure`] of a stage that is there returns at once,
//!   [`Provider::remove`] of an absent one removes nothing and succeeds;
//! - every wait is bounded by the [`Duration`] it is given;
//! - listeners are on loopback only;
//! - what somebody else made is never touched.
//!
//! Entry points: [`choose()`], [`by_name`], [`Provider`], [`ClusterSpec`], [`local_image`].

mod api;
mod check;
mod choose;
#[cfg(target_os = "linux")]
mod embedded;
mod error;
mod keeper;
mod kind;
mod local;
mod ports;
mod spec;
mod surroundings;

use std::{
    collections::BTreeSet,
    io::Read,
    path::{Path, PathBuf},
    pin::Pin,
    time::Duration,
};

pub use api::direct;
pub use check::{Check, State};
pub use choose::{AUTO, Choice, Request, choose};
#[cfg(target_os = "linux")]
pub use embedded::Embedded;
pub use error::{Error, Kind};
pub use keeper::{Contents, Head, Keeper, Stop};
pub use kind::Kind as KindProvider;
pub use local::{LocalImage, local_image};
pub use spec::{ClusterSpec, Door, Settings};
pub use surroundings::Surroundings;

/// A boxed future, so that [`Provider`] can be used as a trait object.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An image that the cluster's nodes now have.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// Full references, for example `docker.io/library/busybox:1.36`.
    pub references: Vec<String>,
    /// Digest of the image configuration, `sha256:…`.
    pub id: String,
    /// Size of all layers, unpacked, in bytes.
    pub size: u64,
    /// Whether the platform or the cluster itself is made of it: nobody removes it.
    #[serde(skip)]
    pub own: bool,
}

/// How images are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removing {
    /// All of them or none: one that is not there, or that a container runs from, is an error.
    Named,
    /// As far as no container runs from them, with whatever else nothing needs any more.
    Unused,
    /// Nothing is removed: what [`Removing::Unused`] would remove is told.
    Dry,
}

/// What removing images came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Freed {
    /// Full references that are gone.
    pub removed: Vec<String>,
    /// Those that a container runs from, and that stay therefore.
    pub kept: Vec<String>,
    /// Bytes of content that nothing needed any more.
    pub bytes: u64,
}

/// Who is asked before a cluster is given images, once: gets every name that they would be kept by, and the images that
/// are there; says why not, in words for people.
pub type Admit = Box<dyn FnOnce(&BTreeSet<String>, &[Image]) -> Result<(), String> + Send>;

/// Admits everything.
pub fn anything() -> Admit {
    Box::new(|_, _| Ok(()))
}

/// Something of a cluster that is still on the machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Leftover {
    /// What it is: `process`, `mount`, `netns`, `cgroup`, `nft`, `file` …
    pub kind: String,
    /// Which one: a pid, a path, a name.
    pub name: String,
}

/// A part of a cluster that is made, found and removed by itself: the appliance records each before it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Its name, unique within the provider.
    pub name: &'static str,
    /// A few words for people.
    pub title: String,
    /// Names of the stages that must be there before it.
    pub after: &'static [&'static str],
}

/// The only stage of a cluster that is made in one go, and what a stage was called before there were several.
pub const WHOLE: &str = "cluster";

/// Who watches a stage while it is being made.
pub trait Watch: Sync {
    /// What it is at, in a few words.
    fn detail(&self, text: String);
    /// How far one part of it is, for example a layer that is being downloaded; `total` is 0 while nobody knows it.
    fn part(&self, name: &str, done: u64, total: u64);
}

/// How a cluster is removed.
#[derive(Clone, Copy, Debug)]
pub struct Removal {
    /// How long it may take.
    pub timeout: Duration,
    /// Whether to remove images, too, that were downloaded for the cluster and may serve the next one.
    pub images: bool,
    /// Whether whoever made the stage may have died while it was being made: what was begun then may still appear.
    pub interrupted: bool,
}

/// What removing a stage came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// How many things are gone.
    pub count: usize,
    /// What stays on purpose, and why.
    pub kept: Vec<Leftover>,
}

/// A source of clusters.
pub trait Provider: Send + Sync {
    /// The name a user gives to `--provider`.
    fn name(&self) -> &'static str;

    /// How long bringing a cluster with the platform up may take, where nobody says.
    fn patience(&self) -> Duration;

    /// The stages of `spec`, each after those it needs.
    fn stages(&self, spec: &ClusterSpec) -> Vec<Stage>;

    /// Whether the cluster can be made at all, said before anything is done.
    ///
    /// # Errors
    /// What the machine or the user lacks.
    fn preflight<'a>(&'a self, spec: &'a ClusterSpec) -> Boxed<'a, Result<(), Error>>;

    /// Makes the stage called `stage`, or what is missing of it. After the last stage the cluster's API answers.
    ///
    /// # Errors
    /// A busy port, a full disk, or something that does not happen within `timeout`, with the end of the log that says
    /// why.
    fn ensure<'a>(
        &'a self,
        spec: &'a ClusterSpec,
        stage: &'a str,
        timeout: Duration,
        watch: &'a dyn Watch,
    ) -> Boxed<'a, Result<(), Error>>;

    /// Whether the stage called `stage` is there in full and works.
    fn holds<'a>(&'a self, spec: &'a ClusterSpec, stage: &'a str) -> Boxed<'a, bool>;

    /// Removes the stage called `stage` with everything in it; what is not there is not missed.
    ///
    /// # Errors
    /// Something that could not be removed in time.
    fn remove<'a>(
        &'a self,
        spec: &'a ClusterSpec,
        stage: &'a str,
        how: Removal,
    ) -> Boxed<'a, Result<Removed, Error>>;

    /// Whether the cluster of `spec` exists and its API answers now.
    fn is_up<'a>(&'a self, spec: &'a ClusterSpec) -> Boxed<'a, bool>;

    /// The administrator's kubeconfig; it exists after the last stage.
    fn kubeconfig(&self, spec: &ClusterSpec) -> PathBuf;

    /// Gives the images in a docker-save or OCI tar to the cluster's nodes, if `admit` lets it, by the names that were
    /// shown to `admit` and no others.
    ///
    /// # Errors
    /// A tar that cannot be read or verified, or that is not admitted; nothing of it is kept then.
    fn load_image<'a>(
        &'a self,
        spec: &'a ClusterSpec,
        tar: Box<dyn Read + Send>,
        admit: Admit,
    ) -> Boxed<'a, Result<Vec<Image>, Error>>;

    /// Whether its registry has the image `reference`, which the cluster's nodes would pull, as far as this machine can
    /// find out without credentials.
    ///
    /// # Errors
    /// [`Error::NotInRegistry`]; [`Error::RegistrySilent`] and [`Error::RegistryUnclear`] where it does not say; and a
    /// reference that is none.
    fn look_up<'a>(
        &'a self,
        _spec: &'a ClusterSpec,
        _reference: &'a str,
    ) -> Boxed<'a, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }

    /// The images the cluster's nodes have.
    ///
    /// # Errors
    /// A store that cannot be read.
    fn images<'a>(&'a self, spec: &'a ClusterSpec) -> Boxed<'a, Result<Vec<Image>, Error>>;

    /// Removes the images of these full references from the cluster's nodes, and the content that no other image needs.
    ///
    /// # Errors
    /// With [`Removing::Named`], [`Error::NoSuchImage`] and [`Error::ImageInUse`]; a store that cannot be changed.
    fn remove_images<'a>(
        &'a self,
        spec: &'a ClusterSpec,
        references: &'a [String],
        how: Removing,
    ) -> Boxed<'a, Result<Freed, Error>>;

    /// Where `door` of the cluster answers from this machine, for example `http://localhost:8080`.
    ///
    /// # Errors
    /// A door that the specification does not have.
    fn expose(&self, spec: &ClusterSpec, door: &str) -> Result<String, Error> {
        let Door { port, .. } =
            spec.door(door).ok_or_else(|| Error::UnknownDoor { name: door.to_owned() })?;
        Ok(format!("http://localhost:{port}"))
    }

    /// Stops every process of the cluster and keeps its state; [`Provider::ensure`] starts it again.
    ///
    /// # Errors
    /// Processes that are still there after `timeout`.
    fn pause<'a>(
        &'a self,
        spec: &'a ClusterSpec,
        timeout: Duration,
    ) -> Boxed<'a, Result<(), Error>>;

    /// What saves the state of its clusters as one file and brings it back.
    ///
    /// # Errors
    /// [`Error::NoSnapshots`] where that state is not in this program's hands, [`Error::RootsSnapshots`] where not all of
    /// it is in the user's.
    fn keeper(&self) -> Result<&dyn Keeper, Error>;

    /// What of the cluster is still on this machine.
    ///
    /// # Errors
    /// A machine that cannot be scanned.
    fn residue<'a>(&'a self, spec: &'a ClusterSpec) -> Boxed<'a, Result<Vec<Leftover>, Error>>;

    /// Where the cluster's own log is, if it has one on this machine.
    fn log(&self, spec: &ClusterSpec) -> Option<PathBuf>;

    /// Writes what explains the state of the cluster's nodes (their journals, the containers they run) into the folder
    /// `into`, as files.
    ///
    /// # Errors
    /// The first that could not be had; the others are written all the same.
    fn evidence<'a>(
        &'a self,
        spec: &'a ClusterSpec,
        into: &'a Path,
    ) -> Boxed<'a, Result<(), Error>>;

    /// Looks at what this provider needs of the machine.
    fn checks<'a>(&'a self, around: &'a Surroundings) -> Boxed<'a, Vec<Check>>;
}

/// The names of all providers, in builds for any system.
pub const ALL: &[&str] = &["kind", "embedded"];

/// The names of providers that this build has.
pub const NAMES: &[&str] = if cfg!(target_os = "linux") { ALL } else { &["kind"] };

/// The provider called `name`.
///
/// # Errors
/// [`Error::UnknownProvider`], which lists the names there are; [`Error::NotLinux`] for one that only Linux has.
pub fn by_name(name: &str) -> Result<Box<dyn Provider>, Error> {
    match name {
        #[cfg(target_os = "linux")]
        "embedded" => Ok(Box::new(Embedded)),
        #[cfg(not(target_os = "linux"))]
        "embedded" => Err(Error::NotLinux),
        "kind" => Ok(Box::new(KindProvider)),
        _ => Err(Error::UnknownProvider { name: name.to_owned() }),
    }
}
