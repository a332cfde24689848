//! The kinds of change that a person can grant to an agent.
//!
//! Each is a cluster role of the same name (`manifests/defaults/roles.yaml`). A grant for an environment reaches nothing
//! outside of it: a kind with an action that is not about one environment, such as making a component, cannot be granted
//! for one ([`GrantKind::keeps_to_environment`]).

use super::{
    ACTIONS,
    condition::Attribute,
    parts::{RESTART, ROLLBACK, SCALE, parts},
};

/// A kind of change.
#[derive(Debug, PartialEq, Eq)]
pub struct GrantKind {
    /// As a person writes it; also the name of the role.
    pub name: &'static str,
    /// What it allows, in one line.
    pub about: &'static str,
    /// Its actions.
    pub actions: &'static [&'static str],
}

/// Every kind, those that allow less first.
pub static GRANT_KINDS: &[GrantKind] = &[
    GrantKind {
        name: "restart",
        about: "start the pods of a component anew, and nothing else",
        actions: &[RESTART],
    },
    GrantKind {
        name: "scale",
        about: "set the number of replicas, and nothing else",
        actions: &[SCALE],
    },
    GrantKind {
        name: "rollback",
        about: "go back to an earlier release of a component, and nothing else",
        actions: &[ROLLBACK],
    },
    GrantKind {
        name: "config-fix",
        about: "change what is deployed: its settings, variables, replicas, release and state",
        actions: &["releasebinding:update"],
    },
    GrantKind {
        name: "deploy",
        about: "deploy a release where the component is not yet, and change what is deployed",
        actions: &["releasebinding:create", "releasebinding:update"],
    },
    GrantKind {
        name: "deploy-image",
        about: "create components, and change anything of their workloads; in every environment",
        actions: &["component:create", "workload:create", "workload:update", RESTART],
    },
];

impl GrantKind {
    /// The kind called `name`.
    pub fn named(name: &str) -> Option<&'static Self> {
        GRANT_KINDS.iter().find(|kind| kind.name == name)
    }

    /// The kind that allows least of those that allow `action`.
    pub fn for_action(action: &str) -> Option<&'static Self> {
        GRANT_KINDS.iter().find(|kind| kind.actions.contains(&action))
    }

    /// Whether a grant of it can be kept to one environment.
    pub fn keeps_to_environment(&self) -> bool {
        self.actions.iter().all(|action| {
            let whole = ACTIONS.iter().find(|known| {
                let name = known.name();
                name == *action || parts(&name).contains(action)
            });
            whole.is_some_and(|action| action.attributes().contains(&Attribute::Environment))
        })
    }
}

/// The kinds as help shows them, one a line.
pub fn grant_kinds_help() -> String {
    let width = GRANT_KINDS.iter().map(|kind| kind.name.len()).max().unwrap_or_default();
    let line = |kind: &GrantKind| format!("  {:width$}  {}", kind.name, kind.about);
    GRANT_KINDS.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;

    fn file(path: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
        std::fs::read_to_string(path).expect("a file")
    }

    #[test]
    fn all_but_what_makes_components_can_be_kept_to_an_environment() {
        let outside = GRANT_KINDS.iter().filter(|kind| !kind.keeps_to_environment());
        let outside: Vec<&str> = outside.map(|kind| kind.name).collect();
        assert_eq!(outside, ["deploy-image"]);
    }

    #[test]
    fn each_kind_is_a_role_that_is_installed() {
        let roles = file("manifests/defaults/roles.yaml");
        let roles: Vec<Value> = serde_saphyr::from_multiple(&roles).expect("YAML");
        for kind in GRANT_KINDS {
            let role = roles.iter().find(|role| role["metadata"]["name"] == kind.name);
            let role = role.unwrap_or_else(|| panic!("no role {}", kind.name));
            assert_eq!(role["kind"], "ClusterAuthzRole");
            assert_eq!(role["spec"]["actions"], json!(kind.actions), "{}", kind.name);
            assert_eq!(role["spec"]["description"], format!("A grant to {}", kind.about));
        }
    }

    #[test]
    fn the_readme_lists_each_kind() {
        let readme = file("README.md");
        for kind in GRANT_KINDS {
            let row = format!("| `{}` | {} |", kind.name, kind.about);
            assert!(readme.contains(&row), "README.md lacks {row}");
        }
    }

    #[test]
    fn the_least_that_allows_an_action_is_suggested() {
        let suggested = |action| GrantKind::for_action(action).map(|kind| kind.name);
        assert_eq!(suggested("releasebinding:update"), Some("config-fix"));
        assert_eq!(suggested("releasebinding:create"), Some("deploy"));
        assert_eq!(suggested(SCALE), Some("scale"));
        assert_eq!(suggested("component:create"), Some("deploy-image"));
        assert_eq!(suggested("component:update"), None);
    }
}
