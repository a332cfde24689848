//! The line that a decision leaves.

use serde::{Deserialize, Serialize};

use super::{Decision, Question};
use crate::identity::Caller;

/// Which door a request came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// The REST API.
    Rest,
    /// A tool of the MCP server.
    Mcp,
    /// A query to the observer, by REST or by a tool.
    Observer,
    /// The same to the SRE agent, about its reports.
    #[serde(rename = "sre-agent")]
    SreAgent,
}

impl Via {
    fn as_str(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Mcp => "mcp",
            Self::Observer => "observer",
            Self::SreAgent => "sre-agent",
        }
    }
}

/// Writes who asked to do what to which `object` (`Kind/name`, or nothing when that is not known), where, the answer,
/// and the binding that gave it. It is written by whoever acts on the decision: a page that asks what it may offer
/// refuses nobody.
pub fn audit(caller: &Caller, via: Via, question: Question<'_>, object: &str, decision: &Decision) {
    let Question { action, at, attributes } = question;
    let (result, binding) = match decision {
        Decision::Allowed { binding, .. } => ("allowed", binding.as_str()),
        Decision::Forbidden { binding } => ("forbidden", binding.as_str()),
        Decision::Missing { unmet } => ("missing", unmet.as_deref().unwrap_or_default()),
    };
    tracing::info!(
        target: "audit",
        actor = caller.subject,
        actor_kind = caller.kind.as_str(),
        via = via.as_str(),
        action,
        object,
        at = at.path(),
        environment = attributes.environment.as_deref().unwrap_or_default(),
        result,
        binding,
        "decision"
    );
}
