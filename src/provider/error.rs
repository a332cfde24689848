//! What can go wrong with a cluster, and what to do about it.

use std::{io, path::PathBuf, time::Duration};

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
    /// Anything else.
    Other,
}

/// A failed call of a provider.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `--provider` names one that does not exist.
    #[error("there is no provider {name:?}; known: {}", super::NAMES.join(", "))]
    UnknownProvider {
        /// The name that was given.
        name: String,
    },
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
        "the embedded cluster needs root, and this is user {uid}; run curtain as root: rootless operation is not there yet"
    )]
    NotRoot {
        /// Id of the user.
        uid: u32,
    },
    /// A port that an instance keeps is taken by another program.
    #[error(
        "port {port} on 127.0.0.1 is in use by another program, and this instance keeps it for its {door}; \
         stop that program, or run `curtain down` and `curtain up` to get another port"
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
    #[error("{what}: {source}")]
    Embedded {
        /// What was tried.
        what: &'static str,
        /// Its own explanation.
        source: curtain_embedded::Error,
    },
    /// An image archive cannot be used, or images cannot be listed.
    #[error(transparent)]
    Image(#[from] curtain_embedded::node::images::ImageError),
    /// Removing the cluster left something.
    #[error("the cluster could not be removed within {seconds:.1} s; run `curtain down` again", seconds = .waited.as_secs_f32())]
    StillThere {
        /// How long it was waited for.
        waited: Duration,
    },
    /// A blocking task of this program was lost.
    #[error("an internal task failed: {0}")]
    Task(String),
}

impl Error {
    /// The class of this error.
    pub fn kind(&self) -> Kind {
        match self {
            Self::UnknownProvider { .. } => Kind::BadInput,
            Self::NotRoot { .. } => Kind::Unmet,
            Self::PortInUse { .. } => Kind::PortInUse,
            Self::NotAnswering { .. } | Self::StillThere { .. } => Kind::Timeout,
            Self::Embedded { source, .. } if disk_full(source) => Kind::DiskFull,
            Self::Embedded { source: curtain_embedded::Error::Listen { .. }, .. } => {
                Kind::PortInUse
            }
            Self::Embedded { source: curtain_embedded::Error::Timeout { .. }, .. } => Kind::Timeout,
            Self::Image(source) if disk_full(source) => Kind::DiskFull,
            Self::Image(_) => Kind::BadInput,
            Self::File { source, .. } if full(source) => Kind::DiskFull,
            Self::Died { tail, .. } if tail.contains("os error 28") => Kind::DiskFull,
            _ => Kind::Other,
        }
    }
}

fn full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Whether `ENOSPC` is anywhere below `error`.
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
