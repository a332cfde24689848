//! Where an action happens, and what a binding reaches.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A place: nothing (the whole installation), a namespace, a project in it, a component or resource in that.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hierarchy {
    /// The namespace; empty means the whole installation.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The project; empty means every one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub project: String,
    /// The component; empty means every one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub component: String,
    /// The resource; empty means every one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub resource: String,
}

impl Hierarchy {
    /// The whole installation.
    pub fn cluster() -> Self {
        Self::default()
    }

    /// A namespace.
    pub fn namespace(namespace: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), ..Self::default() }
    }

    /// This place's project `project`.
    pub fn project(mut self, project: impl Into<String>) -> Self {
        self.project = project.into();
        self
    }

    /// This place's component `component`.
    pub fn component(mut self, component: impl Into<String>) -> Self {
        self.component = component.into();
        self
    }

    /// Whether `other` is this place or lies in it.
    ///
    /// The whole installation contains everything; nothing else contains the whole installation.
    pub fn contains(&self, other: &Self) -> bool {
        let covers = |mine: &str, theirs: &str| mine.is_empty() || mine == theirs;
        covers(&self.namespace, &other.namespace)
            && covers(&self.project, &other.project)
            && covers(&self.component, &other.component)
            && covers(&self.resource, &other.resource)
    }

    /// Whether the two have a place in common: one lies in the other as far as both are known.
    pub fn overlaps(&self, other: &Self) -> bool {
        let meets = |a: &str, b: &str| a.is_empty() || b.is_empty() || a == b;
        meets(&self.namespace, &other.namespace)
            && meets(&self.project, &other.project)
            && meets(&self.component, &other.component)
            && meets(&self.resource, &other.resource)
    }

    /// `*` or `ns/<n>/project/<p>/component/<c>`.
    pub fn path(&self) -> String {
        if self.namespace.is_empty() {
            return "*".to_owned();
        }
        let mut path = format!("ns/{}", self.namespace);
        for (level, name) in [
            ("project", &self.project),
            ("component", &self.component),
            ("resource", &self.resource),
        ] {
            if !name.is_empty() {
                path.push_str(&format!("/{level}/{name}"));
            }
        }
        path
    }
}

/// `component shop/web in namespace default`, as denials say it.
impl fmt::Display for Hierarchy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, project, component, resource } = self;
        if namespace.is_empty() {
            return formatter.write_str("the whole installation");
        }
        // Not every caller knows the project.
        let slash = if project.is_empty() { "" } else { "/" };
        if !component.is_empty() {
            write!(formatter, "component {project}{slash}{component} in ")?;
        } else if !resource.is_empty() {
            write!(formatter, "resource {project}{slash}{resource} in ")?;
        } else if !project.is_empty() {
            write!(formatter, "project {project} in ")?;
        }
        write!(formatter, "namespace {namespace}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_contains_itself_and_what_lies_in_it() {
        let (all, ns) = (Hierarchy::cluster(), Hierarchy::namespace("default"));
        let project = ns.clone().project("shop");
        let component = project.clone().component("web");
        for outer in [&all, &ns, &project, &component] {
            assert!(outer.contains(&component));
        }
        assert!(!component.contains(&project) && !ns.contains(&all));
        assert!(!project.contains(&ns.clone().project("shopping")));
        assert!(!Hierarchy::namespace("other").contains(&component));
        assert!(component.overlaps(&ns) && !component.overlaps(&ns.project("other")));
    }

    #[test]
    fn paths_and_words() {
        let component = Hierarchy::namespace("default").project("shop").component("web");
        assert_eq!(component.path(), "ns/default/project/shop/component/web");
        assert_eq!(Hierarchy::cluster().path(), "*");
        assert_eq!(component.to_string(), "component shop/web in namespace default");
        let vague = Hierarchy::namespace("default").component("web");
        assert_eq!(vague.to_string(), "component web in namespace default");
    }
}
