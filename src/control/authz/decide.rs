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
