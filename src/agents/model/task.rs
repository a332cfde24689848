//! What a model is asked.

use serde_json::Value;

/// A question with evidence, and the shape of its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    pub(super) system: String,
    pub(super) request: String,
    pub(super) schema: Value,
    pub(super) evidence: Vec<(String, String)>,
    pub(super) allowed: Option<Vec<String>>,
}

impl Task {
    /// `system` says who the model is and how to work, `request` what to find out; both are trusted. `schema` is the JSON
    /// schema of the answer, an object: types, properties, items, enum, const, lengths and bounds, pattern, oneOf,
    /// anyOf, allOf and `$ref` to `#/$defs/…` may be used; other assertions are refused rather than ignored.
    pub fn new(system: impl Into<String>, request: impl Into<String>, schema: Value) -> Task {
        Task {
            system: system.into(),
            request: request.into(),
            schema,
            evidence: Vec::new(),
            allowed: None,
        }
    }

    /// Adds what is known already; `text` need not be trusted.
    #[must_use]
    pub fn evidence(mut self, label: impl Into<String>, text: impl Into<String>) -> Task {
        self.evidence.push((label.into(), text.into()));
        self
    }

    /// Allows these tools only, not all of the toolbox that are read-only. An empty list allows none.
    #[must_use]
    pub fn allow(mut self, tools: impl IntoIterator<Item = impl Into<String>>) -> Task {
        self.allowed = Some(tools.into_iter().map(Into::into).collect());
        self
    }

    pub(super) fn allows(&self, tool: &str) -> bool {
        self.allowed.as_ref().is_none_or(|allowed| allowed.iter().any(|name| name == tool))
    }
}
