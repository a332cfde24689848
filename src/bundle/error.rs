//! What can go wrong with a bundle, and what to do about it.

use std::time::Duration;

/// The class of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The bundle itself, or what the user set, is wrong.
    BadInput,
    /// Something did not become ready in time.
    Timeout,
    /// The cluster has no space left.
    DiskFull,
    /// The cluster does not answer.
    Unreachable,
    /// Anything else.
    Other,
}

/// A bundle that could not be read, installed or removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such bundle.
    #[error("there is no bundle {name:?} in this build")]
    Unknown {
        /// The name.
        name: String,
    },
    /// A file of a bundle is wrong.
    #[error("bundle {bundle}: {file}{}: {why}", .document.map(|index| format!(", document {index}")).unwrap_or_default())]
    Broken {
        /// The bundle.
        bundle: String,
        /// The file, as in the repository.
        file: String,
        /// Which document of the file, from 1.
        document: Option<usize>,
        /// What is wrong.
        why: String,
    },
    /// A value is not what the bundle allows.
    #[error("bundle {bundle}: value {name:?} {why}")]
    Value {
        /// The bundle.
        bundle: String,
        /// The value's name.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// The API refused an object.
    #[error("bundle {bundle}: the cluster refused {object} ({file}, document {document}): {why}")]
    Refused {
        /// The bundle.
        bundle: String,
        /// The object, `Kind namespace/name`.
        object: String,
        /// The file it comes from.
        file: String,
        /// Which document of the file, from 1.
        document: usize,
        /// What the API said.
        why: String,
    },
    /// The API could not be asked.
    #[error("bundle {bundle}: cannot {what}: {source}")]
    Api {
        /// The bundle.
        bundle: String,
        /// What was tried.
        what: String,
        /// The cause.
        source: Box<kube::Error>,
    },
    /// A key could not be made.
    #[error("bundle {bundle}: cannot make {name}: {why}")]
    Key {
        /// The bundle.
        bundle: String,
        /// What was to be made.
        name: String,
        /// Why it failed.
        why: String,
    },
    /// Something is not ready in time.
    #[error("bundle {bundle}: {object} is not ready after {:.0} s: {state}{evidence}", .waited.as_secs_f32())]
    NotReady {
        /// The bundle.
        bundle: String,
        /// The object that is not ready.
        object: String,
        /// How far it is.
        state: String,
        /// Its last event and last log line, if there are any.
        evidence: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// Something that was deleted is still there.
    #[error(
        "bundle {bundle}: {object} is still being deleted after {:.0} s; its finalizers: {}{evidence}",
        .waited.as_secs_f32(), if .finalizers.is_empty() { "none" } else { .finalizers }
    )]
    NotGone {
        /// The bundle.
        bundle: String,
        /// The object that is not gone.
        object: String,
        /// The finalizers it still has.
        finalizers: String,
        /// Its last event and last log line, if there are any.
        evidence: String,
        /// How long it was waited for.
        waited: Duration,
    },
}

impl Error {
    /// The class of this error.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Unknown { .. } | Self::Broken { .. } | Self::Value { .. } => Kind::BadInput,
            Self::NotReady { .. } | Self::NotGone { .. } => Kind::Timeout,
            Self::Refused { why, .. } if full(why) => Kind::DiskFull,
            Self::Api { source, .. } if full(&source.to_string()) => Kind::DiskFull,
            Self::Api { source, .. } if !matches!(**source, kube::Error::Api(_)) => {
                Kind::Unreachable
            }
            Self::Refused { .. } | Self::Api { .. } | Self::Key { .. } => Kind::Other,
        }
    }

    pub(crate) fn api(bundle: &str, what: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let (bundle, what) = (bundle.to_owned(), what.into());
        move |source| Self::Api { bundle, what, source: Box::new(source) }
    }
}

/// A cluster tells about a full disk in words only.
fn full(text: &str) -> bool {
    ["No space left", "no space left", "is full: free some space"]
        .iter()
        .any(|words| text.contains(words))
}
