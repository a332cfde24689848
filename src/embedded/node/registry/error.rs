//! Why an image does not come from its registry.

use std::io;
use std::path::PathBuf;

/// What stopped a pull. Texts of a registry are in it with what is no plain text left out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// The registry has no such image.
    #[error("{host} has no image {name}: check its name and tag")]
    NotFound {
        /// The host that was asked.
        host: String,
        /// The image, without its registry.
        name: String,
    },
    /// The registry wants to know who asks, or does not let them.
    #[error("{host} denies access to {name}: {why}")]
    Denied {
        /// The host that was asked.
        host: String,
        /// The image, without its registry.
        name: String,
        /// What it said, and what to do.
        why: String,
    },
    /// No answer, or none in time.
    #[error(
        "{why}; check the name of the registry and this machine's network, or load the image from a file"
    )]
    Unreachable {
        /// Which host, and what happened.
        why: String,
    },
    /// A host beyond this machine, and nothing leaves that.
    #[error(
        "{host} is not asked, as the cluster is offline; load the image from a file, or serve it from a registry on loopback"
    )]
    Offline {
        /// The host that would have been asked.
        host: String,
    },
    /// An answer that does not follow the protocol, or says that the registry cannot serve.
    #[error("{host} {why}")]
    Answer {
        /// The host that was asked.
        host: String,
        /// What it did.
        why: String,
    },
    /// A place that the registry leads to and that is not asked.
    #[error("{host} leads {why}, which is refused")]
    Refused {
        /// The host that was asked.
        host: String,
        /// Where to.
        why: &'static str,
    },
    /// Content that is not what its name says.
    #[error(
        "{host} sent {found} for {expected}: the content is damaged or was changed, and is refused"
    )]
    Digest {
        /// The host that was asked.
        host: String,
        /// The digest that was asked for.
        expected: String,
        /// The digest of what came.
        found: String,
    },
    /// Nothing for this machine.
    #[error("{name} has no image for {wanted}, only for {found}: build it for this platform")]
    Platform {
        /// The image.
        name: String,
        /// This machine.
        wanted: String,
        /// What there is.
        found: String,
    },
    /// Nothing that can be run, or too much of it.
    #[error("{name} cannot be used: {why}")]
    Unusable {
        /// The image.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// The directory for what comes cannot be used.
    #[error("cannot keep what is pulled in {}: {source}", path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
}

impl PullError {
    pub(super) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }

    /// Whether another host may do better.
    pub(super) fn is_of_host(&self) -> bool {
        !matches!(self, Self::Platform { .. } | Self::Unusable { .. } | Self::File { .. })
    }
}
