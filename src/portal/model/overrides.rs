//! What a release binding sets for its environment alone, beside what the release has.
//!
//! Invariant: a secret is named and never resolved, on either side.

use super::text;
use serde_json::Value;

/// More references that lead to each other are not followed.
const MOST_REFERENCES: usize = 64;

/// A value that is set for one environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Override {
    /// As people know it: `LOG_LEVEL`, `replicas`, `file /etc/app.conf`.
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) was: Was,
}

/// What is there without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Was {
    Value(String),
    NotSet,
    Unknown,
}

/// What `binding` sets, with what `release` has in its place, if that can be read.
pub(crate) fn overrides(binding: &Value, release: Option<&Value>) -> Vec<Override> {
    let spec = &binding["spec"];
    let container = release.map(|release| &release["spec"]["workload"]["container"]);
    let mut all = Vec::new();
    for (list, what) in [("env", ""), ("files", "file ")] {
        for item in spec["workloadOverrides"]["container"][list].as_array().into_iter().flatten() {
            let same = |other: &&Value| other["key"] == item["key"];
            let was = match container.map(|container| &container[list]) {
                None => Was::Unknown,
                Some(there) => match there.as_array().into_iter().flatten().find(same) {
                    Some(there) => Was::Value(value(there)),
                    None => Was::NotSet,
                },
            };
            let folder = text(item, "/mountPath").trim_end_matches('/');
            let joint = if folder.is_empty() { "" } else { "/" };
            let name = format!("{what}{folder}{joint}{}", text(item, "/key"));
            all.push(Override { name, value: value(item), was });
        }
    }
    let schema = release.and_then(|release| {
        release.pointer("/spec/componentType/spec/environmentConfigs/openAPIV3Schema")
    });
    let definitions = schema.map_or(&Value::Null, |schema| &schema["$defs"]);
    let schema = schema.map(|schema| Known::of(schema, definitions));
    leaves("", &spec["componentTypeEnvironmentConfigs"], schema.as_ref(), &mut all);
    leaves("", &spec["traitEnvironmentConfigs"], None, &mut all);
    all
}

/// The values of a variable or file, as text.
fn value(item: &Value) -> String {
    let secret = &item["valueFrom"]["secretKeyRef"];
    match (item["value"].as_str(), secret.is_object()) {
        (Some(value), _) => value.to_owned(),
        (None, true) => format!("secret {}, key {}", text(secret, "/name"), text(secret, "/key")),
        (None, false) => String::new(),
    }
}

/// What a schema says of one place.
struct Known<'a> {
    /// What the place is described by, nearest first: what stands beside a reference, then what it refers to.
    schemas: Vec<&'a Value>,
    definitions: &'a Value,
    default: Option<&'a Value>,
}

impl<'a> Known<'a> {
    fn of(schema: &'a Value, definitions: &'a Value) -> Known<'a> {
        let mut schemas = vec![schema];
        let mut next = schema;
        while let Some(name) = next["$ref"].as_str().and_then(|way| way.strip_prefix("#/$defs/"))
            && let Some(meant) = definitions.get(name)
            && schemas.len() <= MOST_REFERENCES
        {
            schemas.push(meant);
            next = meant;
        }
        let default = schemas.iter().find_map(|schema| schema.get("default"));
        Known { schemas, definitions, default }
    }

    /// What is known of a property: its own default holds where that of the whole says nothing of it.
    fn property(&self, name: &str) -> Option<Known<'a>> {
        let properties = self.schemas.iter().find_map(|schema| schema.get("properties"))?;
        let mut below = Known::of(properties.get(name)?, self.definitions);
        let part = self.default.and_then(|whole| whole.get(name)).filter(|part| !part.is_null());
        below.default = part.or(below.default);
        Some(below)
    }
}

/// The plain values within `value`, by path, each with the default that is `known` for it.
fn leaves(path: &str, value: &Value, known: Option<&Known<'_>>, into: &mut Vec<Override>) {
    match value {
        Value::Null => {}
        Value::Object(map) => {
            for (name, value) in map {
                let joint = if path.is_empty() { "" } else { "." };
                let below = known.and_then(|known| known.property(name));
                leaves(&format!("{path}{joint}{name}"), value, below.as_ref(), into);
            }
        }
        plain => {
            let default = known.and_then(|known| known.default);
            let was = default.map_or(Was::Unknown, |default| Was::Value(leaf(default)));
            into.push(Override { name: path.to_owned(), value: leaf(plain), was });
        }
    }
}

fn leaf(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::{Was, overrides};
    use serde_json::{Value, json};

    fn binding() -> Value {
        json!({"spec": {
            "workloadOverrides": {"container": {
                "env": [
                    {"key": "LOG_LEVEL", "value": "debug"},
                    {"key": "NEW", "value": "1"},
                    {"key": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "db", "key": "token"}}},
                ],
                "files": [{"key": "app.conf", "mountPath": "/etc/", "value": "a"}],
            }},
            "componentTypeEnvironmentConfigs": {"replicas": 3, "resources": {"limits": {"memory": "1Gi"}}},
            "traitEnvironmentConfigs": {"alerts": {"enabled": false}},
        }})
    }

    fn told(release: Option<&Value>) -> Vec<String> {
        let was = |was: Was| match was {
            Was::Value(value) => format!("was {value}"),
            Was::NotSet => "was not set".to_owned(),
            Was::Unknown => "?".to_owned(),
        };
        let all = overrides(&binding(), release).into_iter();
        all.map(|one| format!("{}={} ({})", one.name, one.value, was(one.was))).collect()
    }

    #[test]
    fn what_an_environment_has_of_its_own_is_told_with_what_it_would_have() {
        let schema = json!({"properties": {
            "replicas": {"default": 1},
            "resources": {"default": {"limits": {"memory": "256Mi"}}, "properties": {
                "limits": {"properties": {"memory": {"type": "string"}}}}},
        }});
        let release = json!({"spec": {
            "workload": {"container": {"env": [
                {"key": "LOG_LEVEL", "value": "info"},
                {"key": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "db", "key": "old"}}},
            ]}},
            "componentType": {"spec": {"environmentConfigs": {"openAPIV3Schema": schema}}},
        }});
        assert_eq!(
            told(Some(&release)),
            [
                "LOG_LEVEL=debug (was info)",
                "NEW=1 (was not set)",
                "TOKEN=secret db, key token (was secret db, key old)",
                "file /etc/app.conf=a (was not set)",
                "replicas=3 (was 1)",
                "resources.limits.memory=1Gi (was 256Mi)",
                "alerts.enabled=false (?)",
            ]
        );
    }

    #[test]
    fn a_release_that_cannot_be_read_leaves_what_is_set() {
        assert_eq!(told(None)[0], "LOG_LEVEL=debug (?)");
        assert!(overrides(&json!({"spec": {}}), None).is_empty());
    }
    /// The overrides that `configs` are, of a release whose type has this schema.
    fn configured(configs: &Value, schema: &Value) -> Vec<(String, Was)> {
        let binding = json!({"spec": {"componentTypeEnvironmentConfigs": configs}});
        let release = json!({"spec": {"componentType": {"spec": {
            "environmentConfigs": {"openAPIV3Schema": schema}}}}});
        let all = overrides(&binding, Some(&release)).into_iter();
        all.map(|one| (one.name, one.was)).collect()
    }

    #[test]
    fn the_shipped_types_tell_what_memory_and_processor_would_be() {
        for shipped in [
            include_str!("../../../manifests/defaults/component-types/service.yaml"),
            include_str!("../../../manifests/defaults/component-types/web-application.yaml"),
            include_str!("../../../manifests/defaults/component-types/worker.yaml"),
        ] {
            let shipped: Value = serde_saphyr::from_str(shipped).unwrap();
            let schema = &shipped["spec"]["environmentConfigs"]["openAPIV3Schema"];
            let configs = json!({"resources": {"limits": {"cpu": "1", "memory": "1Gi"}}});
            let was = |value: &str| Was::Value(value.to_owned());
            assert_eq!(
                configured(&configs, schema),
                [
                    ("resources.limits.cpu".to_owned(), was("100m")),
                    ("resources.limits.memory".to_owned(), was("256Mi")),
                ]
            );
        }
    }

    #[test]
    fn a_default_of_the_whole_replaces_those_of_its_parts() {
        let schema = json!({
            "$defs": {"Loop": {"$ref": "#/$defs/Loop"}},
            "properties": {
                "a": {"default": {"b": "outer"}, "properties": {
                    "b": {"default": "inner"}, "c": {"default": "own"}}},
                "d": {"default": {"e": "given"}, "properties": {"e": true}},
                "f": {"$ref": "#/$defs/Loop"},
            },
        });
        let configs = json!({"a": {"b": 1, "c": 1}, "d": {"e": 1}, "f": {"g": 1}});
        let was = |value: &str| Was::Value(value.to_owned());
        assert_eq!(
            configured(&configs, &schema),
            [
                ("a.b".to_owned(), was("outer")),
                ("a.c".to_owned(), was("own")),
                ("d.e".to_owned(), was("given")),
                ("f.g".to_owned(), Was::Unknown),
            ]
        );
    }
}
