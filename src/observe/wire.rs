//! What the collector posts to the observer, and what it asks before it starts.

use serde::{Deserialize, Serialize};

use crate::owner::Owner;

/// Where batches are posted.
pub const LINES_PATH: &str = "/internal/v1/lines";
/// Where positions are asked for.
pub const POSITIONS_PATH: &str = "/internal/v1/positions";
/// The largest batch in bytes.
pub const MAX_BATCH: usize = 4 << 20;

/// A container whose lines are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Source {
    /// Uid of the pod.
    pub pod_uid: String,
    /// Its name.
    pub pod: String,
    /// Its Kubernetes namespace.
    pub pod_namespace: String,
    /// The container in it.
    pub container: String,
    /// Whose it is, as the pod's labels say.
    #[serde(flatten)]
    pub owner: Owner,
}

/// One line: its place in the container's log, and its text without the line feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line(pub Position, pub String);

/// A place in a container's log. Places are in the order of the log, even where two lines have one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// Nanoseconds since 1970.
    #[serde(rename = "t")]
    pub time: i64,
    /// How many lines of the same time come before.
    #[serde(rename = "n", default, skip_serializing_if = "is_zero")]
    pub ordinal: u32,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// Lines of one container, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Whose lines.
    pub source: Source,
    /// The lines.
    pub lines: Vec<Line>,
}

/// What is posted at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// One part a container.
    pub parts: Vec<Part>,
}

/// The last stored place of a container's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stored {
    /// Uid of the pod.
    pub pod_uid: String,
    /// The container in it.
    pub container: String,
    /// The place.
    pub last: Position,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_source_says_all_that_is_known_of_it_side_by_side() {
        let said = json!({"podUid": "u", "pod": "cart-1", "podNamespace": "dp", "container": "main",
            "namespace": "default", "project": "shop", "component": "cart", "environment": "development",
            "projectUid": "p", "componentUid": "c", "environmentUid": "e"});
        let source: Source = serde_json::from_value(said.clone()).expect("a source");
        assert_eq!((source.pod.as_str(), source.owner.component_uid.as_str()), ("cart-1", "c"));
        assert_eq!(serde_json::to_value(source).expect("JSON"), said);
        let little: Source =
            serde_json::from_value(json!({"component": "cart"})).expect("a source");
        assert_eq!((little.owner.component.as_str(), little.owner.project.as_str()), ("cart", ""));
    }
}
