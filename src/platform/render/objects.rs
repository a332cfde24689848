//! Rendered manifests: what makes one, their labels, order, ids and hash.

use super::Problem;
use super::input::Metadata;
use crate::types::{RenderedResource, TargetPlane, WorkloadType};
use curtain_template::{MAX_LABEL, fnv32, name_gen};
use serde_json::{Map, Value, json};

/// Annotation of the pod template that changes when anything the pods depend on does.
const HASH: &str = "openchoreo.dev/dp-resource-hash";

/// A manifest and the plane it goes to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Object {
    pub(super) plane: TargetPlane,
    pub(super) manifest: Value,
}

/// Checks that a value is a manifest.
pub(super) fn checked(value: Option<Value>) -> Result<Value, Problem> {
    let fail = |message: &str| Err(Problem::NotAManifest(message.to_owned()));
    let Some(manifest) = value else { return fail("all of it is omitted") };
    if !manifest.is_object() {
        return fail("it is not an object");
    }
    for (pointer, name) in
        [("/apiVersion", "apiVersion"), ("/kind", "kind"), ("/metadata/name", "metadata.name")]
    {
        if manifest.pointer(pointer).and_then(Value::as_str).is_none_or(str::is_empty) {
            return fail(&format!("`{name}` must be a non-empty string"));
        }
    }
    Ok(manifest)
}

/// The text at a JSON pointer, or nothing.
pub(super) fn text<'v>(manifest: &'v Value, pointer: &str) -> &'v str {
    manifest.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Adds the platform's labels; they win over those of the template.
pub(super) fn label(manifest: &mut Value, metadata: &Metadata) {
    let labels = child(child(manifest, "metadata"), "labels");
    for (name, value) in metadata.labels() {
        if let Value::Object(labels) = &mut *labels {
            labels.insert(name.to_owned(), json!(value));
        }
    }
}

/// The object under a key, made if it is missing or null.
fn child<'v>(value: &'v mut Value, key: &str) -> &'v mut Value {
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    let Value::Object(map) = value else { return value };
    let child = map.entry(key).or_insert(Value::Null);
    if child.is_null() {
        *child = Value::Object(Map::new());
    }
    child
}

/// By kind, apiVersion, namespace and name.
pub(super) fn sort(objects: &mut [Value]) {
    objects.sort_by_cached_key(|manifest| {
        ["/kind", "/apiVersion", "/metadata/namespace", "/metadata/name"]
            .map(|pointer| text(manifest, pointer).to_owned())
    });
}

/// Puts the hash over all other data-plane objects on the pod template, so that pods are replaced
/// when, say, a ConfigMap changes.
pub(super) fn hash_into_pods(objects: &mut [Object], workload_type: WorkloadType) {
    let kind = match workload_type {
        WorkloadType::Deployment => "Deployment",
        WorkloadType::StatefulSet => "StatefulSet",
        WorkloadType::CronJob | WorkloadType::Job | WorkloadType::Proxy => return,
    };
    let is_data_plane = |object: &Object| object.plane == TargetPlane::DataPlane;
    let is_primary =
        |object: &Object| is_data_plane(object) && text(&object.manifest, "/kind") == kind;
    let Some(primary) = objects.iter().position(is_primary) else { return };
    let mut others: Vec<Value> = objects
        .iter()
        .enumerate()
        .filter(|(index, object)| *index != primary && is_data_plane(object))
        .map(|(_, object)| object.manifest.clone())
        .collect();
    if others.is_empty() {
        return;
    }
    sort(&mut others);
    for other in &mut others {
        if let Value::Object(map) = other {
            map.remove("metadata");
        }
    }
    let pods = child(child(&mut objects[primary].manifest, "spec"), "template");
    if let Value::Object(annotations) = child(child(pods, "metadata"), "annotations") {
        annotations.insert(HASH.to_owned(), json!(release_hash(&Value::Array(others))));
    }
}

/// A short name-safe hash of a value: 32-bit FNV-1a over its canonical JSON, spelled in letters
/// and digits that make no words.
pub fn release_hash(value: &Value) -> String {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    // JSON maps are sorted, so this text is canonical.
    fnv32(&value.to_string())
        .to_string()
        .bytes()
        .map(|digit| char::from(ALPHABET[usize::from(digit) % ALPHABET.len()]))
        .collect()
}

/// Manifests with the ids by which a RenderedRelease knows them: `{kind}-{name}`, shortened with
/// a hash where that is longer than a label.
pub fn resources(manifests: Vec<Value>) -> Vec<RenderedResource> {
    manifests
        .into_iter()
        .enumerate()
        .map(|(index, object)| {
            let kind = text(&object, "/kind").to_lowercase();
            let name = text(&object, "/metadata/name");
            let mut id = format!("{kind}-{name}");
            if id.len() > MAX_LABEL {
                id = name_gen(MAX_LABEL, &[&kind, name]);
            }
            if id.trim_matches('-').is_empty() {
                id = format!("resource-{index}");
            }
            RenderedResource { id, object }
        })
        .collect()
}
