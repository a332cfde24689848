//! The kinds that the server has now, found by discovery.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use kube::Client;
use kube::api::{ApiResource, DynamicObject};
use kube::{Api, core::GroupVersionKind};
use serde::Deserialize;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// A kind that can be listed, watched and deleted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) kind: String,
    pub(super) plural: String,
    pub(super) namespaced: bool,
    /// Whether a whole collection can be deleted at once.
    pub(super) collections: bool,
}

impl Kind {
    #[cfg(test)]
    pub(super) fn new(
        group: &str,
        version: &str,
        kind: &str,
        plural: &str,
        namespaced: bool,
    ) -> Kind {
        Kind {
            group: group.into(),
            version: version.into(),
            kind: kind.into(),
            plural: plural.into(),
            namespaced,
            collections: true,
        }
    }

    /// What a client needs to address it.
    pub(super) fn resource(&self) -> ApiResource {
        let gvk = GroupVersionKind::gvk(&self.group, &self.version, &self.kind);
        ApiResource::from_gvk_with_plural(&gvk, &self.plural)
    }

    /// Its objects in a namespace; for a cluster-scoped kind the namespace is not used.
    pub(super) fn api(&self, client: &Client, namespace: &str) -> Api<DynamicObject> {
        if self.namespaced {
            Api::namespaced_with(client.clone(), namespace, &self.resource())
        } else {
            Api::all_with(client.clone(), &self.resource())
        }
    }
}

/// The kinds as last discovered, by group and kind.
#[derive(Default)]
pub(super) struct Kinds(RwLock<BTreeMap<(String, String), Arc<Kind>>>);

/// What a new discovery brought.
#[derive(Debug, Default)]
pub(super) struct Difference {
    pub(super) added: Vec<Arc<Kind>>,
    pub(super) removed: Vec<Arc<Kind>>,
}

impl Kinds {
    pub(super) fn get(&self, api_version: &str, kind: &str) -> Option<Arc<Kind>> {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        let kinds = self.0.read().unwrap_or_else(PoisonError::into_inner);
        kinds.get(&(group.to_owned(), kind.to_owned())).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<Kind>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn replace(&self, found: Vec<Kind>) -> Difference {
        let mut kinds = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut difference = Difference::default();
        let mut next = BTreeMap::new();
        for kind in found {
            let name = (kind.group.clone(), kind.kind.clone());
            let kept = kinds.remove(&name).filter(|known| **known == kind);
            let kind = kept.unwrap_or_else(|| {
                let kind = Arc::new(kind);
                difference.added.push(kind.clone());
                kind
            });
            next.insert(name, kind);
        }
        let gone = std::mem::replace(&mut *kinds, next);
        difference.removed.extend(gone.into_values());
        difference
    }

    /// Discovers again.
    pub(super) async fn refresh(&self, client: &Client) -> Result<Difference, kube::Error> {
        let mut found = Vec::new();
        for path in ["/api", "/apis"] {
            let request = http::Request::get(path)
                .header(http::header::ACCEPT, AGGREGATED)
                .body(Vec::new())
                .map_err(|error| kube::Error::Service(error.into()))?;
            let list: GroupList = client.request(request).await?;
            found.extend(list.items.into_iter().flat_map(Group::kinds));
        }
        Ok(self.replace(found))
    }
}

#[derive(Deserialize)]
struct GroupList {
    #[serde(default)]
    items: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    versions: Vec<Version>,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Version {
    version: String,
    #[serde(default)]
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    resource: String,
    response_kind: Option<ResponseKind>,
    scope: String,
    #[serde(default)]
    verbs: Vec<String>,
}

#[derive(Deserialize)]
struct ResponseKind {
    kind: String,
}

impl Group {
    /// Each kind once, in the version that is preferred among those that have it.
    fn kinds(self) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = Vec::new();
        for version in self.versions {
            for resource in version.resources {
                let can = |verb: &str| resource.verbs.iter().any(|v| v == verb);
                let Some(ResponseKind { kind }) = &resource.response_kind else { continue };
                if !(can("list") && can("watch") && can("delete"))
                    || kinds.iter().any(|k| k.kind == *kind)
                {
                    continue;
                }
                kinds.push(Kind {
                    group: self.metadata.name.clone(),
                    version: version.version.clone(),
                    kind: kind.clone(),
                    namespaced: resource.scope == "Namespaced",
                    collections: can("deletecollection"),
                    plural: resource.resource,
                });
            }
        }
        kinds
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn discovery_names_each_kind_once_and_tells_the_difference() {
        let verbs = json!(["create", "delete", "deletecollection", "get", "list", "watch"]);
        let resource = |name: &str, kind: &str, verbs: &serde_json::Value| json!({"resource":name,"responseKind":{"group":"g","version":"v1","kind":kind},"scope":"Namespaced","verbs":verbs});
        let list: GroupList = serde_json::from_value(json!({"items":[{"metadata":{"name":"g"},"versions":[
            {"version":"v1","resources":[resource("things","Thing",&verbs), resource("reviews","Review",&json!(["create"]))]},
            {"version":"v1beta1","resources":[resource("things","Thing",&verbs), resource("odds","Odd",&verbs)]}]}]}))
        .expect("a list");
        let found: Vec<Kind> = list.items.into_iter().flat_map(Group::kinds).collect();
        let names: Vec<_> = found.iter().map(|k| (k.kind.as_str(), k.version.as_str())).collect();
        assert_eq!(names, [("Thing", "v1"), ("Odd", "v1beta1")]);
        let kinds = Kinds::default();
        assert_eq!(kinds.replace(found.clone()).added.len(), 2);
        let difference = kinds.replace(found[..1].to_vec());
        assert_eq!((difference.added.len(), difference.removed.len()), (0, 1));
        assert!(kinds.get("g/v1", "Thing").is_some() && kinds.get("g/v1", "Odd").is_none());
    }
}
