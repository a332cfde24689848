//! Server-side apply and deletion of single objects in a plane.

use super::Desired;
use super::gvk::{Gvk, Served};
use super::remote::{Child, MANAGER, Place, Remote};
use crate::controllers::context::{Error, JSON, send};
use crate::controllers::watch::Object;
use crate::types::{RenderedReleaseSpec, labels};
use futures::future::join_all;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A manifest ready to be applied.
pub(super) struct Manifest {
    pub(super) desired: Desired,
    served: Served,
    body: Value,
}

/// Labels every manifest as this release's and finds its collection.
pub(super) async fn prepare(
    remote: &Remote,
    release: &Object,
    spec: &RenderedReleaseSpec,
) -> Result<Vec<Manifest>, Error> {
    let kinds: BTreeSet<Gvk> = spec.resources.iter().filter_map(|r| Gvk::of(&r.object)).collect();
    let followed = join_all(kinds.iter().map(|gvk| remote.follow(gvk))).await;
    let mut served: BTreeMap<&Gvk, Option<Served>> = BTreeMap::new();
    for (gvk, found) in kinds.iter().zip(followed) {
        served.insert(gvk, found?);
    }
    let mut manifests = Vec::with_capacity(spec.resources.len());
    for resource in &spec.resources {
        let unusable =
            |why: String| Error::Reported(format!("cannot apply {}: {why}", resource.id));
        let gvk = Gvk::of(&resource.object)
            .ok_or_else(|| unusable("the manifest has no apiVersion or kind".into()))?;
        let name = resource.object["metadata"]["name"].as_str().filter(|name| !name.is_empty());
        let name =
            name.ok_or_else(|| unusable("the manifest has no metadata.name".into()))?.to_owned();
        let served = served.get(&gvk).cloned().flatten();
        let served = served.ok_or_else(|| unusable(format!("the plane does not serve {gvk}")))?;
        let namespace = resource.object["metadata"]["namespace"].as_str().unwrap_or_default();
        let namespace = match (served.namespaced, namespace) {
            (true, "") => return Err(unusable(format!("{gvk} needs metadata.namespace"))),
            (true, namespace) => namespace.to_owned(),
            (false, _) => String::new(),
        };
        let mut body = resource.object.clone();
        mark(&mut body, release, &resource.id);
        if let Some(at) = release.annotation(labels::RESTARTED_AT)
            && gvk.group == "apps"
            && gvk.kind == "Deployment"
        {
            let template = child(child(child(&mut body, "spec"), "template"), "metadata");
            insert(template, "annotations", labels::RESTARTED_AT, at);
        }
        let desired = Desired { id: resource.id.clone(), place: Place { gvk, namespace, name } };
        manifests.push(Manifest { desired, served, body });
    }
    Ok(manifests)
}

fn mark(body: &mut Value, release: &Object, id: &str) {
    let metadata = child(body, "metadata");
    for (key, value) in [
        (labels::MANAGED_BY, MANAGER),
        (labels::RESOURCE_ID, id),
        (labels::RELEASE_UID, release.uid()),
        (labels::RELEASE_NAME, release.name()),
        (labels::RELEASE_NAMESPACE, release.namespace()),
    ] {
        insert(metadata, "labels", key, value);
    }
}

/// The object under a key, made when it is not there.
fn child<'a>(value: &'a mut Value, key: &str) -> &'a mut Value {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    &mut value[key]
}

fn insert(metadata: &mut Value, map: &str, key: &str, value: &str) {
    let map = child(metadata, map);
    child(map, key);
    map[key] = json!(value);
}

/// Applies one manifest; the live object as the plane answered.
pub(super) async fn apply(remote: &Remote, manifest: &Manifest) -> Result<Child, Error> {
    let place = &manifest.desired.place;
    let path = format!(
        "{}?fieldManager={MANAGER}&force=true",
        manifest.served.object(Some(&place.namespace), &place.name)
    );
    let target = describe(place);
    let body = manifest.body.to_string().into_bytes();
    let patch = "application/apply-patch+yaml";
    let text =
        send(&remote.client, "apply", &target, http::Method::PATCH, &path, patch, body).await?;
    let object = Object::parse(&text).map_err(|source| Error::Api {
        verb: "apply",
        target,
        source: kube::Error::SerdeError(source),
    })?;
    Ok(remote.learn(&place.gvk, object))
}

/// Deletes a live object with what depends on it; one that is gone already, or has been replaced, is left alone.
pub(super) async fn delete(remote: &Remote, place: &Place, child: &Child) -> Result<(), Error> {
    let Some(served) = remote.follow(&place.gvk).await? else { return Ok(()) };
    let path = served.object(Some(&place.namespace), &place.name);
    let body = json!({
        "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background",
        "preconditions": { "uid": child.uid },
    });
    let body = body.to_string().into_bytes();
    let target = describe(place);
    match send(&remote.client, "delete", &target, http::Method::DELETE, &path, JSON, body).await {
        Ok(_) => Ok(()),
        Err(error) if matches!(error.code(), Some(404 | 409)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes the namespaces that manifests for an observability plane name: nobody else does.
pub(super) async fn ensure_namespaces(
    remote: &Remote,
    release: &Object,
    spec: &RenderedReleaseSpec,
    desired: &[Desired],
) -> Result<(), Error> {
    let names: BTreeSet<&str> =
        desired.iter().map(|d| d.place.namespace.as_str()).filter(|n| !n.is_empty()).collect();
    for name in names {
        let body = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": { "name": name, "labels": {
                labels::CREATED_BY: MANAGER,
                labels::RELEASE_NAME: release.name(),
                labels::RELEASE_NAMESPACE: release.namespace(),
                labels::RELEASE_UID: release.uid(),
                labels::NAMESPACE: release.namespace(),
                labels::ENVIRONMENT: spec.environment_name,
                labels::PROJECT: spec.owner.project_name,
            } },
        });
        let body = body.to_string().into_bytes();
        let made = send(
            &remote.client,
            "create",
            name,
            http::Method::POST,
            "/api/v1/namespaces",
            JSON,
            body,
        )
        .await;
        match made {
            Err(error) if error.code() == Some(409) => {}
            other => _ = other?,
        }
    }
    Ok(())
}

fn describe(place: &Place) -> String {
    match place.namespace.as_str() {
        "" => format!("{} {}", place.gvk, place.name),
        namespace => format!("{} {namespace}/{}", place.gvk, place.name),
    }
}
