//! What can go wrong while a cluster is made, run or taken away: what was tried, what happened, what to do next.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::node::images::ImageError;

/// An error of the embedded cluster.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or directory could not be used.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// The verb: `read`, `write`, `create`, …
        action: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A stored file is not what it should be.
    #[error("{} is damaged: {source}; `curtain down` and `curtain up` make a new cluster", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A stored file was written by another version.
    #[error("{} has format {found}, this build knows format {known}; use the build that made the instance", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Format of the file.
        found: u32,
        /// Format of this build.
        known: u32,
    },
    /// Text that is not an IPv4 range.
    #[error("{0:?} is not an IPv4 network in the form a.b.c.d/len with all host bits zero")]
    Cidr(String),
    /// A key or certificate could not be made.
    #[error("cannot make the certificate {name}: {source}")]
    Certificate {
        /// File name of the certificate.
        name: String,
        /// Why it failed.
        source: rcgen::Error,
    },
    /// An address on the host is not free.
    #[error(
        "cannot listen on {address}: {source}; end the program that uses the port, or choose another port"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why it failed.
        source: io::Error,
    },
    /// Another supervisor runs this instance.
    #[error("the cluster in {} is already run by process {pid}", home.display())]
    AlreadyRunning {
        /// Home of the cluster.
        home: PathBuf,
        /// The supervisor that holds it.
        pid: i32,
    },
    /// An ordinary user's cluster needs namespaces that cannot be had.
    #[error("an ordinary user cannot have a cluster here: {seen}; {fix}")]
    NoNamespaces {
        /// What is in the way.
        seen: String,
        /// How it is removed.
        fix: String,
    },
    /// A system call failed.
    #[error("cannot {what}: {source}")]
    System {
        /// What it was for.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The other end of a process socket said something unexpected.
    #[error("protocol with {peer} broken: {message}")]
    Protocol {
        /// `supervisor`, `node` or `shim`.
        peer: &'static str,
        /// What was wrong.
        message: String,
    },
    /// Something did not happen in time.
    #[error("waited {seconds} s for {what}; the log is {}", log.display())]
    Timeout {
        /// What was waited for.
        what: String,
        /// For how long.
        seconds: u64,
        /// Where to read more.
        log: PathBuf,
    },
    /// The image store refused.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A part of the node could not be started.
    #[error("cannot start the {part}: {message}")]
    Start {
        /// `API server`, `network`, …
        part: &'static str,
        /// Why.
        message: String,
    },
}

impl Error {
    /// An [`Error::System`] from the last step of `what`.
    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::System { what, source }
    }

    /// An [`Error::System`] from an errno.
    pub(crate) fn errno(what: impl Into<String>) -> impl FnOnce(nix::errno::Errno) -> Self {
        let what = what.into();
        move |errno| Self::System { what, source: errno.into() }
    }
}
