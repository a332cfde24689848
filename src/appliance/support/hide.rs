//! Leaving values out of objects where they stand: in Secrets, and wherever a name says that it is one.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::mask::MASKED;

/// Words in the name of a variable whose value is nobody's business.
const WORDS: &[&str] = &["token", "password", "passwd", "secret", "key", "credential"];
/// Ends of the name of a field whose text is the credential itself, and not where to find it.
const FIELDS: &[&str] = &[
    "token",
    "password",
    "passwd",
    "secret",
    "secretkey",
    "apikey",
    "privatekey",
    "accesskey",
    "credential",
    "credentials",
];
/// Annotations that repeat a whole object.
const REPEATED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// `object` without the values of credentials.
pub(super) fn hide(object: &mut Value) {
    let kind = object["kind"].as_str().unwrap_or_default().to_owned();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        if let Some(Value::Object(annotations)) = metadata.get_mut("annotations")
            && let Some(repeated) = annotations.get_mut(REPEATED)
        {
            *repeated = "[left out]".into();
        }
    }
    match kind.as_str() {
        "Secret" => secret(object),
        "ConfigMap" => {
            for field in ["data", "binaryData"] {
                for (key, value) in
                    object.get_mut(field).and_then(Value::as_object_mut).into_iter().flatten()
                {
                    if names_one(key) {
                        *value = MASKED.into();
                    }
                }
            }
        }
        _ => walk(object),
    }
}

/// A Secret shows how long its values are.
fn secret(object: &mut Value) {
    for (field, coded) in [("data", true), ("stringData", false)] {
        for (_, value) in object.get_mut(field).and_then(Value::as_object_mut).into_iter().flatten()
        {
            let text = value.as_str().unwrap_or_default();
            let length = match coded {
                true => STANDARD.decode(text).map_or(text.len(), |bytes| bytes.len()),
                false => text.len(),
            };
            *value = format!("{MASKED}, {length} bytes").into();
        }
    }
}

fn walk(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            pair(fields);
            for (name, value) in fields {
                match value {
                    Value::String(text) if !text.is_empty() && is_one(name) => {
                        *text = MASKED.into()
                    }
                    Value::Array(words) if name == "args" || name == "command" => arguments(words),
                    _ => walk(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(walk),
        _ => {}
    }
}

/// A variable: `{name, value}` in a pod, `{key, value}` in a workload.
fn pair(fields: &mut Map<String, Value>) {
    let name = ["name", "key"].iter().find_map(|field| fields.get(*field)?.as_str());
    if name.is_some_and(names_one)
        && let Some(Value::String(value)) = fields.get_mut("value")
        && !value.is_empty()
    {
        *value = MASKED.into();
    }
}

/// `--client-secret=…`, and `--client-secret` with its value behind it; a path is no credential.
fn arguments(words: &mut [Value]) {
    let mut follows = false;
    for word in words {
        let Value::String(text) = word else { continue };
        let flag = text.starts_with('-');
        let (name, given) = match text.split_once('=') {
            Some((name, given)) if flag => (name.to_owned(), Some(given.to_owned())),
            _ => (text.clone(), None),
        };
        let secret = flag && is_one(name.trim_start_matches('-'));
        match given {
            Some(given) if secret && !given.starts_with('/') => *text = format!("{name}={MASKED}"),
            None if follows && !flag && !text.starts_with('/') => *text = MASKED.to_owned(),
            _ => {}
        }
        follows = secret && flag && !text.contains('=');
    }
}

fn names_one(name: &str) -> bool {
    let name = name.to_lowercase();
    WORDS.iter().any(|word| name.contains(word))
}

fn is_one(field: &str) -> bool {
    let plain: String = field.chars().filter(char::is_ascii_alphanumeric).collect();
    let plain = plain.to_lowercase();
    FIELDS.iter().any(|end| plain.ends_with(end))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hidden(mut object: Value) -> Value {
        hide(&mut object);
        object
    }

    #[test]
    fn a_secret_shows_lengths_and_no_value() {
        let applied = "{\"data\":{\"password\":\"cGFzcw==\"}}";
        let shown = hidden(json!({
            "kind": "Secret", "data": {"password": "cGFzc3dvcmQ="}, "stringData": {"x": "four"},
            "metadata": {"name": "s", "managedFields": [1], "annotations": {REPEATED: applied, "a": "b"}}}));
        let expected = json!({
            "kind": "Secret", "data": {"password": "[masked], 8 bytes"}, "stringData": {"x": "[masked], 4 bytes"},
            "metadata": {"name": "s", "annotations": {REPEATED: "[left out]", "a": "b"}}});
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_config_map_is_whole_but_for_what_is_named_like_a_secret() {
        let shown = hidden(
            json!({"kind": "ConfigMap", "data": {"config.yaml": "a: 1", "api-key": "x", "DB_PASSWORD": "y"}}),
        );
        let expected = json!({"kind": "ConfigMap", "data": {"config.yaml": "a: 1", "api-key": MASKED, "DB_PASSWORD": MASKED}});
        assert_eq!(shown, expected);
    }

    #[test]
    fn variables_fields_and_arguments_lose_what_is_named_like_a_secret() {
        let pod = json!({"kind": "Pod", "spec": {"serviceAccountName": "token", "containers": [{
            "name": "secret-agent",
            "env": [
                {"name": "API_TOKEN", "value": "abc"}, {"name": "PORT", "value": "80"},
                {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "s", "key": "password"}}}],
            "args": ["--token-file", "/run/token", "--client-secret=abc", "--password", "abc", "--secret=/run/x", "serve"],
            "volumeMounts": [{"name": "token", "mountPath": "/run/secrets"}]}]}});
        let mut expected = pod.clone();
        let container = &mut expected["spec"]["containers"][0];
        container["env"][0]["value"] = MASKED.into();
        container["args"][2] = format!("--client-secret={MASKED}").into();
        container["args"][4] = MASKED.into();
        assert_eq!(hidden(pod), expected);

        let workload = json!({"kind": "Workload", "spec": {
            "env": [{"key": "DB_PASSWORD", "value": "abc"}], "auth": {"clientSecret": "abc", "secretName": "s", "secretRef": {"name": "s"}}}});
        let mut expected = workload.clone();
        expected["spec"]["env"][0]["value"] = MASKED.into();
        expected["spec"]["auth"]["clientSecret"] = MASKED.into();
        assert_eq!(hidden(workload), expected);
    }
}
