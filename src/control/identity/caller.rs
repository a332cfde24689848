//! The verified sender of a request.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What a subject is: it decides how audit lines and denials speak of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubjectKind {
    /// A person.
    User,
    /// An AI agent with an identity of its own.
    Agent,
    /// A part of the platform or of a pipeline.
    Service,
}

impl SubjectKind {
    /// As in the label and in the `typ` claim.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Agent => "agent",
            Self::Service => "service",
        }
    }
}

impl fmt::Display for SubjectKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for SubjectKind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "user" => Ok(Self::User),
            "agent" => Ok(Self::Agent),
            "service" => Ok(Self::Service),
            _ => Err(()),
        }
    }
}

/// Who sent a request, as its token proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// `sub`: the user name or client id.
    pub subject: String,
    /// `typ`.
    pub kind: SubjectKind,
    /// `groups`, in the token's order.
    pub groups: Vec<String>,
    /// `name`: what to show to people.
    pub display_name: String,
    /// `exp`, in seconds since 1970. Streams end then.
    pub expires: u64,
}

impl Caller {
    /// The claims a binding can name, as `(claim, value)`: every group, then the subject itself.
    pub fn entitlements(&self) -> impl Iterator<Item = (&str, &str)> {
        let groups = self.groups.iter().map(|group| ("groups", group.as_str()));
        groups.chain(std::iter::once(("sub", self.subject.as_str())))
    }
}

/// `agent claude-1`: how audit lines and denials name the caller.
impl fmt::Display for Caller {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.kind, self.subject)
    }
}
