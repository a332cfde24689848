//! What can go wrong with an object.

use kube::core::Status;

use super::Kind;
use crate::authz::Denial;

/// Why something was not done. Texts are meant for the caller.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request makes no sense.
    #[error("{0}")]
    BadRequest(String),
    /// The caller may not.
    #[error("{0}")]
    Denied(Box<Denial>),
    /// No such object.
    #[error("{kind} not found: {name}")]
    NotFound {
        /// Such as `Component`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The name is taken.
    #[error("{kind} already exists: {name}")]
    Exists {
        /// Such as `Component`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// Somebody else changed the object meanwhile.
    #[error("{kind} {name} was changed meanwhile; read it again and repeat the change")]
    Changed {
        /// Such as `Component`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The schema or a rule of the kind refuses it.
    #[error("{0}")]
    Invalid(String),
    /// A plane that is needed for the answer cannot be reached.
    #[error("{0}")]
    PlaneUnavailable(String),
    /// The audit records cannot be read.
    #[error(transparent)]
    Audit(#[from] crate::audit::StoreError),
    /// The API server of the cluster did not do its part.
    #[error("the cluster's API server did not answer as expected: {0}")]
    Cluster(#[source] Box<kube::Error>),
}

impl From<Box<Denial>> for Error {
    fn from(denial: Box<Denial>) -> Self {
        Self::Denied(denial)
    }
}

impl Error {
    /// What the API server said about `name` of `kind`.
    pub(crate) fn from_kube(error: kube::Error, kind: &Kind, name: &str) -> Self {
        let kube::Error::Api(status) = &error else { return Self::Cluster(Box::new(error)) };
        let (kind, name) = (kind.kind, name.to_owned());
        match (status.code, status.reason.as_str()) {
            // Something else that the object needs: its namespace, most often.
            (404, _) if !is_about(status, &name) => Self::BadRequest(status.message.clone()),
            (404, _) => Self::NotFound { kind, name },
            (409, "AlreadyExists") => Self::Exists { kind, name },
            (409, "Conflict") => Self::Changed { kind, name },
            (422, _) => Self::Invalid(causes(status)),
            (400 | 413 | 415, _) => Self::BadRequest(status.message.clone()),
            (403, _) if status.message.contains("being terminated") => {
                Self::BadRequest(status.message.clone())
            }
            _ => Self::Cluster(Box::new(error)),
        }
    }
}

fn is_about(status: &Status, name: &str) -> bool {
    status.details.as_ref().is_none_or(|details| details.name.is_empty() || details.name == name)
}

/// `field: message; …`, or the message when the API server gave no causes.
fn causes(status: &Status) -> String {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let joined: Vec<String> = causes
        .map(|cause| match cause.field.as_str() {
            "" => cause.message.clone(),
            field => format!("{field}: {}", cause.message),
        })
        .collect();
    if joined.is_empty() { status.message.clone() } else { joined.join("; ") }
}
