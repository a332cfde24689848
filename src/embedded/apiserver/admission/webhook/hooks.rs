//! All webhooks of one kind of configuration.

use std::sync::Arc;

use serde_json::Value;

use super::super::super::bootstrap;
use super::super::super::kinds::REGISTRATION;
use super::super::super::store::Derived;
use super::super::Admission;
use super::hook::Hook;

/// The hooks that there are.
pub(super) struct Hooks {
    hooks: Derived<Vec<Hook>>,
    /// Those of one configuration.
    read: fn(&Value) -> Vec<Hook>,
}

impl Hooks {
    /// Those of the configurations with this plural.
    pub(super) fn new(plural: &str, read: fn(&Value) -> Vec<Hook>) -> Self {
        Self { hooks: Derived::new(&format!("{REGISTRATION}/{plural}")), read }
    }

    /// Who may be asked about a write, by the names of their configurations; `None` if nobody is.
    pub(super) fn about(&self, admission: &Admission<'_>) -> Option<Arc<Vec<Hook>>> {
        let store = &admission.api.store;
        let hooks = self.hooks.get(store, |table, _| {
            let mut configurations = store.list(table, None).objects;
            configurations.sort_by(|a, b| a.key.cmp(&b.key));
            configurations.iter().flat_map(|one| (self.read)(&one.value())).collect()
        });
        (!hooks.is_empty() && !is_exempt(admission)).then_some(hooks)
    }
}

/// Writes that nobody is asked about. Whoever acts as the server without its rights is somebody else.
fn is_exempt(admission: &Admission<'_>) -> bool {
    admission.resource.group == REGISTRATION || *admission.user == bootstrap::user()
}
