//! One look at the machine, as `curtain doctor` shows it.

use serde::{Deserialize, Serialize};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// How it is.
    pub state: State,
    /// What was seen.
    pub seen: String,
    /// What to do about it; empty when it is fine.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fix: String,
    /// The address or reference that it is about, whole: for scripts, which cannot use what is worded for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// Works, but worth knowing.
    Warning,
    /// Keeps the platform from working.
    Failed,
}

impl Check {
    /// A check called `name`, with what was seen, and the fix if it is not as it should be.
    pub fn new(name: &str, state: State, seen: impl Into<String>, fix: &str) -> Self {
        let fix = if state == State::Ok { String::new() } else { fix.to_owned() };
        Self { name: name.to_owned(), state, seen: seen.into(), fix, subject: None }
    }

    /// The same, about one address or reference.
    #[must_use]
    pub fn of(self, subject: &str) -> Self {
        Self { subject: Some(subject.to_owned()), ..self }
    }
}
