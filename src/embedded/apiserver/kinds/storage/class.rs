//! StorageClasses, and which of them is the default.

use curtain_schema::FieldError;
use serde_json::Value;

use super::super::columns::{Printer, name, old as age};
use super::super::default_class;
use super::super::meta::{immutable, is_qualified_name};
use super::super::template::one_of;
use super::super::{Strategy, ValueExt};
use crate::apiserver::Api;
use crate::apiserver::store::Key;

pub(super) const CLASS: Strategy = Strategy { default, validate, ..Strategy::PLAIN };

const TABLE: &str = "storage.k8s.io/storageclasses";
const DEFAULT: [&str; 2] = [
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
];

fn default(class: &mut Value) {
    class.default_to("reclaimPolicy", "Delete");
    class.default_to("volumeBindingMode", "Immediate");
}

fn validate(class: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let provisioner = class.text(&["provisioner"]);
    if provisioner.is_empty() {
        errors.push(FieldError::required("provisioner", ""));
    } else if let Some(why) = is_qualified_name(&provisioner.to_ascii_lowercase()) {
        errors.push(FieldError::invalid("provisioner", provisioner.into(), why));
    }
    one_of(class, "reclaimPolicy", &["Delete", "Retain"], "reclaimPolicy", errors);
    let modes = ["Immediate", "WaitForFirstConsumer"];
    one_of(class, "volumeBindingMode", &modes, "volumeBindingMode", errors);
    let Some(old) = old else { return };
    for field in ["parameters", "provisioner", "reclaimPolicy"] {
        if class.at(&[field]) != old.at(&[field]) {
            let why = format!("updates to {field} are forbidden.");
            errors.push(FieldError::forbidden(field, why));
        }
    }
    if class.at(&["volumeBindingMode"]) != old.at(&["volumeBindingMode"]) {
        errors.push(immutable("volumeBindingMode", class.at(&["volumeBindingMode"])));
    }
}

/// The name of the class of claims that name none.
pub(in super::super) fn default_class(api: &Api) -> Option<String> {
    default_class::default_class(api, TABLE, &DEFAULT)
}

/// Whether claims of this class may grow.
pub(in super::super) fn allows_growth(api: &Api, class: &str) -> bool {
    let class = api.store.latest(&TABLE.into(), &Key::new("", class));
    class.is_some_and(|class| class.value()["allowVolumeExpansion"] == true)
}

pub(super) const COLUMNS: Printer = Printer(
    &[
        ("Name", "string", 0),
        ("Provisioner", "string", 0),
        ("ReclaimPolicy", "string", 0),
        ("VolumeBindingMode", "string", 0),
        ("AllowVolumeExpansion", "string", 0),
        ("Age", "string", 0),
    ],
    |o, now| {
        let shown = match default_class::is_default(o, &DEFAULT) {
            true => format!("{} (default)", o.text(&["metadata", "name"])).into(),
            false => name(o),
        };
        vec![
            shown,
            o["provisioner"].clone(),
            o["reclaimPolicy"].clone(),
            o["volumeBindingMode"].clone(),
            (o["allowVolumeExpansion"] == true).into(),
            age(o, now),
        ]
    },
);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn errors(class: &Value, old: Option<&Value>) -> Vec<String> {
        let mut errors = Vec::new();
        validate(class, old, &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_class_says_who_provisions_and_stays_what_it_is() {
        let mut class = json!({"metadata": {"name": "fast"}, "provisioner": "example.com/disk"});
        default(&mut class);
        assert_eq!(errors(&class, None), Vec::<String>::new());
        let wrong =
            json!({"provisioner": "a b", "reclaimPolicy": "Keep", "volumeBindingMode": "Later"});
        let found = errors(&wrong, None);
        assert!(found[0].starts_with("provisioner: Invalid value: \"a b\""), "{found:?}");
        assert_eq!(
            found[1..],
            [
                "reclaimPolicy: Unsupported value: \"Keep\": supported values: \"Delete\", \"Retain\"",
                "volumeBindingMode: Unsupported value: \"Later\": supported values: \"Immediate\", \"WaitForFirstConsumer\"",
            ]
        );
        let mut other = class.clone();
        other["parameters"] = json!({"type": "io1"});
        other["volumeBindingMode"] = "WaitForFirstConsumer".into();
        other["allowVolumeExpansion"] = true.into();
        assert_eq!(
            errors(&other, Some(&class)),
            [
                "parameters: Forbidden: updates to parameters are forbidden.",
                "volumeBindingMode: Invalid value: \"WaitForFirstConsumer\": field is immutable",
            ]
        );
    }
}
