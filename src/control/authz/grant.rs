//! The grant that a refusal suggests: a role with the one action, and a binding of it in the one place.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Hierarchy, condition::Attribute};

/// The longest name of an object.
const LONGEST: usize = 253;
/// Hexadecimal digits that tell two texts apart whose plain characters are the same.
const DIGITS: usize = 8;

/// What to allow to whom, and where.
pub(super) struct Grant<'a> {
    /// The caller's `sub`.
    pub(super) subject: &'a str,
    /// `resource:verb`.
    pub(super) action: &'a str,
    pub(super) at: &'a Hierarchy,
    /// `<namespace>/<environment>`, when it is about one.
    pub(super) environment: Option<&'a str>,
}

impl Grant<'_> {
    /// The role and its binding.
    pub(super) fn documents(&self) -> [Value; 2] {
        let (subject, action) = (self.subject, self.action);
        let role = shortened(format!("{}-{}", slug(subject), action.replace(':', "-")));
        // A binding of its own for each place: a second grant must not move the first one. Each part begins with what
        // it is, so no name of a project is taken for one of an environment.
        let mut binding = role.clone();
        let mut scope = json!({});
        for (level, value) in [
            ("project", &self.at.project),
            ("component", &self.at.component),
            ("resource", &self.at.resource),
        ] {
            // A new object's own name would be in the place: allow the next one too.
            let creates_it = action == format!("{level}:create");
            // A scope below a project must name it, and not every caller knows it.
            let known = !self.at.project.is_empty();
            if !value.is_empty() && known && !creates_it {
                scope[level] = json!(value);
                binding.push_str(&format!(".{level}-{}", slug(value)));
            }
        }
        // What makes a namespace cannot be granted in one that is not there yet.
        let namespace = Some(self.at.namespace.as_str())
            .filter(|namespace| !namespace.is_empty() && action != "namespace:create");
        let prefix = if namespace.is_some() { "" } else { "Cluster" };
        let mut mapping = json!({"roleRef": {"kind": format!("{prefix}AuthzRole"), "name": role}});
        if scope.as_object().is_some_and(|scope| !scope.is_empty()) {
            mapping["scope"] = scope;
        }
        if let Some(environment) = self.environment {
            let name = environment.rsplit('/').next().unwrap_or_default();
            binding.push_str(&format!(".environment-{}", slug(name)));
            // A string of JSON is one of CEL, whatever is in it.
            let expression = format!("{} == {}", Attribute::Environment.key(), json!(environment));
            mapping["conditions"] = json!([{"actions": [action], "expression": expression}]);
        }
        let document = |kind: &str, name: &str, spec: Value| {
            let mut document = json!({
                "apiVersion": "openchoreo.dev/v1alpha1",
                "kind": format!("{prefix}{kind}"),
                "metadata": {"name": name},
                "spec": spec,
            });
            if let Some(namespace) = namespace {
                document["metadata"]["namespace"] = json!(namespace);
            }
            document
        };
        let spec = json!({
            "entitlement": {"claim": "sub", "value": subject},
            "roleMappings": [mapping],
        });
        [
            document("AuthzRole", &role, json!({"actions": [action]})),
            document("AuthzRoleBinding", &shortened(binding), spec),
        ]
    }
}

/// `text` as a part of an object's name: what cannot stand in one is replaced, and a digest keeps it apart from other
/// texts of which that is also true.
pub(super) fn slug(text: &str) -> String {
    let plain: String = text
        .to_ascii_lowercase()
        .chars()
        .map(|char| if char.is_ascii_alphanumeric() { char } else { '-' })
        .take(63)
        .collect();
    let plain = plain.trim_matches('-');
    match plain {
        _ if plain == text => text.to_owned(),
        "" => digest(text),
        _ => format!("{plain}-{}", digest(text)),
    }
}

/// `name`, which is plain, as one that is not too long.
pub(super) fn shortened(name: String) -> String {
    if name.len() <= LONGEST {
        return name;
    }
    let digest = digest(&name);
    let start = name[..LONGEST - DIGITS - 1].trim_end_matches(['-', '.']);
    format!("{start}-{digest}")
}

fn digest(text: &str) -> String {
    let digest = Sha256::digest(text);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    hex[..DIGITS].to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const ACTION: &str = "releasebinding:update";

    /// The name of the binding that allows [`ACTION`] to `subject`.
    fn name(subject: &str, at: &Hierarchy, environment: Option<&str>) -> String {
        let grant = Grant { subject, action: ACTION, at, environment };
        grant.documents()[1]["metadata"]["name"].as_str().expect("a name").to_owned()
    }

    #[test]
    fn no_two_places_share_a_binding() {
        let namespace = Hierarchy::namespace("default");
        let project = |name: &str| namespace.clone().project(name);
        let long = "x".repeat(63);
        let names = [
            name("a", &namespace, None),
            name("a", &namespace, Some("default/dev")),
            name("a", &project("dev"), None),
            name("a", &project("in").component("dev"), None),
            name("a", &project("in"), Some("default/dev")),
            name("a", &project("eu-prod"), None),
            name("a", &project("eu.prod"), None),
            name("a", &project("eu-prod").component("a"), None),
            name("a", &project(".."), None),
            name("a", &project("-"), None),
            name("a", &project(&long).component(&long), Some(&format!("default/{long}"))),
            name("a", &project(&long).component(&long), Some(&format!("default/{long}y"))),
            name(&long, &project(&long).component(&long), Some(&format!("default/{long}"))),
            name(&long, &project(&long).component(&long), Some("default/dev")),
            name("A", &namespace, None),
            name("a@example.org", &namespace, None),
            name("a.example.org", &namespace, None),
        ];
        for name in &names {
            let plain = |char: char| char.is_ascii_alphanumeric();
            let parts =
                name.split('.').all(|part| part.starts_with(plain) && part.ends_with(plain));
            assert!(parts && name.len() <= LONGEST, "{name}");
        }
        let distinct: BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "{names:#?}");
    }

    #[test]
    fn what_makes_a_namespace_is_granted_outside_of_it() {
        let at = Hierarchy::namespace("new");
        let grant = Grant { subject: "a", action: "namespace:create", at: &at, environment: None };
        for document in grant.documents() {
            assert!(document["kind"].as_str().is_some_and(|kind| kind.starts_with("Cluster")));
            assert!(document["metadata"].get("namespace").is_none(), "{document}");
        }
    }
}
