//! The terms of a grant: who may make which kind of change, where, and until when. They are a role binding.

use jiff::Timestamp;
use kube::{ResourceExt as _, core::DynamicObject};
use serde_json::{Value, json};

use super::{
    Ends, GrantKind,
    condition::Attribute,
    ends::{EXPIRES_AT, GRANTED_BY},
    grant::{shortened, slug},
};

/// What a person grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The agent.
    pub agent: String,
    /// The kind of change.
    pub kind: &'static GrantKind,
    /// Where: a namespace.
    pub namespace: String,
    /// In it; empty for every project.
    pub project: String,
    /// In that; empty for every component.
    pub component: String,
    /// Its name; empty for every environment.
    pub environment: String,
    /// Until when.
    pub expires: Timestamp,
}

impl Terms {
    /// The name of the binding: the same place and kind are the same grant.
    pub fn name(&self) -> String {
        let mut name = format!("{}-{}", slug(&self.agent), self.kind.name);
        for (level, value) in [
            ("project", &self.project),
            ("component", &self.component),
            ("environment", &self.environment),
        ] {
            if !value.is_empty() {
                name.push_str(&format!(".{level}-{}", slug(value)));
            }
        }
        shortened(name)
    }

    /// The role binding.
    pub fn document(&self) -> Value {
        let role = json!({"kind": "ClusterAuthzRole", "name": self.kind.name});
        let mut mapping = json!({ "roleRef": role });
        for (level, value) in [("project", &self.project), ("component", &self.component)] {
            if !value.is_empty() {
                mapping["scope"][level] = json!(value);
            }
        }
        if !self.environment.is_empty() {
            let environment = format!("{}/{}", self.namespace, self.environment);
            // A string of JSON is one of CEL, whatever is in it.
            let expression = format!("{} == {}", Attribute::Environment.key(), json!(environment));
            mapping["conditions"] =
                json!([{"actions": self.kind.actions, "expression": expression}]);
        }
        json!({
            "metadata": {
                "name": self.name(),
                "namespace": self.namespace,
                "annotations": {EXPIRES_AT: self.expires.to_string()},
            },
            "spec": {
                "entitlement": {"claim": "sub", "value": self.agent},
                "roleMappings": [mapping],
            },
        })
    }
}

/// A binding that names an agent, as people see it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Granted {
    /// The binding.
    pub binding: String,
    /// Its namespace; absent for one of the whole installation.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The roles; of a grant the one kind.
    pub roles: Vec<String>,
    /// Where in the namespace, and when: `project shop, component web, environment development`.
    #[serde(rename = "where", default, skip_serializing_if = "String::is_empty")]
    pub place: String,
    /// Whether it takes rather than gives.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub denies: bool,
    /// Until when, by RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// Seconds until then; absent without an end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining_seconds: Option<i64>,
    /// Who granted it, if that was by the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted_by: Option<String>,
}

impl Granted {
    /// How `binding` is shown at `now`; nothing if it is not about the subject `agent`, or over.
    pub fn of(binding: &DynamicObject, agent: &str, now: Timestamp) -> Option<Self> {
        let spec = &binding.data["spec"];
        if spec["entitlement"]["claim"] != "sub" || spec["entitlement"]["value"] != agent {
            return None;
        }
        let annotation = |key: &str| binding.annotations().get(key).cloned();
        let expires_at = annotation(EXPIRES_AT);
        let remaining_seconds = match Ends::read(expires_at.as_deref()) {
            Ends::Never => None,
            Ends::At(time) if now < time => Some(time.duration_since(now).as_secs().max(1)),
            Ends::At(_) | Ends::Unreadable => return None,
        };
        let (roles, place) = reach(spec);
        Some(Self {
            binding: binding.name_any(),
            namespace: binding.namespace().unwrap_or_default(),
            roles,
            place,
            denies: spec["effect"] == "deny",
            expires_at,
            remaining_seconds,
            granted_by: annotation(GRANTED_BY),
        })
    }
}

/// What a binding with `spec` gives, and where.
fn reach(spec: &Value) -> (Vec<String>, String) {
    let mut roles: Vec<String> = Vec::new();
    let mut places: Vec<String> = Vec::new();
    for mapping in spec["roleMappings"].as_array().into_iter().flatten() {
        roles.push(mapping["roleRef"]["name"].as_str().unwrap_or_default().to_owned());
        let mut parts = Vec::new();
        for level in ["namespace", "project", "component", "resource"] {
            let value = mapping["scope"][level].as_str().filter(|value| !value.is_empty());
            parts.extend(value.map(|value| format!("{level} {value}")));
        }
        let conditions = mapping["conditions"].as_array().into_iter().flatten();
        parts.extend(conditions.filter_map(|one| one["expression"].as_str()).map(words));
        let place = parts.join(", ");
        if !places.contains(&place) {
            places.push(place);
        }
    }
    (roles, places.join("; "))
}

/// What `binding` says, for a record: `config-fix to claude-1 in environment development until …`.
pub(crate) fn described(binding: &DynamicObject) -> String {
    let spec = &binding.data["spec"];
    let (roles, place) = reach(spec);
    let who = spec["entitlement"]["value"].as_str().unwrap_or_default();
    let denies = if spec["effect"] == "deny" { "no " } else { "" };
    let mut text = format!("{denies}{} to {who}", roles.join(", "));
    if !place.is_empty() {
        text.push_str(&format!(" in {place}"));
    }
    if let Some(end) = binding.annotations().get(EXPIRES_AT) {
        text.push_str(&format!(" until {end}"));
    }
    text
}

/// A condition as people read it: the usual one as the environment's name, another one as it is.
fn words(expression: &str) -> String {
    let environment = expression
        .strip_prefix(Attribute::Environment.key())
        .and_then(|rest| rest.strip_prefix(" == "))
        .and_then(|text| serde_json::from_str::<String>(text).ok());
    match environment {
        Some(name) => {
            format!("environment {}", name.split_once('/').map_or(name.as_str(), |(_, name)| name))
        }
        None => format!("if {expression}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms() -> Terms {
        Terms {
            agent: "claude-1".into(),
            kind: GrantKind::named("config-fix").expect("a kind"),
            namespace: "default".into(),
            project: "shop".into(),
            component: String::new(),
            environment: "development".into(),
            expires: Timestamp::from_second(3600).expect("time"),
        }
    }

    /// The binding of `terms`, as the API server would have it.
    fn binding(terms: &Terms) -> DynamicObject {
        serde_json::from_value(terms.document()).expect("a binding")
    }

    #[test]
    fn a_grant_is_a_binding_that_says_who_what_where_and_until_when() {
        insta::assert_snapshot!(terms().document(), @r#"{"metadata":{"annotations":{"curtain.dev/expires-at":"1970-01-01T01:00:00Z"},"name":"claude-1-config-fix.project-shop.environment-development","namespace":"default"},"spec":{"entitlement":{"claim":"sub","value":"claude-1"},"roleMappings":[{"conditions":[{"actions":["releasebinding:update"],"expression":"resource.environment == \"default/development\""}],"roleRef":{"kind":"ClusterAuthzRole","name":"config-fix"},"scope":{"project":"shop"}}]}}"#);
    }

    #[test]
    fn a_grant_is_shown_as_it_was_made_until_it_ends() {
        let terms = terms();
        let now = Timestamp::UNIX_EPOCH;
        let shown = Granted::of(&binding(&terms), "claude-1", now).expect("a grant");
        assert_eq!(
            (shown.roles.as_slice(), shown.remaining_seconds),
            (["config-fix".to_owned()].as_slice(), Some(3600))
        );
        assert_eq!(shown.place, "project shop, environment development");
        assert_eq!(Granted::of(&binding(&terms), "claude-10", now), None);
        assert_eq!(Granted::of(&binding(&terms), "claude-1", terms.expires), None);
    }

    #[test]
    fn another_place_or_kind_is_another_grant() {
        let mut names = vec![terms().name()];
        for (project, component, environment) in
            [("", "", ""), ("shop", "web", "development"), ("", "", "shop"), ("shop", "", "x")]
        {
            let other = Terms {
                project: project.into(),
                component: component.into(),
                environment: environment.into(),
                ..terms()
            };
            names.push(other.name());
        }
        let scale = GrantKind::named("scale").expect("a kind");
        names.push(Terms { kind: scale, ..terms() }.name());
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "{names:#?}");
        let later = Terms { expires: Timestamp::UNIX_EPOCH, ..terms() };
        assert_eq!(later.name(), terms().name(), "granting again is the same grant");
    }
}
