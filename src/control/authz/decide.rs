//! The decision.

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

/// The words of [`Decision::Missing`], which [`Decision::missing`] reads.
const NOTHING_ALLOWS: &str = "no matching policies found";
const UNMET: &str = "; the condition of ";
const UNMET_END: &str = " does not hold";

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allowed {
        /// The binding that allows it.
        binding: String,
        /// Its entitlement, `claim:value`.
        entitlement: String,
    },
    /// No binding allows it.
    Missing {
        /// A binding that would, if its condition held.
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

    /// Why, in words for whoever asked `question`.
    pub(super) fn reason(&self, question: Question<'_>) -> String {
        let (action, path) = (question.action, question.at.path());
        match self {
            Self::Allowed { binding, entitlement } => {
                format!("{binding} allows {action} on {path} to {entitlement}")
            }
            Self::Forbidden { binding } => format!("{binding} forbids {action} on {path}"),
            Self::Missing { unmet: Some(binding) } => {
                format!("{NOTHING_ALLOWS}{UNMET}{binding}{UNMET_END}")
            }
            Self::Missing { unmet: None } => NOTHING_ALLOWS.to_owned(),
        }
    }

    /// The refusal that another server gave `reason` for, if it was that no binding allows it.
    pub fn missing(reason: &str) -> Option<Self> {
        let rest = reason.strip_prefix(NOTHING_ALLOWS)?;
        let unmet = rest.strip_prefix(UNMET).and_then(|rest| rest.strip_suffix(UNMET_END));
        (rest.is_empty() || unmet.is_some())
            .then(|| Self::Missing { unmet: unmet.map(str::to_owned) })
    }
}

impl Index {
    /// Decides. A deny of any entitlement wins.
    pub fn decide<'a>(
        &'a self,
        entitlements: impl IntoIterator<Item = (&'a str, &'a str)> + 'a,
        question: Question<'_>,
    ) -> Decision {
        let mut answer = Decision::Missing { unmet: None };
        for ((claim, value), policy) in self.of(entitlements) {
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
