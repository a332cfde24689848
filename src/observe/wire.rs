//! What the collector posts to the observer, and what it asks before it starts.

use serde::{Deserialize, Serialize};

/// Where batches are posted.
pub const LINES_PATH: &str = "/internal/v1/lines";
/// Where positions are asked for.
pub const POSITIONS_PATH: &str = "/internal/v1/positions";
/// The largest batch in bytes.
pub const MAX_BATCH: usize = 4 << 20;

/// A container whose lines are kept. Names and uids are those of the platform's objects, from the pod's labels.
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
    /// The platform's namespace.
    pub namespace: String,
    /// Name of the project.
    pub project: String,
    /// Name of the component.
    pub component: String,
    /// Name of the environment.
    pub environment: String,
    /// Uid of the project.
    pub project_uid: String,
    /// Uid of the component.
    pub component_uid: String,
    /// Uid of the environment.
    pub environment_uid: String,
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
