//! PersistentVolumes.

use curtain_schema::FieldError;
use serde_json::{Value, json};

use super::super::super::columns::{Printer, name, old as age};
use super::super::super::meta::immutable;
use super::super::super::template::one_of;
use super::super::super::{Admission, Strategy, ValueExt};
use super::spec;
use crate::apiserver::admission::Operation;
use crate::apiserver::status::ApiError;

pub(in super::super) const VOLUME: Strategy =
    Strategy { default, prepare, validate, admit: Some(admit), ..Strategy::PLAIN };

const PROTECTION: &str = "kubernetes.io/pv-protection";

/// What in a spec is no source of storage.
const COMMON: [&str; 9] = [
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
];
const HOST_PATHS: [&str; 8] = [
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
];

fn default(volume: &mut Value) {
    let spec = volume.sub("spec");
    spec.default_to("persistentVolumeReclaimPolicy", "Retain");
    spec.default_to("volumeMode", "Filesystem");
    if spec.at(&["hostPath"]).is_some() {
        spec["hostPath"].default_to("type", "");
    }
}

fn prepare(volume: &mut Value, old: Option<&Value>) {
    if old.is_none() {
        volume["status"] = json!({"phase": "Pending"});
    }
}

fn admit(admission: &Admission<'_>, volume: &mut Value, _: Option<&Value>) -> Result<(), ApiError> {
    if admission.operation == Operation::Create {
        spec::protect(volume, PROTECTION);
    }
    Ok(())
}

fn validate(volume: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let offered = &volume["spec"];
    spec::validate_access(offered, errors);
    let capacity = offered.at(&["capacity"]).and_then(Value::as_object);
    match capacity.filter(|capacity| !capacity.is_empty()) {
        None => errors.push(FieldError::required("spec.capacity", "")),
        Some(capacity) if capacity.len() > 1 || !capacity.contains_key("storage") => {
            let value = offered["capacity"].clone();
            errors.push(FieldError::not_supported("spec.capacity", value, &["storage"]));
        }
        Some(capacity) => {
            spec::validate_size(&capacity["storage"], "spec.capacity[storage]", errors);
        }
    }
    spec::validate_kind(offered, errors);
    let policies = ["Delete", "Recycle", "Retain"];
    let at = "spec.persistentVolumeReclaimPolicy";
    one_of(offered, "persistentVolumeReclaimPolicy", &policies, at, errors);
    validate_source(offered, errors);
    if let Some(old) = old {
        validate_update(offered, &old["spec"], errors);
    }
}

fn validate_source(spec: &Value, errors: &mut Vec<FieldError>) {
    let mut sources = sources(spec).map(|(name, _)| name);
    if sources.next().is_none() {
        errors.push(FieldError::required("spec", "must specify a volume type"));
    }
    for second in sources {
        let why = "may not specify more than 1 volume type";
        errors.push(FieldError::forbidden(format!("spec.{second}"), why));
    }
    for source in ["hostPath", "local"] {
        if spec.at(&[source]).is_none() {
            continue;
        }
        let at = format!("spec.{source}.path");
        let path = spec.text(&[source, "path"]);
        if path.is_empty() {
            errors.push(FieldError::required(at, ""));
        } else if path.split('/').any(|part| part == "..") {
            errors.push(FieldError::invalid(at, path.into(), "must not contain '..'"));
        }
    }
    if let Some(host) = spec.at(&["hostPath"]) {
        one_of(host, "type", &HOST_PATHS, "spec.hostPath.type", errors);
        if host.text(&["path"]) == "/" && spec.text(&["persistentVolumeReclaimPolicy"]) == "Recycle"
        {
            let why = "may not be 'recycle' for a hostPath mount of '/'";
            errors.push(FieldError::forbidden("spec.persistentVolumeReclaimPolicy", why));
        }
    }
    if spec.at(&["local"]).is_some() && spec.at(&["nodeAffinity", "required"]).is_none() {
        let why = "Local volume requires node affinity";
        errors.push(FieldError::required("spec.nodeAffinity", why));
    }
}

fn sources(spec: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let fields = spec.as_object().into_iter().flatten();
    fields.filter(|(name, value)| !value.is_null() && !COMMON.contains(&name.as_str()))
}

fn validate_update(spec: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    if !sources(spec).eq(sources(old)) {
        errors.push(FieldError::forbidden(
            "spec.persistentvolumesource",
            "spec.persistentvolumesource is immutable after creation",
        ));
    }
    let changed = |field: &str| spec.at(&[field]) != old.at(&[field]);
    if changed("volumeMode") {
        errors.push(immutable("spec.volumeMode", spec.at(&["volumeMode"])));
    }
    if old.at(&["nodeAffinity"]).is_some() && changed("nodeAffinity") {
        errors.push(immutable("spec.nodeAffinity", spec.at(&["nodeAffinity"])));
    }
}

pub(in super::super) const COLUMNS: Printer = Printer(
    &[
        ("Name", "string", 0),
        ("Capacity", "string", 0),
        ("Access Modes", "string", 0),
        ("Reclaim Policy", "string", 0),
        ("Status", "string", 0),
        ("Claim", "string", 0),
        ("StorageClass", "string", 0),
        ("VolumeAttributesClass", "string", 0),
        ("Reason", "string", 0),
        ("Age", "string", 0),
        ("VolumeMode", "string", 1),
    ],
    |o, now| {
        let claim = o.at(&["spec", "claimRef"]).map_or_else(String::new, |claim| {
            format!("{}/{}", claim.text(&["namespace"]), claim.text(&["name"]))
        });
        vec![
            name(o),
            o.at(&["spec", "capacity", "storage"]).cloned().unwrap_or_else(|| "".into()),
            spec::short_access(o.list(&["spec", "accessModes"])).into(),
            o.text(&["spec", "persistentVolumeReclaimPolicy"]).into(),
            spec::phase(o),
            claim.into(),
            o.text(&["spec", "storageClassName"]).into(),
            spec::or_unset(o.text(&["spec", "volumeAttributesClassName"])),
            o.text(&["status", "reason"]).into(),
            age(o, now),
            spec::or_unset(o.text(&["spec", "volumeMode"])),
        ]
    },
);

#[cfg(test)]
mod tests {
    use super::*;

    fn volume() -> Value {
        let mut volume = json!({"metadata": {"name": "one"}, "spec": {"accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/srv/one"}}});
        default(&mut volume);
        volume
    }

    fn errors(volume: &Value, old: Option<&Value>) -> Vec<String> {
        let mut errors = Vec::new();
        validate(volume, old, &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_wrong_is_named_where_it_is() {
        assert_eq!(errors(&volume(), None), Vec::<String>::new());
        for (path, value, expected) in [
            ("/spec/capacity", json!({}), "spec.capacity: Required value"),
            (
                "/spec/capacity",
                json!({"cpu": "1"}),
                "spec.capacity: Unsupported value: {\"cpu\":\"1\"}: supported values: \"storage\"",
            ),
            ("/spec/hostPath", Value::Null, "spec: Required value: must specify a volume type"),
            (
                "/spec/hostPath/path",
                json!("/srv/../etc"),
                "spec.hostPath.path: Invalid value: \"/srv/../etc\": must not contain '..'",
            ),
            (
                "/spec/persistentVolumeReclaimPolicy",
                json!("Keep"),
                "spec.persistentVolumeReclaimPolicy: Unsupported value: \"Keep\": supported values: \"Delete\", \"Recycle\", \"Retain\"",
            ),
        ] {
            let mut wrong = volume();
            *wrong.pointer_mut(path).unwrap() = value;
            assert_eq!(errors(&wrong, None), [expected]);
        }
        let mut local = volume();
        local["spec"]["local"] = json!({"path": "/srv"});
        assert_eq!(
            errors(&local, None),
            [
                "spec.local: Forbidden: may not specify more than 1 volume type",
                "spec.nodeAffinity: Required value: Local volume requires node affinity",
            ]
        );
    }

    #[test]
    fn what_a_volume_is_made_of_stays() {
        let old = volume();
        let mut new = old.clone();
        new["spec"]["hostPath"]["path"] = "/srv/two".into();
        new["spec"]["volumeMode"] = "Block".into();
        assert_eq!(
            errors(&new, Some(&old)),
            [
                "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation",
                "spec.volumeMode: Invalid value: \"Block\": field is immutable",
            ]
        );
        new = old.clone();
        new["spec"]["persistentVolumeReclaimPolicy"] = "Delete".into();
        new["spec"]["claimRef"] = json!({"namespace": "a", "name": "b"});
        assert_eq!(errors(&new, Some(&old)), Vec::<String>::new());
    }
}
