//! Why a query has no answer.

use curtain_control::authz::{Absent, GateError};

use crate::database::DatabaseError;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// It makes no sense, in a sentence for the caller.
    #[error("{0}")]
    Invalid(String),
    /// What was named is not there, in a sentence for the caller.
    #[error("{0}")]
    Missing(String),
    /// What the caller named as the place to look is not there.
    #[error("{0}")]
    Absent(Absent),
    /// The caller may not, or nobody says.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}
