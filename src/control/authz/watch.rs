//! Following roles and bindings into the index.

use std::{collections::BTreeMap, sync::Arc};

use curtain_platform::types::{
    self, AuthzRole, AuthzRoleBinding, ClusterAuthzRole, ClusterAuthzRoleBinding, RoleCondition,
    RoleKind,
};
use curtain_role::{Check, Shutdown};
use futures::{StreamExt as _, stream};
use kube::{Api, Client, ResourceExt, runtime::watcher};
use tokio::sync::watch;

use super::{
    Binding, Condition, Effect, Ends, Hierarchy, Index, Pattern, Role,
    ends::{EXPIRES_AT, GRANTED_BY},
    policy::{Mapping, RoleKey},
};
use crate::follow::{Change, changes};

/// The policies as followed so far; publishes a new [`Index`] after every change.
#[derive(Debug)]
pub struct Policies {
    roles: BTreeMap<RoleKey, Role>,
    bindings: BTreeMap<RoleKey, Binding>,
    index: watch::Sender<Arc<Index>>,
}

impl Default for Policies {
    fn default() -> Self {
        let index = watch::Sender::new(Arc::default());
        Self { roles: BTreeMap::new(), bindings: BTreeMap::new(), index }
    }
}

/// A change of one of the four kinds, reduced to what counts.
enum Step {
    Roles { cluster: bool, change: Change<(RoleKey, Role)> },
    Bindings { cluster: bool, change: Change<(RoleKey, Binding)> },
}

impl Policies {
    /// Where to read the index.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Index>> {
        self.index.subscribe()
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Roles { cluster, change } => merge(&mut self.roles, cluster, change),
            Step::Bindings { cluster, change } => merge(&mut self.bindings, cluster, change),
        }
        self.index.send_replace(Arc::new(Index::build(&self.roles, self.bindings.values())));
    }
}

/// Keys with an empty namespace belong to the cluster-scoped kind; a reset replaces only its own half.
fn merge<T>(kept: &mut BTreeMap<RoleKey, T>, cluster: bool, change: Change<(RoleKey, T)>) {
    match change {
        Change::Reset(all) => {
            kept.retain(|(namespace, _), _| namespace.is_empty() != cluster);
            kept.extend(all);
        }
        Change::Applied((key, one)) => {
            kept.insert(key, one);
        }
        Change::Deleted((key, _)) => {
            kept.remove(&key);
        }
    }
}

/// Follows the four kinds until `shutdown`; passes `ready` once each was listed.
pub async fn watch_policies(
    client: Client,
    mut policies: Policies,
    ready: Check,
    shutdown: Shutdown,
) {
    let config = watcher::Config::default;
    let cluster_roles =
        changes(Api::<ClusterAuthzRole>::all(client.clone()), config()).map(|change| Step::Roles {
            cluster: true,
            change: change.map(|o| role(o.name_any(), None, &o.spec)),
        });
    let roles =
        changes(Api::<AuthzRole>::all(client.clone()), config()).map(|change| Step::Roles {
            cluster: false,
            change: change.map(|o| role(o.name_any(), o.namespace(), &o.spec)),
        });
    let cluster_bindings =
        changes(Api::<ClusterAuthzRoleBinding>::all(client.clone()), config()).map(|change| {
            Step::Bindings { cluster: true, change: change.map(|o| cluster_binding(&o)) }
        });
    let bindings = changes(Api::<AuthzRoleBinding>::all(client), config())
        .map(|change| Step::Bindings { cluster: false, change: change.map(|o| binding(&o)) });

    let mut steps = stream::select_all([
        cluster_roles.boxed(),
        roles.boxed(),
        cluster_bindings.boxed(),
        bindings.boxed(),
    ]);
    let mut unlisted = 4_u8;
    loop {
        let step = tokio::select! {
            step = steps.next() => step,
            () = shutdown.wait() => None,
        };
        let Some(step) = step else { return };
        let listed = matches!(
            step,
            Step::Roles { change: Change::Reset(_), .. }
                | Step::Bindings { change: Change::Reset(_), .. }
        );
        policies.apply(step);
        if listed && unlisted > 0 {
            unlisted -= 1;
            if unlisted == 0 {
                ready.pass();
            }
        }
    }
}

fn role(name: String, namespace: Option<String>, spec: &types::AuthzRoleSpec) -> (RoleKey, Role) {
    let actions = spec.actions.iter().map(|action| Pattern::parse(action)).collect();
    ((namespace.unwrap_or_default(), name), Role { actions })
}

/// Until when `object`, a binding `name`, counts.
fn ends(name: &str, object: &impl ResourceExt) -> Ends {
    let said = object.annotations().get(EXPIRES_AT);
    let ends = Ends::read(said.map(String::as_str));
    if ends == Ends::Unreadable {
        tracing::warn!(binding = name, said, "{EXPIRES_AT} is no time; the binding allows nothing");
    }
    ends
}

fn effect(effect: types::Effect) -> Effect {
    match effect {
        types::Effect::Allow => Effect::Allow,
        types::Effect::Deny => Effect::Deny,
    }
}

fn conditions(conditions: &[RoleCondition]) -> Arc<[Condition]> {
    conditions.iter().map(|one| Condition::new(&one.actions, &one.expression)).collect()
}

fn binding(object: &AuthzRoleBinding) -> (RoleKey, Binding) {
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let mappings = object.spec.role_mappings.iter().map(|mapping| {
        let scope = mapping.scope.clone().unwrap_or_default();
        let home = match mapping.role_ref.kind {
            RoleKind::AuthzRole => namespace.clone(),
            RoleKind::ClusterAuthzRole => String::new(),
        };
        Mapping {
            role: (home, mapping.role_ref.name.clone()),
            scope: Hierarchy {
                namespace: namespace.clone(),
                project: scope.project.unwrap_or_default(),
                component: scope.component.unwrap_or_default(),
                resource: scope.resource.unwrap_or_default(),
            },
            conditions: conditions(&mapping.conditions),
        }
    });
    let binding = Binding {
        claim: object.spec.entitlement.claim.clone(),
        value: object.spec.entitlement.value.clone(),
        effect: effect(object.spec.effect),
        ends: ends(&name, object),
        granted_by: object.annotations().get(GRANTED_BY).map(|who| who.as_str().into()),
        mappings: mappings.collect(),
        namespace: namespace.clone(),
        name: name.clone(),
    };
    ((namespace, name), binding)
}

fn cluster_binding(object: &ClusterAuthzRoleBinding) -> (RoleKey, Binding) {
    let name = object.name_any();
    let mappings = object.spec.role_mappings.iter().map(|mapping| {
        let scope = mapping.scope.clone().unwrap_or_default();
        Mapping {
            role: (String::new(), mapping.role_ref.name.clone()),
            scope: Hierarchy {
                namespace: scope.namespace.unwrap_or_default(),
                project: scope.project.unwrap_or_default(),
                component: scope.component.unwrap_or_default(),
                resource: scope.resource.unwrap_or_default(),
            },
            conditions: conditions(&mapping.conditions),
        }
    });
    let binding = Binding {
        claim: object.spec.entitlement.claim.clone(),
        value: object.spec.entitlement.value.clone(),
        effect: effect(object.spec.effect),
        ends: ends(&name, object),
        granted_by: object.annotations().get(GRANTED_BY).map(|who| who.as_str().into()),
        mappings: mappings.collect(),
        namespace: String::new(),
        name: name.clone(),
    };
    ((String::new(), name), binding)
}
