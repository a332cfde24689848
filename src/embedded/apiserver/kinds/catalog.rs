//! All resources that are served right now, indexed for requests and grouped for discovery.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::store::Key;
use super::Resource;

/// One version of a group, with its resources sorted by plural.
pub(crate) struct GroupVersion {
    /// Version, for example `v1`.
    pub version: String,
    /// Its resources.
    pub resources: Vec<Arc<Resource>>,
}

/// One API group with its versions, preferred first.
pub(crate) struct Group {
    /// Name, empty for core.
    pub name: String,
    /// Versions, preferred first.
    pub versions: Vec<GroupVersion>,
}

/// What one definition is served as, and the resourceVersion at which it was looked at.
#[derive(Clone)]
pub(crate) struct Served {
    /// Of the definition.
    pub rv: u64,
    /// One per served version.
    pub resources: Vec<Arc<Resource>>,
}

/// Definitions by their key, as far as they have been looked at.
pub(crate) type Definitions = HashMap<Key, Served>;

/// An immutable snapshot; replaced as a whole when definitions come and go.
#[derive(Default)]
pub(crate) struct Catalog {
    groups: Vec<Group>,
    by_plural: HashMap<(String, String, String), Arc<Resource>>,
    /// What the custom resources were made of.
    pub definitions: Definitions,
    /// Changes whenever the content does: the ETag of aggregated discovery.
    pub etag: String,
}

impl Catalog {
    /// Indexes the resources, built-in ones first. Core comes first, then groups by name.
    pub(crate) fn new(builtin: &[Arc<Resource>], definitions: Definitions) -> Self {
        let mut custom: Vec<_> = definitions.iter().collect();
        custom.sort_by_key(|(key, _)| *key);
        let custom = custom.into_iter().flat_map(|(_, served)| &served.resources);
        let mut groups: Vec<Group> = Vec::new();
        let mut by_plural = HashMap::new();
        for resource in builtin.iter().chain(custom).cloned() {
            let names = (resource.group.clone(), resource.version.clone(), resource.plural.clone());
            if by_plural.insert(names, resource.clone()).is_some() {
                continue;
            }
            let group = match groups.iter_mut().position(|g| g.name == resource.group) {
                Some(at) => &mut groups[at],
                None => {
                    groups.push(Group { name: resource.group.clone(), versions: Vec::new() });
                    let last = groups.len() - 1;
                    &mut groups[last]
                }
            };
            match group.versions.iter_mut().find(|v| v.version == resource.version) {
                Some(version) => version.resources.push(resource),
                None => group.versions.push(GroupVersion {
                    version: resource.version.clone(),
                    resources: vec![resource],
                }),
            }
        }
        groups.sort_by(|a, b| a.name.cmp(&b.name));
        for group in &mut groups {
            group.versions.sort_by_key(|v| std::cmp::Reverse(priority(&v.version)));
            for version in &mut group.versions {
                version.resources.sort_by(|a, b| a.plural.cmp(&b.plural));
            }
        }
        let etag = etag(&groups);
        Self { groups, by_plural, definitions, etag }
    }

    /// All groups.
    pub(crate) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// One group.
    pub(crate) fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|g| g.name == name)
    }

    /// The resource at a path.
    pub(crate) fn resource(
        &self,
        group: &str,
        version: &str,
        plural: &str,
    ) -> Option<&Arc<Resource>> {
        self.by_plural.get(&(group.to_owned(), version.to_owned(), plural.to_owned()))
    }

    /// Any served version of the resource.
    pub(crate) fn any_version(&self, group: &str, plural: &str) -> Option<&Arc<Resource>> {
        let group = self.group(group)?;
        group.versions.iter().flat_map(|v| &v.resources).find(|r| r.plural == plural)
    }
}

/// Orders versions as Kubernetes does: GA before beta before alpha, higher numbers first, others last.
pub(super) fn priority(version: &str) -> (u8, u64, u64) {
    let parse = || {
        let rest = version.strip_prefix('v')?;
        for (rank, word) in [(1, "alpha"), (2, "beta")] {
            if let Some((major, minor)) = rest.split_once(word) {
                return Some((rank, major.parse().ok()?, minor.parse().ok()?));
            }
        }
        Some((3, rest.parse().ok()?, 0))
    };
    parse().unwrap_or((0, 0, 0))
}

fn etag(groups: &[Group]) -> String {
    use sha2::Digest as _;
    let mut hash = sha2::Sha256::new();
    for group in groups {
        for version in &group.versions {
            for r in &version.resources {
                let subresources: Vec<_> = r.subresources().iter().map(|sub| sub.name).collect();
                let line = format!(
                    "{}/{}/{} {} {} {:?} {:?} {subresources:?}\n",
                    r.group, r.version, r.plural, r.kind, r.namespaced, r.short_names, r.categories,
                );
                hash.update(line.as_bytes());
            }
        }
    }
    super::super::hex(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::priority;

    #[test]
    fn versions_are_ordered_as_kubernetes_orders_them() {
        let mut versions =
            ["v1", "v2beta1", "foo1", "v10", "v1alpha2", "v2", "v1beta3", "v2beta11"];
        versions.sort_by_key(|v| std::cmp::Reverse(priority(v)));
        assert_eq!(
            versions,
            ["v10", "v2", "v1", "v2beta11", "v2beta1", "v1beta3", "v1alpha2", "foo1"]
        );
    }
}
