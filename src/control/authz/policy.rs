//! Roles and bindings, resolved into an index of policies.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use super::{Condition, Ends, Hierarchy};

/// Which actions a role or a condition speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// `*`
    All,
    /// `component:*`
    Resource(String),
    /// `component:view`
    Exact(String),
}

impl Pattern {
    /// Reads the three forms; anything else is taken as the exact name of an action that may not exist.
    pub fn parse(text: &str) -> Self {
        match text.strip_suffix(":*") {
            _ if text == "*" => Self::All,
            Some(resource) => Self::Resource(resource.to_owned()),
            None => Self::Exact(text.to_owned()),
        }
    }

    /// Whether `action` (`resource:verb`) is meant.
    pub fn covers(&self, action: &str) -> bool {
        match self {
            Self::All => true,
            Self::Resource(resource) => {
                action.strip_prefix(resource.as_str()).is_some_and(|rest| rest.starts_with(':'))
            }
            Self::Exact(name) => name == action,
        }
    }
}

/// Whether a binding gives or takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Effect {
    /// Gives.
    #[default]
    Allow,
    /// Takes, whatever else gives.
    Deny,
}

/// A role: its actions.
#[derive(Debug, Clone, Default)]
pub struct Role {
    /// What it allows.
    pub actions: Vec<Pattern>,
}

/// Names a role: of a namespace, or of the installation when that is empty.
pub(crate) type RoleKey = (String, String);

/// A binding: who gets which roles where.
#[derive(Debug, Clone)]
pub struct Binding {
    /// The namespace it lives in; empty for a cluster binding.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The claim of the entitlement, such as `groups`.
    pub claim: String,
    /// The claim's value, such as `developers`.
    pub value: String,
    /// Allow or deny.
    pub effect: Effect,
    /// Until when.
    pub ends: Ends,
    /// Who granted it, if that is known.
    pub granted_by: Option<Arc<str>>,
    /// The roles, each with its reach.
    pub mappings: Vec<Mapping>,
}

/// One role of a binding.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// The role's key.
    pub(crate) role: RoleKey,
    /// What it reaches; already below the binding's namespace.
    pub(crate) scope: Hierarchy,
    /// When it applies.
    pub(crate) conditions: Arc<[Condition]>,
}

impl Binding {
    /// `AuthzRoleBinding default/claude` or `ClusterAuthzRoleBinding admins`.
    pub fn title(&self) -> String {
        if self.namespace.is_empty() {
            format!("ClusterAuthzRoleBinding {}", self.name)
        } else {
            format!("AuthzRoleBinding {}/{}", self.namespace, self.name)
        }
    }
}

/// A mapping with its role looked up.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Title of the binding it comes from.
    pub(crate) binding: Arc<str>,
    pub(crate) effect: Effect,
    pub(crate) ends: Ends,
    pub(crate) granted_by: Option<Arc<str>>,
    pub(crate) scope: Hierarchy,
    pub(crate) actions: Arc<[Pattern]>,
    pub(crate) conditions: Arc<[Condition]>,
}

impl Policy {
    pub(crate) fn covers(&self, action: &str) -> bool {
        self.actions.iter().any(|pattern| pattern.covers(action))
    }
}

/// Every policy, by the entitlement that it speaks of. Immutable: a change makes a new one.
#[derive(Debug, Default)]
pub struct Index {
    policies: BTreeMap<(String, String), Vec<Policy>>,
    /// The bindings with an end, by namespace and name.
    ending: Vec<(Timestamp, RoleKey)>,
}

impl Index {
    /// Resolves `bindings` against `roles`. A mapping to a role that does not exist gives nothing and takes nothing.
    pub(crate) fn build<'a>(
        roles: &BTreeMap<RoleKey, Role>,
        bindings: impl IntoIterator<Item = &'a Binding>,
    ) -> Self {
        let shared: BTreeMap<&RoleKey, Arc<[Pattern]>> =
            roles.iter().map(|(key, role)| (key, role.actions.clone().into())).collect();
        let mut policies: BTreeMap<(String, String), Vec<Policy>> = BTreeMap::new();
        let mut ending = Vec::new();
        for binding in bindings {
            let title: Arc<str> = binding.title().into();
            if let Ends::At(time) = binding.ends {
                ending.push((time, (binding.namespace.clone(), binding.name.clone())));
            }
            let entitled =
                policies.entry((binding.claim.clone(), binding.value.clone())).or_default();
            for mapping in &binding.mappings {
                let Some(actions) = shared.get(&mapping.role) else { continue };
                entitled.push(Policy {
                    binding: title.clone(),
                    effect: binding.effect,
                    ends: binding.ends,
                    granted_by: binding.granted_by.clone(),
                    scope: mapping.scope.clone(),
                    actions: actions.clone(),
                    conditions: mapping.conditions.clone(),
                });
            }
        }
        Self { policies, ending }
    }

    /// The policies that speak of any of `entitlements` and are not over at `now`, each with its entitlement.
    pub(crate) fn of<'a>(
        &'a self,
        entitlements: impl IntoIterator<Item = (&'a str, &'a str)> + 'a,
        now: Timestamp,
    ) -> impl Iterator<Item = ((&'a str, &'a str), &'a Policy)> + 'a {
        entitlements.into_iter().flat_map(move |(claim, value)| {
            let found = self.policies.get(&(claim.to_owned(), value.to_owned()));
            let current = found
                .into_iter()
                .flatten()
                .filter(move |policy| !policy.ends.is_over(policy.effect, now));
            current.map(move |policy| ((claim, value), policy))
        })
    }

    /// The bindings that end by themselves, each with when, namespace (empty for a cluster binding) and name.
    pub(super) fn ending(&self) -> impl Iterator<Item = (Timestamp, &str, &str)> {
        self.ending
            .iter()
            .map(|(time, (namespace, name))| (*time, namespace.as_str(), name.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_cover_what_they_say() {
        assert!(Pattern::parse("*").covers("anything:at-all"));
        assert!(Pattern::parse("component:*").covers("component:create"));
        assert!(!Pattern::parse("component:*").covers("componentrelease:create"));
        assert!(Pattern::parse("component:view").covers("component:view"));
        assert!(!Pattern::parse("component:view").covers("component:viewer"));
    }
}
