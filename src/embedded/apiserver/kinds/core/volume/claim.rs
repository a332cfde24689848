//! PersistentVolumeClaims: the class they get, what an update may change, and who may grow them.

use curtain_schema::FieldError;
use serde_json::{Value, json};

use super::super::super::columns::{Printer, name, old as age};
use super::super::super::{Admission, Strategy, ValueExt, check, storage};
use super::spec;
use crate::apiserver::admission::Operation;
use crate::apiserver::status::{ApiError, Qualified};

pub(in super::super) const CLAIM: Strategy =
    Strategy { default, prepare, validate, admit: Some(admit), ..Strategy::PLAIN };

const CLAIMS: Qualified<'static> = Qualified { group: "", plural: "persistentvolumeclaims" };
const PROTECTION: &str = "kubernetes.io/pvc-protection";
const REQUEST: [&str; 4] = ["spec", "resources", "requests", "storage"];

fn default(claim: &mut Value) {
    claim.sub("spec").default_to("volumeMode", "Filesystem");
}

fn prepare(claim: &mut Value, old: Option<&Value>) {
    if old.is_none() {
        claim["status"] = json!({"phase": "Pending"});
    }
}

fn validate(claim: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    const SIZE: &str = "spec.resources[storage]";
    let wanted = &claim["spec"];
    spec::validate_access(wanted, errors);
    if let Some(selector) = wanted.at(&["selector"]) {
        check::selector(selector, "spec.selector", errors);
    }
    match claim.at(&REQUEST) {
        None => errors.push(FieldError::required(SIZE, "")),
        Some(size) => spec::validate_size(size, SIZE, errors),
    }
    spec::validate_kind(wanted, errors);
    if let Some(old) = old {
        validate_update(claim, old, errors);
    }
}

fn validate_update(claim: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    if fixed(claim, old) != fixed(old, old) {
        errors.push(FieldError::forbidden(
            "spec",
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims",
        ));
    }
    let size = spec::size(claim.at(&REQUEST));
    let has = spec::size(old.at(&["status", "capacity", "storage"]));
    if size < spec::size(old.at(&REQUEST)) && size < has {
        errors.push(FieldError::forbidden(
            "spec.resources.requests.storage",
            "field can not be less than status.capacity",
        ));
    }
}

/// The part of the spec that an update of `old` leaves as it is: the volume is named once, what had no class gets one
/// once, and a bound claim may grow.
fn fixed(claim: &Value, old: &Value) -> Value {
    let mut spec = claim["spec"].clone();
    spec.drop_field("volumeAttributesClassName");
    if old.text(&["spec", "volumeName"]).is_empty() {
        spec.drop_field("volumeName");
        if old.at(&["spec", "storageClassName"]).is_none() {
            spec.drop_field("storageClassName");
        }
    }
    if old.text(&["status", "phase"]) == "Bound"
        && let Some(requests) = spec.get_mut("resources").and_then(|r| r.get_mut("requests"))
    {
        requests.drop_field("storage");
    }
    spec
}

fn admit(
    admission: &Admission<'_>,
    claim: &mut Value,
    old: Option<&Value>,
) -> Result<(), ApiError> {
    match (admission.operation, old) {
        (Operation::Create, _) => {
            spec::protect(claim, PROTECTION);
            let spec = claim.sub("spec");
            // An empty name is a wish: a claim without a class.
            if spec.at(&["storageClassName"]).is_none()
                && let Some(class) = storage::default_class(admission.api)
            {
                spec["storageClassName"] = class.into();
            }
            Ok(())
        }
        (_, Some(old)) => may_grow(admission, claim, old),
        _ => Ok(()),
    }
}

fn may_grow(admission: &Admission<'_>, claim: &Value, old: &Value) -> Result<(), ApiError> {
    if spec::size(claim.at(&REQUEST)) <= spec::size(old.at(&REQUEST)) {
        return Ok(());
    }
    let refuse =
        |why: &str| Err(ApiError::forbidden(CLAIMS, claim.text(&["metadata", "name"]), why));
    if old.text(&["status", "phase"]) != "Bound" {
        return refuse("Only bound persistent volume claims can be expanded");
    }
    if !storage::allows_growth(admission.api, claim.text(&["spec", "storageClassName"])) {
        return refuse(
            "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize",
        );
    }
    Ok(())
}

pub(in super::super) const COLUMNS: Printer = Printer(
    &[
        ("Name", "string", 0),
        ("Status", "string", 0),
        ("Volume", "string", 0),
        ("Capacity", "string", 0),
        ("Access Modes", "string", 0),
        ("StorageClass", "string", 0),
        ("VolumeAttributesClass", "string", 0),
        ("Age", "string", 0),
        ("VolumeMode", "string", 1),
    ],
    |o, now| {
        let volume = o.text(&["spec", "volumeName"]);
        let (mut size, mut modes) = (Value::from(""), String::new());
        if !volume.is_empty() {
            size = o.at(&["status", "capacity", "storage"]).cloned().unwrap_or(size);
            modes = spec::short_access(o.list(&["status", "accessModes"]));
        }
        vec![
            name(o),
            spec::phase(o),
            volume.into(),
            size,
            modes.into(),
            o.text(&["spec", "storageClassName"]).into(),
            spec::or_unset(o.text(&["spec", "volumeAttributesClassName"])),
            age(o, now),
            spec::or_unset(o.text(&["spec", "volumeMode"])),
        ]
    },
);

#[cfg(test)]
mod tests {
    use super::*;

    fn claim() -> Value {
        let mut claim = json!({"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}}}});
        default(&mut claim);
        claim
    }

    fn errors(claim: &Value, old: Option<&Value>) -> Vec<String> {
        let mut errors = Vec::new();
        validate(claim, old, &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_wrong_is_named_where_it_is() {
        assert_eq!(errors(&claim(), None), Vec::<String>::new());
        for (path, value, expected) in [
            (
                "/spec/accessModes",
                json!([]),
                "spec.accessModes: Required value: at least 1 access mode is required",
            ),
            (
                "/spec/accessModes",
                json!(["ReadWrite"]),
                "spec.accessModes: Unsupported value: \"ReadWrite\": supported values: \"ReadOnlyMany\", \"ReadWriteMany\", \"ReadWriteOnce\", \"ReadWriteOncePod\"",
            ),
            (
                "/spec/accessModes",
                json!(["ReadWriteOncePod", "ReadWriteOnce"]),
                "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes",
            ),
            ("/spec/resources", json!({}), "spec.resources[storage]: Required value"),
            (
                "/spec/resources/requests/storage",
                json!("0"),
                "spec.resources[storage]: Invalid value: \"0\": must be greater than zero",
            ),
            (
                "/spec/resources/requests/storage",
                json!("-1Gi"),
                "spec.resources[storage]: Invalid value: \"-1Gi\": must be greater than zero",
            ),
            (
                "/spec/volumeMode",
                json!("Tape"),
                "spec.volumeMode: Unsupported value: \"Tape\": supported values: \"Block\", \"Filesystem\"",
            ),
        ] {
            let mut wrong = claim();
            *wrong.pointer_mut(path).unwrap() = value;
            assert_eq!(errors(&wrong, None), [expected]);
        }
    }

    #[test]
    fn updates_name_the_volume_once_and_grow_what_is_bound() {
        const FIXED: &str = "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
        let mut old = claim();
        let mut new = old.clone();
        new["spec"]["volumeName"] = "one".into();
        new["spec"]["storageClassName"] = "standard".into();
        assert_eq!(errors(&new, Some(&old)), Vec::<String>::new());
        new["spec"]["resources"]["requests"]["storage"] = "2Gi".into();
        assert_eq!(errors(&new, Some(&old)), [FIXED], "it is not bound");

        old["spec"]["volumeName"] = "one".into();
        old["status"] = json!({"phase": "Bound", "capacity": {"storage": "1Gi"}});
        new = old.clone();
        new["spec"]["volumeName"] = "other".into();
        assert_eq!(errors(&new, Some(&old)), [FIXED]);
        new = old.clone();
        new["spec"]["resources"]["requests"]["storage"] = "2Gi".into();
        assert_eq!(errors(&new, Some(&old)), Vec::<String>::new());
        new["spec"]["resources"]["requests"]["storage"] = "500Mi".into();
        assert_eq!(
            errors(&new, Some(&old)),
            [
                "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"
            ]
        );
    }
}
