//! What a caller may do at and below a place, for user interfaces and tool lists.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::{ACTIONS, Effect, Hierarchy, Index, parts};

/// Where one action is allowed and denied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Capability {
    /// Places that a binding opens.
    pub allowed: Vec<Place>,
    /// Places that a binding closes.
    pub denied: Vec<Place>,
}

/// A place of a capability.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// `*` or `ns/…`.
    pub path: String,
    /// Conditions, of which one must hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constraints: Option<Constraints>,
}

/// The conditions of a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Constraints {
    /// CEL expressions over `resource`.
    pub expressions: Vec<String>,
}

/// Capabilities by action; actions that no binding mentions are absent.
pub type Profile = BTreeMap<String, Capability>;

impl Index {
    /// Everything `entitlements` can do as of `now` at `place`, in what contains it, and below it.
    pub fn profile<'a>(
        &'a self,
        entitlements: impl IntoIterator<Item = (&'a str, &'a str)> + 'a,
        place: &Hierarchy,
        now: Timestamp,
    ) -> Profile {
        let mut profile = Profile::new();
        for (_, policy) in self.of(entitlements, now) {
            if !policy.scope.overlaps(place) {
                continue;
            }
            for action in ACTIONS.iter().map(super::Action::name) {
                if !policy.covers(&action) {
                    continue;
                }
                let expressions = policy.expressions_for(&action);
                let place = Place {
                    path: policy.scope.path(),
                    constraints: (!expressions.is_empty()).then_some(Constraints { expressions }),
                };
                let capability = profile.entry(action).or_default();
                let places = match policy.effect {
                    Effect::Allow => &mut capability.allowed,
                    Effect::Deny => &mut capability.denied,
                };
                if !places.contains(&place) {
                    places.push(place);
                }
            }
        }
        profile
    }

    /// Whether `entitlements` have any binding that allows `action`, or a part of it, as of `now` at `place`, above or below it.
    pub fn can_anywhere<'a>(
        &'a self,
        entitlements: impl IntoIterator<Item = (&'a str, &'a str)> + 'a,
        action: &str,
        place: &Hierarchy,
        now: Timestamp,
    ) -> bool {
        self.of(entitlements, now).any(|(_, policy)| {
            policy.effect == Effect::Allow
                && policy.scope.overlaps(place)
                && parts::with_parts(action).any(|action| policy.covers(action))
        })
    }
}
