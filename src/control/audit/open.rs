//! Which values of a change may be on record.
//!
//! Invariant: a text is open only at a path that is listed here, where the platform's own kinds have a name or an amount;
//! everything that people may fill with what they like, a secret among it, is closed, numbers too. No look at the value
//! itself can open it: nobody can tell a password from a word.

use serde_json::Value;

use super::delta::Key;

/// The longest name that is shown, in bytes; that of an image with its digest is shorter.
const LONGEST: usize = 160;

/// Where there are names. `*` is any one step.
const NAMES: &[&str] = &[
    "spec.componentType.kind",
    "spec.componentType.name",
    "spec.container.image",
    "spec.dataPlaneRef.kind",
    "spec.dataPlaneRef.name",
    "spec.dependencies.endpoints.*.component",
    "spec.dependencies.endpoints.*.name",
    "spec.dependencies.endpoints.*.project",
    "spec.dependencies.endpoints.*.visibility",
    "spec.deploymentPipelineRef.kind",
    "spec.deploymentPipelineRef.name",
    "spec.endpoints.*.type",
    "spec.endpoints.*.visibility.*",
    "spec.environment",
    "spec.observabilityPlaneRef.kind",
    "spec.observabilityPlaneRef.name",
    "spec.owner.componentName",
    "spec.owner.projectName",
    "spec.promotionPaths.*.sourceEnvironmentRef.kind",
    "spec.promotionPaths.*.sourceEnvironmentRef.name",
    "spec.promotionPaths.*.targetEnvironmentRefs.*.kind",
    "spec.promotionPaths.*.targetEnvironmentRefs.*.name",
    "spec.releaseName",
    "spec.state",
    "spec.traits.*.instanceName",
    "spec.traits.*.kind",
    "spec.traits.*.name",
    "spec.type.kind",
    "spec.type.name",
    "spec.workloadType",
];

/// Where there are amounts, below what a component type leaves open.
const AMOUNTS: &[&str] = &[
    "spec.componentTypeEnvironmentConfigs.replicas",
    "spec.componentTypeEnvironmentConfigs.resources.*.cpu",
    "spec.componentTypeEnvironmentConfigs.resources.*.memory",
];

/// Members below which not even numbers are shown.
const CLOSED: &[&str] = &[
    "annotations",
    "args",
    "command",
    "componentTypeEnvironmentConfigs",
    "env",
    "environmentConfigs",
    "files",
    "headers",
    "labels",
    "parameters",
    "schema",
    "template",
    "traitEnvironmentConfigs",
    "value",
];

/// How `value` is shown at `path`, if it may be; what is not there always may.
pub(super) fn shown(path: &[Key<'_>], value: &Value) -> Option<String> {
    let at = |patterns: &[&str]| patterns.iter().any(|pattern| fits(pattern, path));
    match value {
        Value::Null => Some("none".to_owned()),
        Value::Bool(_) | Value::Number(_) => {
            (at(AMOUNTS) || !path.iter().any(is_closed)).then(|| value.to_string())
        }
        Value::String(text) => {
            let is_open = (at(NAMES) && is_name(text)) || (at(AMOUNTS) && is_amount(text));
            is_open.then(|| text.clone())
        }
        Value::Array(_) | Value::Object(_) => None,
    }
}

fn fits(pattern: &str, path: &[Key<'_>]) -> bool {
    let mut steps = pattern.split('.');
    let each = path.iter().all(|key| match steps.next() {
        Some("*") => true,
        Some(step) => *key == Key::Member(step),
        None => false,
    });
    each && steps.next().is_none()
}

/// Whether the items of a list at `path` may be told by their names: below what is closed only variables and files have
/// such, and what is called a key elsewhere may be one.
pub(super) fn has_named_items(path: &[Key<'_>]) -> bool {
    let is_known = |key: &Key<'_>| matches!(key, Key::Member("env" | "files"));
    path.iter().all(|key| !is_closed(key) || is_known(key))
}

fn is_closed(key: &Key<'_>) -> bool {
    matches!(key, Key::Member(name) if CLOSED.contains(name))
}

/// Whether `text` could name something: a slip may put a URL with a password where an image belongs.
fn is_name(text: &str) -> bool {
    let plain = |char: char| char.is_ascii_alphanumeric() || "-_./:@".contains(char);
    let has_user = text.split_once('@').is_some_and(|(_, rest)| !rest.starts_with("sha256:"));
    let is_short = (1..=LONGEST).contains(&text.len());
    is_short && text.chars().all(plain) && !text.contains("://") && !has_user
}

/// Whether `text` is a quantity such as `250m` or `1.5Gi`.
fn is_amount(text: &str) -> bool {
    let unit = text.trim_start_matches(|char: char| char.is_ascii_digit() || char == '.');
    let digits = text.len() - unit.len();
    let units = ["", "m", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti"];
    (1..=12).contains(&digits) && units.contains(&unit)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::audit::delta;

    #[test]
    fn no_value_that_may_be_a_secret_is_told() {
        let uuid = "7f8a2c1e-90b4-4c55-8f0e-2a6f0d1b9c3e";
        let env = |key: &str, value| json!({"env": [{"key": key, "value": value}]});
        let mut hidden = Vec::new();
        for key in ["DB_PASS", "PGPASS", "MYSQL_PWD", "accessKey", "SIGNING-KEY", "JWT", "LEVEL"] {
            hidden.push(env(key, json!("hunter2")));
        }
        for value in [json!(uuid), json!("sk_live_abc"), json!("Server=x;Pwd=y"), json!(4711)] {
            hidden.push(env("SETTING", value));
        }
        hidden.extend([
            json!({"args": ["--password=hunter2"]}),
            json!({"command": ["sh", "-c", "hunter2"]}),
            json!({"image": "https://shop:hunter2@registry.local/web:1"}),
            json!({"image": "shop:hunter2@registry.local"}),
            json!({"files": [{"key": "a", "mountPath": "/a", "value": "hunter2"}]}),
        ]);
        let secrets = ["hunter2", "sk_live_abc", "Pwd=y", "4711", uuid];
        let check = |object: &serde_json::Value, path: &str| {
            for (before, after) in [(&json!({}), object), (object, &json!({}))] {
                let told = delta(before, after);
                assert!(told.starts_with(path), "{told} of {object}");
                assert!(!secrets.iter().any(|secret| told.contains(secret)), "{told}");
            }
        };
        for container in hidden {
            check(&json!({"spec": {"container": container}}), "spec.container.");
            let overrides = json!({"spec": {"workloadOverrides": {"container": container}}});
            check(&overrides, "spec.workloadOverrides.container.");
        }
        for (object, path) in [
            (json!({"annotations": {"pin": "hunter2"}}), "annotations.pin: "),
            (json!({"spec": {"parameters": {"pin": 4711}}}), "spec.parameters.pin: "),
            (
                json!({"spec": {"componentTypeEnvironmentConfigs": {"pin": 4711, "replicas": "hunter2"}}}),
                "spec.componentTypeEnvironmentConfigs.pin: ",
            ),
            (json!({"spec": {"webhookConfig": {"url": "hunter2"}}}), "spec.webhookConfig.url: "),
            (
                json!({"spec": {"parameters": {"of": [{"key": "hunter2"}]}}}),
                "spec.parameters.of[0]",
            ),
            // A key that is written like an open path is none.
            (json!({"spec": {"container.image": "hunter2"}}), "spec.container.image: "),
        ] {
            check(&object, path);
        }
    }

    #[test]
    fn names_and_amounts_are_told() {
        let configs = |replicas: u32, memory: &str| {
            let resources = json!({"limits": {"memory": memory}});
            json!({"spec": {"componentTypeEnvironmentConfigs": {"replicas": replicas, "resources": resources}}})
        };
        assert_eq!(
            delta(&configs(1, "256Mi"), &configs(3, "1.5Gi")),
            "spec.componentTypeEnvironmentConfigs.replicas: 1 → 3; \
             spec.componentTypeEnvironmentConfigs.resources.limits.memory: 256Mi → 1.5Gi"
        );
        let digest = format!("registry.local:5000/shop/web@sha256:{}", "0a".repeat(32));
        let image = |image: &str| json!({"spec": {"container": {"image": image}}});
        assert_eq!(
            delta(&image("web:1"), &image(&digest)),
            format!("spec.container.image: web:1 → {digest}")
        );
        let pipeline = |name: &str| json!({"spec": {"promotionPaths": [{"targetEnvironmentRefs": [{"name": name}]}]}});
        assert_eq!(
            delta(&json!({}), &pipeline("stage")),
            "spec.promotionPaths[0].targetEnvironmentRefs[stage].name: none → stage"
        );
    }
}
