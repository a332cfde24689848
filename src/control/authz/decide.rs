//! The decision.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Attributes, Effect, Hierarchy, Index};

/// May these entitlements do this, there?
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// `resource:verb`.
    pub action: &'a str,
    /// Where.
    pub at: &'a Hierarchy,
    /// What conditions may look at.
    pub attributes: &'a Attributes,
}

/// What upstream says when nothing allows an action.
const NOTHING_ALLOWS: &str = "no matching policies found";

/// The answer. Other servers get it in this form, beside the words for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "lowercase")]
pub enum Decision {
    /// Yes.
    Allowed {
        /// The binding that allows it.
        binding: String,
        /// Its entitlement, `claim:value`.
        entitlement: String,
        /// Who granted it, if that is known.
        #[serde(default, rename = "grantedBy", skip_serializing_if = "Option::is_none")]
        granted_by: Option<String>,
    },
    /// No binding allows it.
    Missing {
        /// A binding that would, if its condition held.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unmet: Option<String>,
    },
    /// A binding denies it.
    Forbidden {
        /// That binding.
        binding: String,
    },
}

impl Decision {
    /// Whether it is a yes.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed { .. })
    }

    /// Whether a binding denies it outright.
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Forbidden { .. })
    }

    /// What of the policy it is that does not let `caller`; nothing if it is a yes.
    pub(crate) fn why(&self, caller: impl std::fmt::Display) -> String {
        match self {
            Self::Allowed { .. } => String::new(),
            Self::Forbidden { binding } => format!("{binding} forbids it to {caller}"),
            Self::Missing { unmet: Some(binding) } => {
                format!("{binding} allows it to {caller} only under a condition that does not hold")
            }
            Self::Missing { unmet: None } => format!("{caller} has no permission for it"),
        }
    }

    /// Why, in words for whoever asked `question`.
    pub(super) fn reason(&self, question: Question<'_>) -> String {
        let (action, path) = (question.action, question.at.path());
        match self {
            Self::Allowed { binding, entitlement, .. } => {
                format!("{binding} allows {action} on {path} to {entitlement}")
            }
            Self::Forbidden { binding } => format!("{binding} forbids {action} on {path}"),
            Self::Missing { unmet: Some(binding) } => {
                format!("{NOTHING_ALLOWS}; the condition of {binding} does not hold")
            }
            Self::Missing { unmet: None } => NOTHING_ALLOWS.to_owned(),
        }
    }
}

impl Index {
    /// Decides as of `now`. A deny of any entitlement wins.
    pub fn decide<'a>(
        &'a self,
        entitlements: impl IntoIterator<Item = (&'a str, &'a str)> + 'a,
        question: Question<'_>,
        now: Timestamp,
    ) -> Decision {
        let mut answer = Decision::Missing { unmet: None };
        for ((claim, value), policy) in self.of(entitlements, now) {
            if !policy.covers(question.action) || !policy.scope.contains(question.at) {
                continue;
            }
            let applies = policy.applies(question.action, question.attributes);
            match policy.effect {
                Effect::Deny if applies => {
                    return Decision::Forbidden { binding: policy.binding.to_string() };
                }
                Effect::Deny => {}
                Effect::Allow if applies => {
                    answer = Decision::Allowed {
                        binding: policy.binding.to_string(),
                        entitlement: format!("{claim}:{value}"),
                        granted_by: policy.granted_by.as_deref().map(str::to_owned),
                    };
                }
                Effect::Allow => {
                    if let Decision::Missing { unmet } = &mut answer {
                        *unmet = Some(policy.binding.to_string());
                    }
                }
            }
        }
        answer
    }
}

#[cfg(test)]
mod tests;
