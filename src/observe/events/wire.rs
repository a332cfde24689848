//! Events as the collector posts them.

use serde::{Deserialize, Serialize};

use crate::owner::Owner;

/// Where they are posted.
pub const EVENTS_PATH: &str = "/internal/v1/events";

/// What happened to an object, as a Kubernetes Event says it. The same happening again has the same uid and a
/// higher count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Event {
    /// Uid of the Event.
    pub uid: String,
    /// When it happened first, in nanoseconds since 1970.
    pub first: i64,
    /// When it happened last.
    pub last: i64,
    /// How often it happened.
    pub count: i64,
    /// `Normal` or `Warning`.
    pub r#type: String,
    /// A word for machines.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
    /// Kind of the object.
    pub object_kind: String,
    /// Its name.
    pub object_name: String,
    /// Its Kubernetes namespace.
    pub object_namespace: String,
    /// Whose object it is.
    pub owner: Owner,
}

/// What is posted at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The events.
    pub events: Vec<Event>,
}
