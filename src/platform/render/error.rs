//! Why a component could not be rendered.

/// A rendering error: which part of which type or trait, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct Error {
    /// The part, as ``component type `deployment/service`, resource `httproute` ``.
    pub place: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A template or an expression in it.
    #[error(transparent)]
    Template(#[from] curtain_template::Error),
    /// Input that its schema does not allow; one line per finding.
    #[error("the given values are not allowed: {}", .0.join("; "))]
    Input(Vec<String>),
    /// A schema that cannot be used.
    #[error("the schema is not usable: {0}")]
    Schema(String),
    /// Rules of the author that do not hold; one line per rule.
    #[error("{}", .0.join("; "))]
    Rules(Vec<String>),
    /// Something rendered that is not a manifest.
    #[error("what was rendered is not a manifest: {0}")]
    NotAManifest(String),
    /// A patch that cannot be applied.
    #[error("cannot patch `{path}`: {message}")]
    Patch {
        /// The path as rendered.
        path: String,
        /// Why not.
        message: String,
    },
    /// A reference to a trait that the release does not contain.
    #[error("the release has no snapshot of it")]
    MissingSnapshot,
    /// A secret key that no SecretReference offers.
    #[error("the SecretReference `{name}` with the key `{key}` does not exist")]
    MissingSecret {
        /// Name of the SecretReference.
        name: String,
        /// The key asked for.
        key: String,
    },
}

impl Problem {
    /// The error at a place.
    pub(super) fn at(self, place: &str) -> Error {
        Error { place: place.to_owned(), problem: self }
    }
}
