//! Names of snapshots.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Error, name::is_label};

/// The name of a snapshot: a DNS label, so that it is a file's name everywhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SnapshotName(String);

const LONGEST: usize = 63;

impl SnapshotName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of one that is made at `time` and given none: sorted by it, they are in order.
    pub(super) fn at(time: Timestamp) -> Self {
        Self(time.strftime("%Y%m%d-%H%M%S").to_string())
    }
}

impl FromStr for SnapshotName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if is_label(text, LONGEST) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::BadSnapshot { name: text.to_owned() })
    }
}

impl TryFrom<String> for SnapshotName {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<SnapshotName> for String {
    fn from(name: SnapshotName) -> Self {
        name.0
    }
}

impl fmt::Display for SnapshotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_names_and_paths_are_not() {
        for good in ["before-lab-2", "a", "7", &"x".repeat(63)] {
            assert_eq!(good.parse::<SnapshotName>().unwrap().as_str(), good);
        }
        for bad in ["", "-a", "a-", "A", "a/b", "..", "a.b", "a b", "ü", &"x".repeat(64)] {
            let error = bad.parse::<SnapshotName>().unwrap_err();
            assert_eq!(error.kind(), crate::Kind::BadInput, "{bad}");
        }
    }

    #[test]
    fn a_time_is_a_name() {
        let name = SnapshotName::at("2026-05-04T03:02:01Z".parse().unwrap());
        assert_eq!(name.as_str(), "20260504-030201");
        assert_eq!(name.as_str().parse::<SnapshotName>().unwrap(), name);
    }
}
