//! Who has to look again when an object changes.

use super::rendered::plane_ref;
use super::store::{Delta, Entry, Key, Store, What};
use crate::types::{
    ClusterDataPlane, Component, ComponentSpec, ComponentTypeKind, ConnectionTarget,
    EndpointStatus, Environment, Project, ReleaseBinding, TraitKind,
};
use serde::Deserialize;

/// Asks for every object that a change concerns.
///
/// An object's own reconciler runs when its desired state changed; a status that only we write does not bring it back.
pub(super) fn wake(store: &Store, delta: &Delta, mut ask: impl FnMut(Key)) {
    let Delta { key, before } = delta;
    let after = store.get(key.what, &key.namespace, &key.name);
    let Some(entry) = after.or(before.as_ref()) else { return };
    let asked_for = desired_changed(before.as_ref(), after)
        || (plane_ref(key.what, entry).is_some() && connected(before.as_ref()) != connected(after));
    let gone = after.is_none();
    if asked_for && !gone {
        ask(key.clone());
    }
    let ns = key.namespace.as_str();
    let component = || Key::new(What::Component, ns, &entry.links.component);
    match key.what {
        What::Workload => ask(component()),
        What::ComponentRelease => {
            ask(component());
            bindings(store, ns, |b| *b.links.release == *key.name, &mut ask);
        }
        What::ReleaseBinding => {
            ask(component());
            if gone {
                ask(Key::new(What::Environment, ns, &entry.links.environment));
            }
            if asked_for || gone || endpoints(before.as_ref()) != endpoints(after) {
                consumers(store, entry, &mut ask);
            }
        }
        What::RenderedRelease => {
            for owner in entry.meta.owner_references.iter().flatten() {
                match owner.kind.as_str() {
                    "ReleaseBinding" => ask(Key::new(What::ReleaseBinding, ns, &owner.name)),
                    "Project" => ask(Key::new(What::Project, ns, &owner.name)),
                    _ => {}
                }
            }
            if gone {
                ask(Key::new(What::Environment, ns, &entry.links.environment));
            }
        }
        What::ClusterComponentType if asked_for => {
            components(store, &mut ask, |spec| {
                spec.component_type.kind == ComponentTypeKind::ClusterComponentType
                    && spec.component_type.split().is_some_and(|(_, name)| name == key.name)
            });
        }
        // Component types embed traits, so every component may be concerned; traits change rarely.
        What::ClusterTrait | What::Trait if asked_for => {
            let kind = match key.what {
                What::Trait => TraitKind::Trait,
                _ => TraitKind::ClusterTrait,
            };
            components(store, &mut ask, |spec| {
                let embedded = spec
                    .component_type
                    .split()
                    .is_some_and(|(_, name)| embeds(store, name, kind, &key.name));
                embedded || spec.traits.iter().any(|t| t.kind == kind && t.name == key.name)
            });
        }
        What::Component => {
            bindings(store, ns, |b| *b.links.component == *key.name, &mut ask);
            if gone {
                ask(Key::new(What::Project, ns, &entry.links.project));
            }
        }
        What::Project if asked_for => {
            for c in store.of(What::Component, ns).filter(|c| *c.links.project == *key.name) {
                ask(Key::new(What::Component, ns, c.name()));
            }
            bindings(store, ns, |b| *b.links.project == *key.name, &mut ask);
            if gone {
                store
                    .of(What::DeploymentPipeline, ns)
                    .for_each(|p| ask(key_of(What::DeploymentPipeline, p)));
            }
        }
        // The default of an environment is in what is rendered for it, and passes on when it goes.
        What::ObservabilityAlertsNotificationChannel if asked_for => {
            bindings(store, ns, |b| b.links.environment == entry.links.environment, &mut ask);
            if gone || entry.deleting() {
                channels(store, ns, &entry.links.environment, &mut ask);
            }
        }
        What::DeploymentPipeline if asked_for => {
            for project in store.of(What::Project, ns) {
                let refers = project
                    .spec::<Project>()
                    .is_ok_and(|spec| spec.deployment_pipeline_ref.name == key.name);
                if refers {
                    ask(key_of(What::Project, project));
                    let own = store
                        .of(What::Component, ns)
                        .filter(|c| *c.links.project == *project.name());
                    own.for_each(|c| ask(key_of(What::Component, c)));
                }
            }
            store
                .of(What::Environment, ns)
                .filter(|e| e.deleting())
                .for_each(|e| ask(key_of(What::Environment, e)));
        }
        What::Environment if asked_for => {
            channels(store, ns, &key.name, &mut ask);
            bindings(store, ns, |b| *b.links.environment == *key.name, &mut ask);
            for release in store.of(What::RenderedRelease, ns) {
                if *release.links.environment == *key.name {
                    ask(key_of(What::RenderedRelease, release));
                }
            }
            store.of(What::Project, ns).for_each(|p| ask(key_of(What::Project, p)));
        }
        What::ClusterDataPlane | What::ClusterObservabilityPlane if asked_for => {
            for environment in store.all(What::Environment) {
                let other = environment.spec::<Environment>().is_ok_and(|spec| {
                    spec.data_plane_ref
                        .is_some_and(|r| key.what == What::ClusterDataPlane && r.name != key.name)
                });
                if !other {
                    channels(store, environment.namespace(), environment.name(), &mut ask);
                    bindings(
                        store,
                        environment.namespace(),
                        |b| *b.links.environment == *environment.name(),
                        &mut ask,
                    );
                    for release in store.of(What::RenderedRelease, environment.namespace()) {
                        if *release.links.environment == *environment.name() {
                            ask(key_of(What::RenderedRelease, release));
                        }
                    }
                }
            }
        }
        _ => {}
    }
}

fn key_of(what: What, entry: &Entry) -> Key {
    Key::new(what, entry.namespace(), entry.name())
}

/// Whether anything but the status changed.
fn desired_changed(before: Option<&Entry>, after: Option<&Entry>) -> bool {
    match (before, after) {
        (Some(a), Some(b)) => {
            let (a, b) = (&a.meta, &b.meta);
            a.uid != b.uid
                || a.generation != b.generation
                || a.deletion_timestamp != b.deletion_timestamp
                || a.finalizers != b.finalizers
                || a.annotations != b.annotations
                || a.labels != b.labels
        }
        _ => true,
    }
}

fn bindings(
    store: &Store,
    namespace: &str,
    which: impl Fn(&Entry) -> bool,
    ask: &mut impl FnMut(Key),
) {
    for binding in store.of(What::ReleaseBinding, namespace).filter(|b| which(b)) {
        ask(key_of(What::ReleaseBinding, binding));
    }
}

fn channels(store: &Store, namespace: &str, environment: &str, ask: &mut impl FnMut(Key)) {
    let all = store.of(What::ObservabilityAlertsNotificationChannel, namespace);
    for channel in all.filter(|channel| *channel.links.environment == *environment) {
        ask(key_of(What::ObservabilityAlertsNotificationChannel, channel));
    }
}

fn components(store: &Store, ask: &mut impl FnMut(Key), which: impl Fn(&ComponentSpec) -> bool) {
    for component in store.all(What::Component) {
        if component.spec::<Component>().is_ok_and(|spec| which(&spec)) {
            ask(key_of(What::Component, component));
        }
    }
}

fn embeds(store: &Store, component_type: &str, kind: TraitKind, name: &str) -> bool {
    #[derive(Deserialize)]
    struct Embedded {
        #[serde(default)]
        traits: Vec<crate::types::EmbeddedTrait>,
    }
    store
        .get(What::ClusterComponentType, "", component_type)
        .and_then(|t| serde_json::from_str::<Embedded>(&t.spec).ok())
        .is_some_and(|t| t.traits.iter().any(|t| t.kind == kind && t.name == name))
}

/// Whether a plane's agent is there, as the cluster gateway says.
fn connected(plane: Option<&Entry>) -> bool {
    let status = plane.and_then(|p| p.status::<ClusterDataPlane>().ok());
    status.and_then(|s| s.agent_connection).is_some_and(|c| c.connected)
}

/// The endpoints a binding offers; what its consumers depend on.
fn endpoints(binding: Option<&Entry>) -> Vec<EndpointStatus> {
    binding.and_then(|b| b.status::<ReleaseBinding>().ok()).map(|s| s.endpoints).unwrap_or_default()
}

/// The bindings that call this one's component.
fn consumers(store: &Store, binding: &Entry, ask: &mut impl FnMut(Key)) {
    let calls = |target: &ConnectionTarget| {
        target.component == *binding.links.component
            && target.project == *binding.links.project
            && target.environment.as_deref().is_none_or(|e| e == &*binding.links.environment)
    };
    for other in store.of(What::ReleaseBinding, binding.namespace()) {
        let status = other.status::<ReleaseBinding>();
        if status.is_ok_and(|s| s.connection_targets.iter().any(calls)) {
            ask(key_of(What::ReleaseBinding, other));
        }
    }
}
