//! How a component is deployed in the environment of the alert, and what was set for it there.

use std::sync::LazyLock;

use jiff::Timestamp;
use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// A deployment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Deployment {
    /// The release binding.
    pub binding: String,
    /// Which version of its spec: each change counts one up.
    pub generation: Option<i64>,
    /// The release that runs there, or should.
    pub release: String,
    /// The release before that one, if there is one.
    pub previous: Option<String>,
    /// The image of the release.
    pub image: String,
    /// `Ready`, or in one word why not, such as `RenderingFailed`.
    pub status: String,
    /// What is not as it should be.
    pub conditions: Vec<Condition>,
    /// What the environment sets for the component, in place of the workload's own.
    pub overrides: Vec<Setting>,
    /// What the workload itself sets.
    pub settings: Vec<Setting>,
    /// What is set for the resources of its pods.
    pub resources: Json,
    /// Pods that are not well, and why.
    pub unwell: Vec<(String, String)>,
    /// Whom it calls: the host of each, and its component.
    pub targets: Vec<(String, String)>,
    /// Whether the newest release is deployed here by itself.
    pub automatic: bool,
    /// When its pods were replaced last: by a release, or by a change of what is set. Of several pods the oldest says so:
    /// one that came alone was only needed.
    pub changed: Option<Timestamp>,
}

/// A condition that is not true.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// Such as `ReleaseSynced`.
    pub r#type: String,
    /// In words.
    pub message: String,
}

/// A variable of the container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// Its name.
    pub key: String,
    /// What it is.
    pub value: Value,
}

/// What a variable is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Value {
    /// Written there.
    Text(String),
    /// Written there, and not repeated here, because its name says that it is secret.
    Hidden,
    /// Taken from a Secret or ConfigMap of this name.
    From(String),
}

/// Words in names of variables that hold secrets.
const SECRET: [&str; 7] = ["SECRET", "PASS", "TOKEN", "KEY", "CREDENTIAL", "DSN", "AUTH"];

impl Setting {
    /// A variable and what is written for it: without what its name says is secret, and without the credentials of a URL.
    pub fn written(key: &str, value: &str) -> Setting {
        static CREDENTIALS: LazyLock<Option<Regex>> =
            LazyLock::new(|| Regex::new(r"://[^/@\s]+@").ok());
        let upper = key.to_uppercase();
        let value = match &*CREDENTIALS {
            _ if SECRET.iter().any(|word| upper.contains(word)) => Value::Hidden,
            Some(credentials) => Value::Text(credentials.replace_all(value, "://…@").into_owned()),
            None => Value::Hidden,
        };
        Setting { key: key.to_owned(), value }
    }

    /// As it may be shown.
    pub fn shown(&self) -> String {
        match &self.value {
            Value::Hidden => format!("{} (not shown)", self.key),
            Value::Text(value) => format!("{}={value:?}", self.key),
            Value::From(source) => format!("{} from {source}", self.key),
        }
    }
}

impl Deployment {
    /// The variable `key`, and whether the environment sets it.
    pub fn setting(&self, key: &str) -> Option<(&Setting, bool)> {
        let named = |setting: &&Setting| setting.key == key;
        let own = self.overrides.iter().find(named).map(|setting| (setting, true));
        own.or_else(|| self.settings.iter().find(named).map(|setting| (setting, false)))
    }

    /// Every variable that counts, with whether the environment sets it.
    pub fn all(&self) -> impl Iterator<Item = (&Setting, bool)> {
        let hidden = |setting: &&Setting| {
            !self.overrides.iter().any(|override_| override_.key == setting.key)
        };
        let own = self.overrides.iter().map(|setting| (setting, true));
        own.chain(self.settings.iter().filter(hidden).map(|setting| (setting, false)))
    }
}

/// Reads a binding as `get_release_binding` shows it.
pub(super) fn read(binding: &Json) -> Deployment {
    let text = |name: &str| binding[name].as_str().unwrap_or_default().to_owned();
    let unmet = binding["notReady"].as_array().into_iter().flatten().filter_map(Json::as_str);
    let conditions = unmet.map(|line| {
        let (r#type, message) = line.split_once(": ").unwrap_or(("", line));
        Condition { r#type: r#type.to_owned(), message: message.to_owned() }
    });
    let targets = binding["resolvedConnections"].as_array().into_iter().flatten();
    let targets = targets.filter_map(|target| {
        let host = target["url"]["host"].as_str()?;
        Some((host.to_owned(), target["component"].as_str()?.to_owned()))
    });
    Deployment {
        binding: text("name"),
        generation: binding["generation"].as_i64(),
        release: text("releaseName"),
        status: text("status"),
        conditions: conditions.collect(),
        overrides: variables(&binding["workloadOverrides"]["container"]["env"]),
        resources: binding["componentTypeEnvironmentConfigs"]["resources"].clone(),
        targets: targets.collect(),
        ..Deployment::default()
    }
}

/// The variables of a list of them.
pub(super) fn variables(list: &Json) -> Vec<Setting> {
    let all = list.as_array().into_iter().flatten();
    all.filter_map(|variable| {
        let key = variable["key"].as_str()?;
        if let Some(value) = variable["value"].as_str() {
            return Some(Setting::written(key, value));
        }
        let from = variable["valueFrom"].as_object()?.values().next()?;
        let value = Value::From(from["name"].as_str()?.to_owned());
        Some(Setting { key: key.to_owned(), value })
    })
    .collect()
}

impl Deployment {
    /// Takes in the objects of the binding: when its pods were made, and which of them are not well.
    pub(super) fn take(&mut self, tree: &Json) {
        let releases = tree["rendered_releases"].as_array().into_iter().flatten();
        let nodes = releases.filter_map(|release| release["nodes"].as_array()).flatten();
        for pod in nodes.filter(|node| node["kind"] == "Pod") {
            let made = pod["created_at"].as_str().and_then(|time| time.parse().ok());
            self.changed = match (self.changed, made) {
                (Some(known), Some(made)) => Some(Timestamp::min(known, made)),
                (known, made) => known.or(made),
            };
            if let (Some(name), Some(why)) =
                (pod["name"].as_str(), pod["health"]["message"].as_str())
            {
                self.unwell.push((name.to_owned(), why.to_owned()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_environment_sets_counts_before_what_the_workload_does() {
        let mut deployment = read(&json!({
            "name": "web-development", "releaseName": "web-1", "status": "RenderingFailed",
            "notReady": ["ReleaseSynced: no: never"],
            "workloadOverrides": {"container": {"env": [
                {"key": "A", "value": "1"},
                {"key": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            ]}},
            "resolvedConnections": [{"component": "cart", "url": {"host": "cart.ns.svc", "port": 1}}],
        }));
        deployment.settings =
            variables(&json!([{"key": "A", "value": "0"}, {"key": "C", "value": "2"}]));
        let all: Vec<(&str, bool)> =
            deployment.all().map(|(one, own)| (one.key.as_str(), own)).collect();
        assert_eq!(all, [("A", true), ("B", true), ("C", false)]);
        assert_eq!(
            deployment.setting("A").map(|(one, own)| (one.shown(), own)),
            Some(("A=\"1\"".into(), true))
        );
        assert_eq!(deployment.setting("B").map(|(one, _)| one.shown()), Some("B from s".into()));
        let unmet = &deployment.conditions[0];
        assert_eq!((unmet.r#type.as_str(), unmet.message.as_str()), ("ReleaseSynced", "no: never"));
        assert_eq!(deployment.targets, [("cart.ns.svc".to_owned(), "cart".to_owned())]);
    }

    #[test]
    fn a_secret_value_is_not_even_known() {
        let setting = Setting::written("DB_PASSWORD", "hunter2");
        assert!(!format!("{setting:?} {}", setting.shown()).contains("hunter2"));
        let url = Setting::written("DATABASE_URL", "postgres://u:hunter2@db:5432/x");
        assert_eq!(url.shown(), "DATABASE_URL=\"postgres://…@db:5432/x\"");
    }

    #[test]
    fn a_pod_that_came_alone_is_no_change() {
        let pod = |time: &str| json!({"kind": "Pod", "created_at": time});
        let tree = json!({"rendered_releases": [{"nodes": [
            pod("2026-01-02T00:00:00Z"), pod("2026-01-01T00:00:00Z"), {"kind": "Service"},
        ]}]});
        let mut deployment = Deployment::default();
        deployment.take(&tree);
        assert_eq!(
            deployment.changed.map(|time| time.to_string()).as_deref(),
            Some("2026-01-01T00:00:00Z")
        );
    }
}
