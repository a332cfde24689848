//! Claims and volumes for tests.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use serde_json::{Value, json};

/// The claim `default/data` of 1Gi, with these fields in its spec.
pub(super) fn claim(spec: Value) -> PersistentVolumeClaim {
    let mut claim = json!({"metadata": {"namespace": "default", "name": "data", "uid": "u1"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    let fields = claim["spec"].as_object_mut().expect("an object");
    fields.extend(spec.as_object().cloned().expect("an object"));
    serde_json::from_value(claim).expect("a PersistentVolumeClaim")
}

pub(super) fn volume(volume: Value) -> PersistentVolume {
    serde_json::from_value(volume).expect("a PersistentVolume")
}

/// `object` with another value at a path of two steps.
pub(super) fn with(mut object: Value, path: &str, value: Value) -> Value {
    let mut steps = path.trim_start_matches('/').split('/');
    let (first, second) = (steps.next().expect("a step"), steps.next().expect("a step"));
    object[first][second] = value;
    object
}
