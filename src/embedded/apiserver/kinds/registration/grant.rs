//! Whoever lets a policy read parameters must be able to read them: what a policy says of them is told to others.

use curtain_schema::FieldError;
use serde_json::Value;

use super::super::super::Api;
use super::super::super::admission::Admission;
use super::super::super::status::ApiError;
use super::super::super::store::{Key, Table};
use super::super::{Resource, ValueExt};
use super::{GROUP, POLICIES, binding, policy};

/// The kind that a `paramKind` names, where it is served.
pub(in crate::apiserver) fn resource_of(
    api: &Api,
    kind: &Value,
) -> Option<std::sync::Arc<Resource>> {
    let catalog = api.catalog();
    let (version, kind) = (kind.text(&["apiVersion"]), kind.text(&["kind"]));
    let versions = catalog.groups().iter().flat_map(|group| &group.versions);
    let mut resources = versions.flat_map(|version| &version.resources);
    let found = resources.find(|r| r.kind == kind && r.served_api_version == version);
    found.filter(|r| r.strategy.review.is_none() && r.strategy.measure.is_none()).cloned()
}

fn group(kind: &Value) -> &str {
    kind.text(&["apiVersion"]).rsplit_once('/').map_or("", |(group, _)| group)
}

/// May the writer read objects of the kind? The parts are those of RBAC.
fn may(admission: &Admission<'_>, kind: Option<&Value>, namespace: &str, name: &str) -> bool {
    let api = admission.api;
    let found = kind.and_then(|kind| resource_of(api, kind));
    let plural = found.as_ref().map_or("*", |resource| resource.plural.as_str());
    let group = kind.map_or("*", group);
    api.rbac.may(api, admission.user, "get", group, plural, namespace, name)
}

fn refuse(admission: &Admission<'_>, object: &Value, path: &str, why: String) -> ApiError {
    let errors = vec![FieldError::forbidden(path, why)];
    admission.resource.invalid(object.text(&["metadata", "name"]), errors)
}

pub(super) fn settle_policy(
    admission: &Admission<'_>,
    document: &mut Value,
    old: Option<&Value>,
) -> Result<(), ApiError> {
    let Some(kind) = document.at(&["spec", "paramKind"]) else { return Ok(()) };
    if old.and_then(|old| old.at(&["spec", "paramKind"])) == Some(kind) {
        return Ok(());
    }
    let mut errors = Vec::new();
    policy::validate(document, old, &mut errors);
    if !errors.is_empty() || may(admission, Some(kind), "*", "*") {
        return Ok(());
    }
    let why = format!(
        "user {:?} must have \"get\" permission on all objects of the referenced paramKind (kind={}, apiVersion={})",
        admission.user.name,
        kind.text(&["kind"]),
        kind.text(&["apiVersion"])
    );
    Err(refuse(admission, document, "spec.paramKind", why))
}

pub(super) fn settle_binding(
    admission: &Admission<'_>,
    document: &mut Value,
    old: Option<&Value>,
) -> Result<(), ApiError> {
    let Some(reference) = document.at(&["spec", "paramRef"]) else { return Ok(()) };
    let same =
        |field: &str| old.and_then(|old| old.at(&["spec", field])) == document["spec"].get(field);
    if same("paramRef") && same("policyName") {
        return Ok(());
    }
    let mut errors = Vec::new();
    binding::validate(document, old, &mut errors);
    let table: Table = format!("{GROUP}/{POLICIES}").into();
    let policy = Key::new("", document.text(&["spec", "policyName"]));
    let policy = admission.api.store.latest(&table, &policy).map(|policy| policy.value());
    let kind = policy.as_ref().and_then(|policy| policy.at(&["spec", "paramKind"]));
    let (namespace, name) = (reference.text(&["namespace"]), reference.text(&["name"]));
    if !errors.is_empty() || may(admission, kind, namespace, name) {
        return Ok(());
    }
    let why = format!(
        "user {:?} does not have \"get\" permission on the object referenced by paramRef",
        admission.user.name
    );
    Err(refuse(admission, document, "spec.paramRef", why))
}
