//! OpenAPI documents, written from what the server serves: of version 3 one per group and version, of version 2 one of
//! them all.
//!
//! kubectl refuses to create or apply without them: it looks for the PATCH operation of a kind with its
//! `fieldValidation` parameter; `kubectl explain` walks the schemas. Documents are written straight into a
//! buffer (never parsed, never held as a tree), so the caller may keep them compressed or write them anew.

mod components;
mod gnostic;
mod paths;
mod swagger;

use serde_json::{Map, Value, json};

/// A kind that is served in a group and version.
#[derive(Clone, Copy, Debug)]
pub struct Resource<'a> {
    /// "" for the core group.
    pub group: &'a str,
    /// Such as `v1`.
    pub version: &'a str,
    /// Such as `Deployment`.
    pub kind: &'a str,
    /// Such as `deployments`.
    pub plural: &'a str,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// As in discovery: `get list watch create update patch delete deletecollection`.
    pub verbs: &'a [&'a str],
    /// Subresources, in discovery order.
    pub subresources: &'a [Subresource<'a>],
    /// The version's `openAPIV3Schema` for custom resources; `None` takes the built-in table.
    pub custom: Option<&'a Value>,
}

/// A subresource of a kind.
#[derive(Clone, Copy, Debug)]
pub struct Subresource<'a> {
    /// Such as `status`.
    pub name: &'a str,
    /// As in discovery.
    pub verbs: &'a [&'a str],
    /// Group, version and kind of its body.
    pub kind: (&'a str, &'a str, &'a str),
}

/// The path of a document below `/openapi/v3/`: `api/v1` or `apis/GROUP/VERSION`.
pub fn path(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

/// The document of one group and version, as JSON.
pub fn document(group: &str, version: &str, resources: &[Resource<'_>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 << 10);
    out.extend_from_slice(
        br#"{"openapi":"3.0.0","info":{"title":"Kubernetes","version":"unversioned"},"paths":{"#,
    );
    let mut components = components::Components::default();
    let mut first = true;
    for resource in resources.iter().filter(|r| r.group == group && r.version == version) {
        for (path, item) in paths::of(resource, &mut components) {
            entry(&mut out, &mut first, &path, &item);
        }
    }
    out.extend_from_slice(br#"},"components":{"schemas":{"#);
    let mut first = true;
    for resource in resources.iter().filter(|r| r.group == group && r.version == version) {
        components.add_kind(resource);
    }
    components.write(|name, schema| entry(&mut out, &mut first, name, schema));
    out.extend_from_slice(b"}}}");
    out
}

/// The answer to `/openapi/v3`: where each document is. The hash in the URL lets clients cache it for good.
pub fn index<'a>(documents: impl IntoIterator<Item = (&'a str, u64)>) -> Vec<u8> {
    let mut paths = Map::new();
    for (path, hash) in documents {
        let url = format!("/openapi/v3/{path}?hash={hash:016X}");
        paths.insert(path.to_owned(), json!({"serverRelativeURL": url}));
    }
    json!({ "paths": paths }).to_string().into_bytes()
}

/// The document of version 2 that says what these of version 3 do, as JSON.
pub fn swagger(documents: impl IntoIterator<Item = Value>) -> Value {
    swagger::document(documents)
}

/// A document of version 2 as protocol buffers, which is how most who want it ask for it.
pub fn swagger_protobuf(document: &Value) -> Vec<u8> {
    gnostic::encode(document)
}

/// A document's hash for [`index`] (64-bit FNV-1a: it names content, it does not protect it).
pub fn hash(document: &[u8]) -> u64 {
    document.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn entry(out: &mut Vec<u8>, first: &mut bool, name: &str, value: &Value) {
    if !std::mem::take(first) {
        out.push(b',');
    }
    out.extend_from_slice(Value::from(name).to_string().as_bytes());
    out.push(b':');
    out.extend_from_slice(value.to_string().as_bytes());
}

fn gvk(group: &str, version: &str, kind: &str) -> Value {
    json!({"group": group, "kind": kind, "version": version})
}

#[cfg(test)]
mod tests;
