//! Role-based access control: one decision function over the stored roles and bindings.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::super::Api;
use super::super::kinds::ValueExt;
use super::super::request::selector::Labels;
use super::super::store::{Key, Object, Table};
use super::User;

/// What somebody wants to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `get`, `list`, …; for paths the HTTP method in lower case.
    pub verb: String,
    /// API group.
    pub group: String,
    /// Plural resource, empty for a path.
    pub resource: String,
    /// Subresource.
    pub subresource: String,
    /// Namespace, empty for all or none.
    pub namespace: String,
    /// Object name, empty for a collection.
    pub name: String,
    /// The path, when no resource is meant.
    pub path: String,
}

/// One policy rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    /// Verbs.
    pub verbs: Vec<String>,
    /// API groups.
    pub groups: Vec<String>,
    /// Resources, `pods/log` for subresources.
    pub resources: Vec<String>,
    /// Object names; none means all.
    pub names: Vec<String>,
    /// Paths; `/a/*` is a prefix.
    pub urls: Vec<String>,
}

fn any(list: &[String], value: &str) -> bool {
    list.iter().any(|item| item == "*" || item == value)
}

impl Rule {
    /// The `rules` of a role document.
    pub fn list(role: &Value) -> Vec<Self> {
        let strings = |rule: &Value, field: &str| {
            rule.list(&[field]).iter().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let rule = |rule: &Value| Self {
            verbs: strings(rule, "verbs"),
            groups: strings(rule, "apiGroups"),
            resources: strings(rule, "resources"),
            names: strings(rule, "resourceNames"),
            urls: strings(rule, "nonResourceURLs"),
        };
        role.list(&["rules"]).iter().map(rule).collect()
    }

    /// The rule as a document.
    pub fn document(&self) -> Value {
        let mut rule = serde_json::json!({"verbs": self.verbs});
        for (name, list) in [
            ("apiGroups", &self.groups),
            ("resources", &self.resources),
            ("resourceNames", &self.names),
            ("nonResourceURLs", &self.urls),
        ] {
            if !list.is_empty() {
                rule[name] = list.clone().into();
            }
        }
        rule
    }

    fn allows(&self, wanted: &Attributes) -> bool {
        if !any(&self.verbs, &wanted.verb) {
            return false;
        }
        if !wanted.path.is_empty() {
            return self.urls.iter().any(|url| match url.strip_suffix('*') {
                Some(prefix) => wanted.path.starts_with(prefix),
                None => *url == wanted.path,
            });
        }
        any(&self.groups, &wanted.group)
            && self
                .resources
                .iter()
                .any(|resource| resource_matches(resource, &wanted.resource, &wanted.subresource))
            && (self.names.is_empty()
                || (!wanted.name.is_empty() && self.names.contains(&wanted.name)))
    }

    /// Single-valued pieces: a rule is covered when each of its pieces is.
    fn pieces(&self) -> impl Iterator<Item = Self> {
        let mut pieces = Vec::new();
        for verb in &self.verbs {
            for url in &self.urls {
                pieces.push(Self {
                    verbs: vec![verb.clone()],
                    urls: vec![url.clone()],
                    ..Self::default()
                });
            }
            for group in &self.groups {
                for resource in &self.resources {
                    let piece = Self {
                        verbs: vec![verb.clone()],
                        groups: vec![group.clone()],
                        resources: vec![resource.clone()],
                        ..Self::default()
                    };
                    if self.names.is_empty() {
                        pieces.push(piece);
                    } else {
                        pieces.extend(
                            self.names
                                .iter()
                                .map(|n| Self { names: vec![n.clone()], ..piece.clone() }),
                        );
                    }
                }
            }
        }
        pieces.into_iter()
    }

    /// Does this rule grant the whole piece?
    fn covers(&self, piece: &Self) -> bool {
        let each = |ours: &[String], theirs: &[String]| theirs.iter().all(|value| any(ours, value));
        let url = |url: &String| {
            self.urls.iter().any(|ours| match ours.strip_suffix('*') {
                Some(prefix) => url.starts_with(prefix),
                None => ours == url,
            })
        };
        if !each(&self.verbs, &piece.verbs) {
            return false;
        }
        if !piece.urls.is_empty() {
            return piece.urls.iter().all(url);
        }
        let resource = |wanted: &String| {
            self.resources.iter().any(|ours| match wanted.split_once('/') {
                Some((resource, sub)) => ours == wanted || resource_matches(ours, resource, sub),
                None => ours == "*" || ours == wanted,
            })
        };
        each(&self.groups, &piece.groups)
            && piece.resources.iter().all(resource)
            && (self.names.is_empty()
                || (!piece.names.is_empty()
                    && piece.names.iter().all(|name| self.names.contains(name))))
    }
}

fn resource_matches(rule: &str, resource: &str, subresource: &str) -> bool {
    if rule == "*" {
        return true;
    }
    if subresource.is_empty() {
        return rule == resource;
    }
    match rule.split_once('/') {
        Some((r, s)) => (r == "*" || r == resource) && s == subresource,
        None => false,
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        f.write_str("{")?;
        for (name, list) in [
            ("APIGroups", &self.groups),
            ("Resources", &self.resources),
            ("ResourceNames", &self.names),
            ("NonResourceURLs", &self.urls),
            ("Verbs", &self.verbs),
        ] {
            if !list.is_empty() {
                let separator = if first { "" } else { ", " };
                write!(f, "{separator}{name}:{list:?}")?;
                first = false;
            }
        }
        f.write_str("}")
    }
}

#[derive(Debug, Clone, Hash, PartialEq, Eq)]
enum Subject {
    User(String),
    Group(String),
}

struct Grant {
    /// `None` = cluster-wide.
    namespace: Option<String>,
    /// For the reason that reviews give.
    binding: String,
    role: String,
    rules: Arc<[Rule]>,
}

/// What a role says.
struct Role {
    rules: Arc<[Rule]>,
    /// Its rules are those of the roles with these labels.
    aggregates: Option<Vec<Labels>>,
}

impl Role {
    fn read(role: &Value) -> Self {
        let selectors = role.list(&["aggregationRule", "clusterRoleSelectors"]);
        let labels = || selectors.iter().filter_map(Labels::from_selector).collect();
        Self { rules: Rule::list(role).into(), aggregates: (!selectors.is_empty()).then(labels) }
    }
}

/// What a binding says.
struct Binding {
    /// Kind and name.
    role: (String, String),
    subjects: Vec<Subject>,
}

impl Binding {
    fn read(binding: &Value) -> Self {
        let subject = |subject: &Value| {
            let name = subject.text(&["name"]);
            match subject.text(&["kind"]) {
                "Group" => Subject::Group(name.into()),
                "User" => Subject::User(name.into()),
                _ => Subject::User(format!(
                    "system:serviceaccount:{}:{name}",
                    subject.text(&["namespace"])
                )),
            }
        };
        let role = |field: &str| binding.text(&["roleRef", field]).to_owned();
        Self {
            role: (role("kind"), role("name")),
            subjects: binding.list(&["subjects"]).iter().map(subject).collect(),
        }
    }
}

/// Documents as far as decisions need them, each read once for each of its versions.
struct Read<T>(HashMap<Key, (u64, Arc<T>)>);

impl<T> Default for Read<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> Read<T> {
    /// Everything that is stored now; what has not changed is taken over.
    fn again(&self, stored: &[Arc<Object>], read: fn(&Value) -> T) -> Self {
        let look = |object: &Arc<Object>| {
            let known = self.0.get(&object.key).filter(|(rv, _)| *rv == object.rv);
            let known = known.map(|(_, read)| read.clone());
            let read = known.unwrap_or_else(|| Arc::new(read(&object.value())));
            (object.key.clone(), (object.rv, read))
        };
        Self(stored.iter().map(look).collect())
    }

    fn of(&self, object: &Object) -> Option<&Arc<T>> {
        self.0.get(&object.key).map(|(_, read)| read)
    }
}

#[derive(Default)]
struct Policy {
    grants: Vec<Grant>,
    by_subject: HashMap<Subject, Vec<usize>>,
    roles: HashMap<(String, Key), Arc<[Rule]>>,
    /// What it was made of: roles and cluster roles, and their bindings.
    read_roles: [Read<Role>; 2],
    read_bindings: [Read<Binding>; 2],
}

const TABLES: [&str; 4] = ["roles", "clusterroles", "rolebindings", "clusterrolebindings"];

/// The decision function, with the parsed policy kept until a role or binding changes.
pub struct Rbac {
    tables: [Table; 4],
    cached: Mutex<([u64; 4], Arc<Policy>)>,
}

fn may_everything(user: &User) -> bool {
    user.groups.iter().any(|group| group == "system:masters")
}

/// Roles and bindings at one moment.
#[derive(Clone)]
pub struct Roles(Arc<Policy>);

impl Roles {
    /// `Some(reason)` when the user may.
    pub fn allow(&self, user: &User, wanted: &Attributes) -> Option<String> {
        if may_everything(user) {
            return Some(String::new());
        }
        let mut grants = self
            .0
            .grants_of(user)
            .filter(|grant| grant.namespace.as_ref().is_none_or(|ns| *ns == wanted.namespace));
        grants
            .find(|grant| grant.rules.iter().any(|rule| rule.allows(wanted)))
            .map(|grant| format!("RBAC: allowed by binding {:?} of {}", grant.binding, grant.role))
    }
}

impl Default for Rbac {
    fn default() -> Self {
        let tables = TABLES.map(|plural| format!("rbac.authorization.k8s.io/{plural}").into());
        Self { tables, cached: Mutex::new(([u64::MAX; 4], Arc::default())) }
    }
}

impl Rbac {
    /// The tables whose changes change decisions.
    pub fn tables(&self) -> &[Table; 4] {
        &self.tables
    }

    fn policy(&self, api: &Api) -> Arc<Policy> {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.tables.each_ref().map(|table| api.store.changed(table));
        if cached.0 != current {
            *cached = (current, Arc::new(self.load(api, &cached.1)));
        }
        cached.1.clone()
    }

    fn load(&self, api: &Api, known: &Policy) -> Policy {
        let stored = self.tables.each_ref().map(|table| api.store.list(table, None).objects);
        let [roles, cluster_roles, role_bindings, cluster_bindings] = &stored;
        let mut policy = Policy {
            read_roles: [
                known.read_roles[0].again(roles, Role::read),
                known.read_roles[1].again(cluster_roles, Role::read),
            ],
            read_bindings: [
                known.read_bindings[0].again(role_bindings, Binding::read),
                known.read_bindings[1].again(cluster_bindings, Binding::read),
            ],
            ..Policy::default()
        };
        for (role, read) in pairs(roles, &policy.read_roles[0]) {
            policy.roles.insert(("Role".into(), role.key.clone()), read.rules.clone());
        }
        let all = pairs(cluster_roles, &policy.read_roles[1]);
        for (role, read) in &all {
            let rules = match read.aggregates {
                None => read.rules.clone(),
                Some(_) => aggregate(&role.key.name, read, &all, 0).into(),
            };
            policy.roles.insert(("ClusterRole".into(), role.key.clone()), rules);
        }
        let bindings = [role_bindings, cluster_bindings].into_iter().zip(&policy.read_bindings);
        for (binding, read) in bindings.flat_map(|(stored, read)| pairs(stored, read)) {
            let namespace = Some(binding.key.namespace.to_string()).filter(|ns| !ns.is_empty());
            let (kind, name) = &read.role;
            let role_namespace = if kind == "Role" { &*binding.key.namespace } else { "" };
            let role = (kind.clone(), Key::new(role_namespace, name));
            let Some(rules) = policy.roles.get(&role) else { continue };
            let grant = policy.grants.len();
            policy.grants.push(Grant {
                namespace,
                binding: binding.key.name.to_string(),
                role: format!("{kind} {name:?}"),
                rules: rules.clone(),
            });
            for subject in &read.subjects {
                policy.by_subject.entry(subject.clone()).or_default().push(grant);
            }
        }
        policy
    }

    /// The decision function, as it is now and stays.
    pub fn now(&self, api: &Api) -> Roles {
        Roles(self.policy(api))
    }

    /// `Some(reason)` when the user may.
    pub fn allows(&self, api: &Api, user: &User, wanted: &Attributes) -> Option<String> {
        // Without a look at roles: most writes are of such.
        if may_everything(user) {
            return Some(String::new());
        }
        self.now(api).allow(user, wanted)
    }

    /// The same, for a resource.
    #[allow(clippy::too_many_arguments, reason = "the parts of one question, each a name")]
    pub fn may(
        &self,
        api: &Api,
        user: &User,
        verb: &str,
        group: &str,
        resource: &str,
        namespace: &str,
        name: &str,
    ) -> bool {
        let wanted = Attributes {
            verb: verb.into(),
            group: group.into(),
            resource: resource.into(),
            namespace: namespace.into(),
            name: name.into(),
            ..Attributes::default()
        };
        self.allows(api, user, &wanted).is_some()
    }

    /// Everything that the user may do in the namespace.
    pub fn rules_for(&self, api: &Api, user: &User, namespace: &str) -> Vec<Rule> {
        if may_everything(user) {
            let all = || vec!["*".to_owned()];
            return vec![
                Rule { verbs: all(), groups: all(), resources: all(), ..Rule::default() },
                Rule { verbs: all(), urls: all(), ..Rule::default() },
            ];
        }
        let policy = self.policy(api);
        policy
            .grants_of(user)
            .filter(|grant| grant.namespace.as_ref().is_none_or(|ns| ns == namespace))
            .flat_map(|grant| grant.rules.iter().cloned())
            .collect()
    }

    /// The rules of a role.
    pub fn rules_of(
        &self,
        api: &Api,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Option<Vec<Rule>> {
        let namespace = if kind == "Role" { namespace } else { "" };
        self.policy(api)
            .roles
            .get(&(kind.into(), Key::new(namespace, name)))
            .map(|rules| rules.to_vec())
    }

    /// What of `wanted` the user does not hold, in pieces.
    pub fn missing(&self, api: &Api, user: &User, namespace: &str, wanted: &[Rule]) -> Vec<Rule> {
        let held = self.rules_for(api, user, namespace);
        let pieces = wanted.iter().flat_map(Rule::pieces);
        pieces.filter(|piece| !held.iter().any(|rule| rule.covers(piece))).collect()
    }
}

impl Policy {
    fn grants_of<'a>(&'a self, user: &'a User) -> impl Iterator<Item = &'a Grant> {
        let subjects = std::iter::once(Subject::User(user.name.clone()))
            .chain(user.groups.iter().map(|group| Subject::Group(group.clone())));
        subjects
            .filter_map(|subject| self.by_subject.get(&subject))
            .flatten()
            .map(|at| &self.grants[*at])
    }
}

/// Each object with what was read of it.
fn pairs<'a, T>(stored: &'a [Arc<Object>], read: &'a Read<T>) -> Vec<(&'a Object, &'a T)> {
    stored.iter().filter_map(|object| Some((&**object, &**read.of(object)?))).collect()
}

/// The rules of a ClusterRole among all, aggregated from the others when it says so.
pub fn cluster_rules(name: &str, all: &[Arc<Object>]) -> Vec<Rule> {
    let read = Read::default().again(all, Role::read);
    let all = pairs(all, &read);
    let role = all.iter().find(|(object, _)| *object.key.name == *name);
    role.map(|(_, role)| aggregate(name, role, &all, 0)).unwrap_or_default()
}

/// Aggregation is one level deep by label; an aggregated role that is selected contributes what it aggregates.
fn aggregate(name: &str, role: &Role, all: &[(&Object, &Role)], depth: u8) -> Vec<Rule> {
    let Some(selectors) = role.aggregates.as_ref().filter(|_| depth <= 4) else {
        return role.rules.to_vec();
    };
    let mut rules: Vec<Rule> = Vec::new();
    for (object, other) in all.iter().filter(|(object, _)| *object.key.name != *name) {
        if selectors.iter().any(|labels| labels.matches(object)) {
            for rule in aggregate(&object.key.name, other, all, depth + 1) {
                if !rules.contains(&rule) {
                    rules.push(rule);
                }
            }
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rule(rule: Value) -> Rule {
        Rule::list(&json!({"rules": [rule]})).remove(0)
    }

    #[test]
    fn rules_allow_what_they_name() {
        let pods = rule(
            json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods", "pods/log", "*/scale"]}),
        );
        let wanted = |resource: &str, sub: &str| Attributes {
            verb: "get".into(),
            resource: resource.into(),
            subresource: sub.into(),
            ..Attributes::default()
        };
        for (resource, sub, expected) in [
            ("pods", "", true),
            ("pods", "log", true),
            ("pods", "exec", false),
            ("x", "scale", true),
            ("x", "", false),
        ] {
            assert_eq!(pods.allows(&wanted(resource, sub)), expected, "{resource}/{sub}");
        }
        let named = rule(
            json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "resourceNames": ["a"]}),
        );
        assert!(!named.allows(&wanted("pods", "")));
        assert!(named.allows(&Attributes { name: "a".into(), ..wanted("pods", "log") }));
        let url = rule(json!({"verbs": ["get"], "nonResourceURLs": ["/api/*", "/version"]}));
        let path = |path: &str| Attributes {
            verb: "get".into(),
            path: path.into(),
            ..Attributes::default()
        };
        assert!(
            url.allows(&path("/api/v1"))
                && url.allows(&path("/version"))
                && !url.allows(&path("/metrics"))
        );
    }

    #[test]
    fn a_grant_is_covered_piece_by_piece() {
        let held =
            rule(json!({"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}));
        let piece = |verb: &str, resource: &str| {
            rule(json!({"verbs": [verb], "apiGroups": [""], "resources": [resource]}))
        };
        assert!(held.covers(&piece("get", "pods")) && !held.covers(&piece("delete", "pods")));
        assert!(!held.covers(&piece("get", "*")) && !held.covers(&piece("get", "pods/log")));
        let wide = rule(
            json!({"verbs": ["get", "watch"], "apiGroups": [""], "resources": ["pods", "secrets"]}),
        );
        let missing: Vec<_> =
            wide.pieces().filter(|p| !held.covers(p)).map(|p| p.to_string()).collect();
        assert_eq!(missing.len(), 3);
        assert_eq!(missing[0], r#"{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}"#);
    }
}
