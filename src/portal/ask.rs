//! Questions to the observer: where, and of what time.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// A stretch of time that ends now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
}

impl Window {
    /// The last so many seconds.
    pub(crate) fn last(seconds: i64) -> Window {
        let end = Timestamp::now();
        let start = end.checked_sub(SignedDuration::from_secs(seconds));
        Window { start: start.unwrap_or(Timestamp::UNIX_EPOCH), end }
    }

    /// A question about it, newest first.
    pub(crate) fn ask(&self, scope: Value, limit: usize) -> Value {
        json!({
            "startTime": self.start.to_string(), "endTime": self.end.to_string(),
            "searchScope": scope, "limit": limit, "sortOrder": "desc",
        })
    }
}

/// A place, as narrow as it is named; an empty name is none.
pub(crate) fn scope(namespace: &str, project: &str, component: &str, environment: &str) -> Value {
    let mut scope = json!({"namespace": namespace});
    for (member, name) in
        [("project", project), ("component", component), ("environment", environment)]
    {
        if !name.is_empty() {
            scope[member] = name.into();
        }
    }
    scope
}
