//! Template errors.

/// A template that could not be rendered: where, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", if .path.is_empty() { "the template" } else { .path })]
pub struct Error {
    /// The place in the template, as `spec.containers[0].image`; empty for the root.
    pub path: String,
    /// What is wrong there.
    pub problem: Problem,
}

impl Error {
    /// The same error seen from a template that contains this one at `prefix`.
    #[must_use]
    pub fn within(mut self, prefix: &str) -> Error {
        self.path = match (prefix.is_empty(), self.path.is_empty()) {
            (true, _) => self.path,
            (false, true) => prefix.to_owned(),
            (false, false) if self.path.starts_with('[') => format!("{prefix}{}", self.path),
            (false, false) => format!("{prefix}.{}", self.path),
        };
        self
    }
}

/// What is wrong at one place of a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// `${` inside `${…}`.
    #[error("nested expressions in `{0}`: write one expression, without an inner `${{`")]
    Nested(String),
    /// An expression does not compile or evaluate.
    #[error(transparent)]
    Expression(#[from] curtain_cel::Error),
    /// A map key that is not text.
    #[error("the key `{key}` must give a string, not {got}")]
    Key {
        /// The key as written.
        key: String,
        /// The type it gave.
        got: &'static str,
    },
    /// A value that cannot stand where it does.
    #[error("`{expression}` gives {got} here; want {want}")]
    Type {
        /// The string as written.
        expression: String,
        /// The type it gave.
        got: &'static str,
        /// What the place needs.
        want: &'static str,
    },
}
