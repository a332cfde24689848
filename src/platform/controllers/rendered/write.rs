//! Making a RenderedRelease hold certain manifests.

use super::{PLANE, finalizer};
use crate::controllers::context::{Context, Error, controls, owned_by};
use crate::controllers::store::{Entry, What};
use crate::remote::PlaneRef;
use crate::types::{
    Kind, RenderedRelease, RenderedReleaseOwner, RenderedReleaseSpec, RenderedResource,
    TargetPlane, labels,
};
use serde_json::json;
use std::collections::BTreeMap;

/// What writing a RenderedRelease came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// Made or replaced.
    Changed,
    /// As it should be.
    Same,
    /// One of this name is there and belongs to somebody else.
    Foreign,
}

/// A RenderedRelease as it should be.
pub(crate) struct Wanted<'a> {
    pub(crate) name: String,
    pub(crate) owner: RenderedReleaseOwner,
    pub(crate) environment: &'a str,
    pub(crate) target_plane: TargetPlane,
    pub(crate) plane: &'a PlaneRef,
    pub(crate) resources: Vec<RenderedResource>,
}

/// Makes the RenderedRelease hold exactly these manifests; `controller`, of kind `K`, controls it.
pub(crate) async fn write<K: Kind>(
    ctx: &Context,
    controller: &Entry,
    wanted: Wanted<'_>,
) -> Result<Written, Error> {
    let Wanted { name, owner, environment, target_plane, plane, resources } = wanted;
    let namespace = controller.namespace();
    let mut labels = BTreeMap::from([
        (labels::NAMESPACE, namespace.to_owned()),
        (labels::PROJECT, owner.project_name.clone()),
        (labels::ENVIRONMENT, environment.to_owned()),
    ]);
    if let Some(component) = &owner.component_name {
        labels.insert(labels::COMPONENT, component.clone());
    }
    let mut annotations = BTreeMap::from([(PLANE, plane.path())]);
    if let Some(at) = controller.annotation(labels::RESTARTED_AT) {
        annotations.insert(labels::RESTARTED_AT, at.to_owned());
    }
    let desired = RenderedReleaseSpec {
        owner,
        environment_name: environment.to_owned(),
        target_plane,
        resources,
        interval: None,
        progressing_interval: None,
    };
    let known = ctx.get(What::RenderedRelease, namespace, &name).is_some();
    let current = if known { ctx.fetch::<RenderedRelease>(namespace, &name).await? } else { None };
    let Some(current) = current else {
        let owned =
            |map: BTreeMap<&str, String>| map.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        let mut release = RenderedRelease::new(&name, desired);
        release.metadata = owned_by::<K>(controller, &name);
        release.metadata.labels = Some(owned(labels));
        release.metadata.annotations = Some(owned(annotations));
        release.metadata.finalizers = Some(vec![finalizer(target_plane).to_owned()]);
        return match ctx.create(&release).await? {
            true => Ok(Written::Changed),
            false => Err(Error::Reported(format!(
                "RenderedRelease {name} appeared while it was being made"
            ))),
        };
    };
    if !controls(controller, &current) {
        return Ok(Written::Foreign);
    }
    let same_spec = current.spec::<RenderedRelease>().is_ok_and(|spec| spec == desired);
    let same_notes = annotations.iter().all(|(k, v)| current.annotation(k) == Some(v));
    if same_spec && same_notes {
        return Ok(Written::Same);
    }
    let mut body = serde_json::to_value(&desired)
        .map_err(|source| Error::Encode { what: format!("RenderedRelease {name}"), source })?;
    // In a merge patch only null removes what a person may have added.
    for optional in ["interval", "progressingInterval"] {
        body[optional] = serde_json::Value::Null;
    }
    if body.get("resources").is_none() {
        body["resources"] = json!([]);
    }
    let patch = json!({
        "metadata": { "uid": current.uid(), "labels": labels, "annotations": annotations },
        "spec": body,
    });
    ctx.merge::<RenderedRelease>(namespace, &name, &patch).await?;
    Ok(Written::Changed)
}

/// The RenderedReleases that an object controls.
pub(crate) fn controlled_by(ctx: &Context, controller: &Entry) -> Vec<Entry> {
    ctx.read(|store| {
        let all = store.of(What::RenderedRelease, controller.namespace());
        all.filter(|release| controls(controller, release)).cloned().collect()
    })
}
