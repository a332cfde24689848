//! Cutting releases and keeping the first environment on the newest.

use super::Inputs;
use crate::controllers::context::{Context, Error};
use crate::controllers::names;
use crate::controllers::store::What;
use crate::controllers::watch::Object;
use crate::render::release_hash;
use crate::types::{
    ComponentOwner, ComponentProfile, ComponentRelease, ComponentReleaseSpec, ComponentSpec,
    ComponentStatus, ComponentTypeSnapshot, Kind, LatestRelease, ProfileTrait, ReleaseBinding,
    ReleaseBindingSpec, ReleaseState, labels,
};
use serde_json::json;

/// What a release of the component would hold now.
pub(crate) fn build(component: &str, spec: &ComponentSpec, inputs: Inputs) -> ComponentReleaseSpec {
    let traits: Vec<ProfileTrait> = spec
        .traits
        .iter()
        .map(|t| ProfileTrait {
            kind: t.kind,
            name: t.name.clone(),
            instance_name: t.instance_name.clone(),
            parameters: t.parameters.clone(),
        })
        .collect();
    let profile = ComponentProfile { parameters: spec.parameters.clone(), traits };
    ComponentReleaseSpec {
        owner: ComponentOwner {
            project_name: spec.owner.project_name.clone(),
            component_name: component.to_owned(),
        },
        component_type: ComponentTypeSnapshot {
            kind: spec.component_type.kind,
            name: spec.component_type.name.clone(),
            spec: inputs.component_type,
        },
        traits: inputs.traits,
        component_profile: (profile != ComponentProfile::default()).then_some(profile),
        workload: inputs.workload.template,
    }
}

/// The hash of everything a release holds but its owner.
pub(crate) fn hash(release: &ComponentReleaseSpec) -> String {
    release_hash(&json!({
        "componentType": release.component_type,
        "traits": release.traits,
        "componentProfile": release.component_profile,
        "workload": release.workload,
    }))
}

/// Cuts a release when the content changed, and binds the pipeline's first environment to it. The release's name.
pub(super) async fn deploy(
    ctx: &Context,
    component: &Object,
    spec: &ComponentSpec,
    inputs: Inputs,
    status: &mut ComponentStatus,
) -> Result<String, Error> {
    let root = inputs.root.clone();
    let release = build(component.name(), spec, inputs);
    let hash = hash(&release);
    let name = names::component_release(component.name(), &hash);
    status.latest_release = Some(LatestRelease { name: name.clone(), release_hash: hash });
    // A binding that is there first waits for its release.
    tokio::try_join!(
        cut(ctx, component, &name, release),
        bind(ctx, component, spec, &root, &name)
    )?;
    Ok(name)
}

/// Makes the release unless it is there.
async fn cut(
    ctx: &Context,
    component: &Object,
    name: &str,
    release: ComponentReleaseSpec,
) -> Result<(), Error> {
    if ctx.get(What::ComponentRelease, component.namespace(), name).is_some() {
        return Ok(());
    }
    let owner = release.owner.clone();
    let mut object = ComponentRelease::new(name, release);
    object.metadata.namespace = component.meta.namespace.clone();
    object.metadata.labels = Some(
        [
            (labels::PROJECT.to_owned(), owner.project_name),
            (labels::COMPONENT.to_owned(), owner.component_name),
        ]
        .into(),
    );
    ctx.create(&object).await.map(drop)
}

/// One binding per environment: made when there is none, moved to the release when there is one.
async fn bind(
    ctx: &Context,
    component: &Object,
    spec: &ComponentSpec,
    environment: &str,
    release: &str,
) -> Result<(), Error> {
    let (namespace, project) = (component.namespace(), &spec.owner.project_name);
    let found: Vec<(String, String)> = ctx.read(|store| {
        store
            .of(What::ReleaseBinding, namespace)
            .filter(|b| {
                *b.links.project == **project
                    && *b.links.component == *component.name()
                    && *b.links.environment == *environment
            })
            .map(|b| (b.name().to_owned(), b.links.release.to_string()))
            .collect()
    });
    match found.as_slice() {
        [] => {
            let binding = ReleaseBindingSpec {
                owner: ComponentOwner {
                    project_name: project.clone(),
                    component_name: component.name().to_owned(),
                },
                environment: environment.to_owned(),
                release_name: Some(release.to_owned()),
                state: ReleaseState::Active,
                component_type_environment_configs: None,
                trait_environment_configs: Default::default(),
                workload_overrides: None,
            };
            let mut object =
                ReleaseBinding::new(&names::binding(component.name(), environment), binding);
            object.metadata.namespace = component.meta.namespace.clone();
            object.metadata.finalizers =
                Some(vec![crate::controllers::binding::FINALIZER.to_owned()]);
            match ctx.create(&object).await? {
                true => Ok(()),
                // Somebody else's, or our own that the watch has not brought yet: look again.
                false => Err(Error::Reported(format!(
                    "a ReleaseBinding {}-{environment} exists already",
                    component.name()
                ))),
            }
        }
        [(_, bound)] if bound == release => Ok(()),
        [(name, _)] => {
            let patch = json!({ "spec": { "releaseName": release } });
            ctx.merge::<ReleaseBinding>(namespace, name, &patch).await.map(drop)
        }
        many => Err(Error::Reported(format!(
            "{} ReleaseBindings bind this component to {environment}: {}; keep one",
            many.len(),
            many.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
        ))),
    }
}

#[cfg(test)]
mod tests;
