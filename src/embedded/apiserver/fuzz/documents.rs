//! Bodies of requests, and the schemas that they are read with.

use bytes::Bytes;
use curtain_json::deeper_than;
use curtain_schema::crd::CrdSchema;
use curtain_schema::{builtin, openapi};
use serde_json::Value;

use super::super::jsonpath;
use super::super::request::{body, protobuf};
use super::parts;

/// What a byte of a body may become at most, in a document.
const GROWTH: usize = 64;
/// So deep is YAML read for certain.
const YAML_DEPTH: usize = 50;
/// YAML has names of up to 1024 characters, with their quotes and escapes.
const YAML_NAME: usize = 500;

/// A kind's message: it is a document of that kind, not much larger, that is as typed as one that came as JSON.
pub(super) fn protobuf(data: &[u8]) {
    let Ok(mut value) = protobuf::decode(data) else { return };
    let text = value.to_string();
    assert!(text.len() <= data.len() * GROWTH + 4096, "{} bytes of {}", text.len(), data.len());
    let again: Value = serde_json::from_str(&text).expect("what is stored can be read");
    assert_eq!(again, value);
    let (api_version, kind) = (value["apiVersion"].as_str(), value["kind"].as_str());
    let (Some(api_version), Some(kind)) = (api_version, kind) else {
        panic!("a document without a kind: {text}");
    };
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    if let Some(root) = builtin::root(group, version, kind) {
        // Only what may be anything inside a message can be of a type that its kind refuses.
        let _ = builtin::decode(&mut value, root);
    }
}

/// JSON and YAML: what the one says is what the other says, and it is as deep as can be stored.
pub(super) fn document(data: &[u8]) {
    let body = Bytes::copy_from_slice(data);
    let _ = body::decode("application/yaml", &body);
    let Ok(decoded) = body::decode("application/json", &body) else { return };
    let text = decoded.value.to_string();
    let again = body::decode("", &text.clone().into()).expect("it was read before");
    assert_eq!((&again.value, again.duplicates.len()), (&decoded.value, 0));
    // kubectl applies JSON as YAML, which is read less deep, without what cannot be printed, and with shorter names.
    if !deeper_than(&decoded.value, YAML_DEPTH)
        && longest_name(&decoded.value) < YAML_NAME
        && text.chars().all(is_yaml)
    {
        let yaml = body::yaml(&text.clone().into()).map(|yaml| yaml.value);
        assert_eq!(yaml.as_ref().ok(), Some(&decoded.value), "{text}: {yaml:?}");
    }
    let mut value = decoded.value;
    let word = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (api_version, kind) = (word("apiVersion"), word("kind"));
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    if let Some(root) = builtin::root(group, version, &kind)
        && builtin::decode(&mut value, root).is_ok()
    {
        let once = value.clone();
        assert_eq!(builtin::decode(&mut value, root), Ok(Vec::new()), "{once}");
        assert_eq!(value, once);
    }
}

fn longest_name(value: &Value) -> usize {
    let longest = match value {
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| name.len().max(longest_name(value))).max()
        }
        Value::Array(items) => items.iter().map(longest_name).max(),
        _ => None,
    };
    longest.unwrap_or_default()
}

/// Whether a character may stand in YAML as it is.
fn is_yaml(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// A schema and an object: reading one with the other comes to an end, and again changes nothing.
pub(super) fn schema(data: &[u8]) {
    let Some([schema, mut object, old, path]) = parts(data, ["schema", "object", "old", "path"])
    else {
        return;
    };
    if let Some(Ok(path)) = path.as_str().map(jsonpath::Path::parse) {
        let _ = path.first(&object);
    }
    let Ok(compiled) = CrdSchema::compile(&schema, "schema") else { return };
    let _ = compiled.check_defaults("schema");
    let resource = openapi::Resource {
        group: "laws.dev",
        version: "v1",
        kind: "Law",
        plural: "laws",
        namespaced: true,
        verbs: &["get", "patch"],
        subresources: &[],
        custom: Some(&schema),
    };
    let document = openapi::document("laws.dev", "v1", &[resource]);
    assert!(serde_json::from_slice::<Value>(&document).is_ok());
    if !object.is_object() || compiled.prune(&mut object).is_err() {
        return;
    }
    let mut again = object.clone();
    assert_eq!(compiled.prune(&mut again).ok(), Some(Vec::new()), "pruned twice");
    assert_eq!(again, object);
    compiled.default(&mut object);
    let mut again = object.clone();
    compiled.default(&mut again);
    assert_eq!(again, object, "defaulted twice");
    let _ = compiled.validate(&object, None);
    let _ = compiled.validate(&object, Some(&old));
}
