//! Policies and bindings, read once for each of their states.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use super::super::super::kinds::{BINDINGS, POLICIES, REGISTRATION};
use super::super::super::store::{Derived, Key, Object, Store};
use super::binding::Binding;
use super::compiled::{Policy, version};

/// All policies that are bound, with their bindings, both by name.
pub(super) type Bound = Vec<(Arc<Policy>, Arc<[Binding]>)>;

/// Bindings by the name of their policy.
type ByPolicy = BTreeMap<String, Arc<[Binding]>>;

/// What there is, as far as it was read.
pub(super) struct Table {
    policies: Derived<Read>,
    bindings: Derived<ByPolicy>,
    joined: Mutex<Joined>,
}

/// What was made of both, and of which.
#[derive(Default)]
struct Joined {
    of: Option<(Arc<Read>, Arc<ByPolicy>)>,
    bound: Arc<Bound>,
}

/// Policies with the resourceVersion of each.
#[derive(Default)]
struct Read(HashMap<Key, (u64, Arc<Policy>)>);

impl Default for Table {
    fn default() -> Self {
        Self {
            policies: Derived::new(&format!("{REGISTRATION}/{POLICIES}")),
            bindings: Derived::new(&format!("{REGISTRATION}/{BINDINGS}")),
            joined: Mutex::default(),
        }
    }
}

impl Table {
    /// Policies that are bound; `None` if there are none.
    pub(super) fn bound(&self, store: &Store) -> Option<Arc<Bound>> {
        let bindings = self.bindings.get(store, |table, _| {
            let mut found: BTreeMap<String, Vec<Binding>> = BTreeMap::new();
            let mut stored = store.list(table, None).objects;
            stored.sort_by(|a, b| a.key.cmp(&b.key));
            for binding in stored.iter().map(|stored| Binding::read(&stored.value())) {
                found.entry(binding.policy.clone()).or_default().push(binding);
            }
            found.into_iter().map(|(policy, bindings)| (policy, bindings.into())).collect()
        });
        if bindings.is_empty() {
            return None;
        }
        let policies = self.policies.get(store, |table, known| {
            let look = |stored: &Arc<Object>| known.look(stored);
            Read(store.list(table, None).objects.iter().map(look).collect())
        });
        let mut joined = self.joined.lock().unwrap_or_else(PoisonError::into_inner);
        let same = joined.of.as_ref().is_some_and(|(those, these)| {
            Arc::ptr_eq(those, &policies) && Arc::ptr_eq(these, &bindings)
        });
        if !same {
            let pair = |(name, bindings): (&String, &Arc<[Binding]>)| {
                let (_, policy) = policies.0.get(&Key::new("", name))?;
                Some((policy.clone(), bindings.clone()))
            };
            joined.bound = Arc::new(bindings.iter().filter_map(pair).collect());
            joined.of = Some((policies, bindings));
        }
        (!joined.bound.is_empty()).then(|| joined.bound.clone())
    }
}

impl Read {
    /// A stored policy; what has not changed but in its status is taken over.
    fn look(&self, stored: &Object) -> (Key, (u64, Arc<Policy>)) {
        let known = self.0.get(&stored.key);
        let compiled = match known {
            Some((rv, policy)) if *rv == stored.rv => policy.clone(),
            _ => {
                let value = stored.value();
                let same = known.filter(|(_, policy)| policy.version == version(&value));
                match same {
                    Some((_, policy)) => policy.clone(),
                    None => Arc::new(Policy::compile(&value)),
                }
            }
        };
        (stored.key.clone(), (stored.rv, compiled))
    }
}
