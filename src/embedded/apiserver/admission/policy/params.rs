//! Objects that a policy is evaluated with.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::super::Api;
use super::super::super::handle::served;
use super::super::super::kinds::{Resource, ValueExt, resource_of, selects};
use super::super::super::store::Key;
use super::super::Admission;
use super::binding::{Binding, Params};
use super::compiled::Policy;

/// The kind of a policy's parameters, as it is served right now.
pub(super) struct Kind(Arc<Resource>);

impl Kind {
    /// `None` for a policy without parameters.
    pub(super) fn of(policy: &Policy, api: &Api) -> Result<Option<Self>, String> {
        let Some(kind) = &policy.param_kind else { return Ok(None) };
        let found = resource_of(api, kind).map(|resource| Some(Self(resource)));
        found.ok_or_else(|| {
            let (version, kind) = (kind.text(&["apiVersion"]), kind.text(&["kind"]));
            let core = if version.contains('/') { "" } else { "/" };
            format!(
                "failed to find resource referenced by paramKind: '{core}{version}, Kind={kind}'"
            )
        })
    }
}

/// The parameters, each for an evaluation of its own; one that is null where the binding or the policy names none.
pub(super) fn collect(
    kind: Option<&Kind>,
    binding: &Binding,
    admission: &Admission<'_>,
) -> Result<Vec<Value>, String> {
    let (Some(Kind(resource)), Some(params)) = (kind, &binding.params) else {
        return Ok(vec![Value::Null]);
    };
    // A namespace is in itself, once it has a name.
    let own = match *admission.resource.table == *"/namespaces" {
        true => admission.name,
        false => admission.namespace,
    };
    let namespace = match (resource.namespaced, params.namespace.as_str(), own) {
        (false, "", _) => "",
        (false, ..) => {
            return Err(
                "paramRef.namespace must not be provided for a cluster-scoped `paramKind`".into()
            );
        }
        (true, "", "") => {
            return Err("cannot use namespaced paramRef in policy binding that matches cluster-scoped resources".into());
        }
        (true, "", own) => own,
        (true, named, _) => named,
    };
    let found = find(resource, params, namespace, admission.api);
    if found.is_empty() && params.required {
        return Err("no params found for policy binding with `Deny` parameterNotFoundAction".into());
    }
    Ok(found)
}

fn find(resource: &Resource, params: &Params, namespace: &str, api: &Api) -> Vec<Value> {
    if !params.name.is_empty() {
        let found = api.store.latest(&resource.table, &Key::new(namespace, &params.name));
        return found.map(|found| served(resource, &found)).into_iter().collect();
    }
    let scope = resource.namespaced.then_some(namespace);
    let mut stored = api.store.list(&resource.table, scope).objects;
    stored.sort_by(|a, b| a.key.cmp(&b.key));
    let selected = stored.iter().map(|stored| served(resource, stored)).filter(|object| {
        let labels = object.at(&["metadata", "labels"]).cloned().unwrap_or_else(|| json!({}));
        selects(&params.selector, &labels)
    });
    selected.collect()
}
