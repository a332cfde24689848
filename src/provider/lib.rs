//! Where a cluster comes from.
//!
//! Purpose: one trait, [`Provider`], between the appliance and a cluster. Everything above it
//! (bundles, planes, the command line) sees a kubeconfig, an image and a few URLs, and cannot tell
//! which provider made them.
//!
//! Invariants:
//! - every call may be repeated: [`Provider::ensure`] on a running cluster returns at once,
//!   [`Provider::destroy`] of an absent one removes nothing and succeeds;
//! - every wait is bounded by the [`Duration`] it is given;
//! - listeners are on loopback only.
//!
//! Entry points: [`by_name`], [`Provider`], [`ClusterSpec`].

mod embedded;
mod error;
mod spec;

use std::{io::Read, path::PathBuf, pin::Pin, time::Duration};

pub use embedded::Embedded;
pub use error::{Error, Kind};
pub use spec::{ClusterSpec, Door};

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
}

/// Something of a cluster that is still on the machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Leftover {
    /// What it is: `process`, `mount`, `netns`, `cgroup`, `nft`, `file` …
    pub kind: String,
    /// Which one: a pid, a path, a name.
    pub name: String,
}

/// A source of clusters.
pub trait Provider: Send + Sync {
    /// The name a user gives to `--provider`.
    fn name(&self) -> &'static str;

    /// Whether a cluster can be made at all, said before anything is done.
    ///
    /// # Errors
    /// What the machine or the user lacks.
    fn preflight(&self) -> Result<(), Error>;

    /// Creates and starts the cluster, or what is missing of it, and returns once its API answers.
    ///
    /// # Errors
    /// A busy port, a full disk, or an API that does not answer within `timeout` (with the end of
    /// the cluster's own log).
    fn ensure<'a>(
        &'a self,
        spec: &'a ClusterSpec,
        timeout: Duration,
    ) -> Boxed<'a, Result<(), Error>>;

    /// Whether the cluster of `spec` exists and its API answers now.
    fn is_up<'a>(&'a self, spec: &'a ClusterSpec) -> Boxed<'a, bool>;

    /// The administrator's kubeconfig; it exists after [`Provider::ensure`].
    fn kubeconfig(&self, spec: &ClusterSpec) -> PathBuf;

    /// Gives the images in a docker-save or OCI tar to the cluster's nodes.
    ///
    /// # Errors
    /// A tar that cannot be read or verified; nothing of it is kept then.
    fn load_image(&self, spec: &ClusterSpec, tar: &mut dyn Read) -> Result<Vec<Image>, Error>;

    /// The images the cluster's nodes have.
    ///
    /// # Errors
    /// A store that cannot be read.
    fn images(&self, spec: &ClusterSpec) -> Result<Vec<Image>, Error>;

    /// Where `door` of the cluster answers from this machine, for example `http://localhost:8080`.
    ///
    /// # Errors
    /// A door that the specification does not have.
    fn expose(&self, spec: &ClusterSpec, door: &str) -> Result<String, Error>;

    /// Stops every process of the cluster and keeps its state; [`Provider::ensure`] starts it again.
    ///
    /// # Errors
    /// Processes that are still there after `timeout`.
    fn pause<'a>(
        &'a self,
        spec: &'a ClusterSpec,
        timeout: Duration,
    ) -> Boxed<'a, Result<(), Error>>;

    /// Removes the cluster with everything in it and returns how many things were removed.
    ///
    /// # Errors
    /// Something that could not be removed within `timeout`.
    fn destroy<'a>(
        &'a self,
        spec: &'a ClusterSpec,
        timeout: Duration,
    ) -> Boxed<'a, Result<usize, Error>>;

    /// What of the cluster is still on this machine.
    ///
    /// # Errors
    /// A machine that cannot be scanned.
    fn residue(&self, spec: &ClusterSpec) -> Result<Vec<Leftover>, Error>;

    /// Where the cluster's own log is, if it has one on this machine.
    fn log(&self, spec: &ClusterSpec) -> Option<PathBuf>;
}

/// The names [`by_name`] knows.
pub const NAMES: &[&str] = &["embedded"];

/// The provider called `name`.
///
/// # Errors
/// [`Error::UnknownProvider`], which lists the names there are.
pub fn by_name(name: &str) -> Result<Box<dyn Provider>, Error> {
    match name {
        "embedded" => Ok(Box::new(Embedded)),
        _ => Err(Error::UnknownProvider { name: name.to_owned() }),
    }
}
