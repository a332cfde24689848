//! Which writes a hook or a policy is about: by operation, resource, name and scope, by labels, and in which version of
//! the resource.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::kinds::{Resource, ValueExt, is_empty, selects};
use super::super::status::ApiError;
use super::super::store::Key;
use super::{Admission, seen};

/// Rules and selectors of a hook or a policy, as it says them.
#[derive(Debug)]
pub(super) struct Interest {
    /// `None`: everything.
    rules: Option<Vec<Value>>,
    excluded: Vec<Value>,
    equivalent: bool,
    namespaces: Value,
    objects: Value,
}

fn has(rule: &Value, field: &str, value: &str) -> bool {
    rule.list(&[field]).iter().any(|item| item == "*" || item == value)
}

fn labels(object: &Value) -> Value {
    object.at(&["metadata", "labels"]).cloned().unwrap_or_else(|| json!({}))
}

/// The resource as it is served right now.
fn served(admission: &Admission<'_>, resource: &Resource) -> Option<Arc<Resource>> {
    let catalog = admission.api.catalog();
    catalog.resource(&resource.group, &resource.version, &resource.plural).cloned()
}

/// Does a rule name the write, taken as one of this resource?
fn names(rules: &[Value], admission: &Admission<'_>, resource: &Resource, name: &str) -> bool {
    rules.iter().any(|rule| {
        let scope = match rule.text(&["scope"]) {
            "Cluster" => !resource.namespaced,
            "Namespaced" => resource.namespaced,
            _ => true,
        };
        let about = |item: &Value| {
            let item = item.as_str().unwrap_or_default();
            let (plural, subresource) = item.split_once('/').unwrap_or((item, ""));
            (plural == "*" || plural == resource.plural)
                && (subresource == "*" || subresource == admission.subresource)
        };
        let only = rule.list(&["resourceNames"]);
        scope
            && has(rule, "operations", admission.operation.name())
            && has(rule, "apiGroups", &resource.group)
            && has(rule, "apiVersions", &resource.version)
            && rule.list(&["resources"]).iter().any(about)
            && (only.is_empty() || only.iter().any(|item| item == name))
    })
}

impl Interest {
    pub(super) fn of(hook: &Value) -> Self {
        Self { rules: Some(hook.list(&["rules"]).to_vec()), ..Self::selectors(hook) }
    }

    /// That of a policy or its binding.
    pub(super) fn of_resources(matches: &Value) -> Self {
        let rules = matches.list(&["resourceRules"]).to_vec();
        let excluded = matches.list(&["excludeResourceRules"]).to_vec();
        let rules = Some(rules).filter(|rules| !rules.is_empty());
        Self { rules, excluded, ..Self::selectors(matches) }
    }

    fn selectors(of: &Value) -> Self {
        Self {
            rules: None,
            excluded: Vec::new(),
            equivalent: of["matchPolicy"] != "Exact",
            namespaces: of["namespaceSelector"].clone(),
            objects: of["objectSelector"].clone(),
        }
    }

    /// The version of the resource in which the hook wants to see this write; none if it is not about it.
    pub(super) fn finds(
        &self,
        admission: &Admission<'_>,
        document: Option<&Value>,
        old: Option<&Value>,
    ) -> Result<Option<Arc<Resource>>, ApiError> {
        let name = seen::name(admission, document);
        let version = match &self.rules {
            Some(rules) => self.version(rules, admission, name),
            None => served(admission, admission.resource),
        };
        let Some(version) = version else { return Ok(None) };
        if !self.excluded.is_empty() && self.version(&self.excluded, admission, name).is_some() {
            return Ok(None);
        }
        if !self.selects_object(document, old) || !self.selects_namespace(admission, document)? {
            return Ok(None);
        }
        Ok(Some(version))
    }

    /// The version that is written, if a rule names it; else another one that a rule names.
    fn version(
        &self,
        rules: &[Value],
        admission: &Admission<'_>,
        name: &str,
    ) -> Option<Arc<Resource>> {
        let own = admission.resource;
        if names(rules, admission, own, name) {
            return served(admission, own);
        }
        if !self.equivalent {
            return None;
        }
        let catalog = admission.api.catalog();
        let all = catalog.groups().iter().flat_map(|group| &group.versions);
        let others = all.flat_map(|version| &version.resources);
        others
            .filter(|other| other.table == own.table)
            .find(|other| names(rules, admission, other, name))
            .cloned()
    }

    fn selects_object(&self, document: Option<&Value>, old: Option<&Value>) -> bool {
        let all = [document, old];
        all.into_iter().flatten().any(|object| selects(&self.objects, &labels(object)))
    }

    /// What is in no namespace is in all of them; a namespace counts as being in itself.
    fn selects_namespace(
        &self,
        admission: &Admission<'_>,
        document: Option<&Value>,
    ) -> Result<bool, ApiError> {
        let resource = admission.resource;
        let is_namespace = *resource.table == *"/namespaces";
        if (!is_namespace && !resource.namespaced) || is_empty(&self.namespaces) {
            return Ok(true);
        }
        if let (true, Some(document)) = (is_namespace, document) {
            return Ok(selects(&self.namespaces, &labels(document)));
        }
        let name = if is_namespace { admission.name } else { admission.namespace };
        let namespaces = super::super::status::Qualified { group: "", plural: "namespaces" };
        let found = admission.api.store.latest(&"/namespaces".into(), &Key::new("", name));
        let found = found.ok_or_else(|| ApiError::not_found(namespaces, name))?;
        Ok(selects(&self.namespaces, &labels(&found.value())))
    }
}
