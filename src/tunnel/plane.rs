//! How a plane is named on the wire.

use std::fmt;
use std::str::FromStr;

/// What a plane is for; the text is that of the URLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PlaneType {
    /// Runs components.
    Data,
    /// Runs workflows.
    Workflow,
    /// Stores telemetry.
    Observability,
}

/// A text that names no plane.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names no plane; write dataplane, workflowplane or observabilityplane, then `/` and the plane's id"
)]
pub struct UnknownPlane(pub String);

/// A plane's type and logical id, written `dataplane/default`. Several
/// resources may share one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlaneId {
    /// What it is for.
    pub kind: PlaneType,
    /// Its id, unique per type.
    pub id: String,
}

impl PlaneType {
    /// Every type there is.
    pub const ALL: [Self; 3] = [Self::Data, Self::Workflow, Self::Observability];

    /// The name in URLs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Data => "dataplane",
            Self::Workflow => "workflowplane",
            Self::Observability => "observabilityplane",
        }
    }
}

impl fmt::Display for PlaneType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for PlaneType {
    type Err = UnknownPlane;

    fn from_str(text: &str) -> Result<Self, UnknownPlane> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| UnknownPlane(text.to_owned()))
    }
}

impl fmt::Display for PlaneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.id)
    }
}

impl FromStr for PlaneId {
    type Err = UnknownPlane;

    fn from_str(text: &str) -> Result<Self, UnknownPlane> {
        let unknown = || UnknownPlane(text.to_owned());
        let (kind, id) = text.split_once('/').ok_or_else(unknown)?;
        let kind = kind.parse().map_err(|_| unknown())?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if id.is_empty() || !id.chars().all(is_plain) {
            return Err(unknown());
        }
        Ok(Self { kind, id: id.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for text in ["dataplane/default", "workflowplane/eu-1.a", "observabilityplane/x"] {
            assert_eq!(text.parse::<PlaneId>().unwrap().to_string(), text);
        }
        for text in ["dataplane", "dataplane/", "plane/x", "dataplane/a b", "dataplane/a/b"] {
            assert_eq!(text.parse::<PlaneId>(), Err(UnknownPlane(text.to_owned())));
        }
    }
}
