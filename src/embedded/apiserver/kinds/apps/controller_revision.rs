//! ControllerRevisions: what StatefulSets and DaemonSets were, to roll back to.

use curtain_schema::FieldError;
use serde_json::Value;

use super::super::columns::{Printer, count, name, old as age, or_none};
use super::super::meta::immutable;
use super::super::{Strategy, ValueExt};

pub(super) const CONTROLLER_REVISION: Strategy = Strategy { validate, ..Strategy::PLAIN };

fn validate(object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let data = object.at(&["data"]);
    if data.is_none() {
        errors.push(FieldError::required("data", "data is mandatory"));
    }
    if object.int(&["revision"]).is_some_and(|n| n < 0) {
        let why = "must be greater than or equal to 0";
        errors.push(FieldError::invalid("revision", object["revision"].clone(), why));
    }
    if old.is_some_and(|old| old.at(&["data"]) != data) {
        errors.push(immutable("data", data));
    }
}

pub(super) const COLUMNS: Printer = Printer(
    &[
        ("Name", "string", 0),
        ("Controller", "string", 0),
        ("Revision", "integer", 0),
        ("Age", "string", 0),
    ],
    |o, now| {
        let mut owners = o.list(&["metadata", "ownerReferences"]).iter();
        let controller = owners.find(|owner| owner["controller"] == true).map(|owner| {
            let kind = owner.text(&["kind"]).to_lowercase();
            let name = owner.text(&["name"]);
            match owner.text(&["apiVersion"]).rsplit_once('/') {
                Some((group, _)) => format!("{kind}.{group}/{name}"),
                None => format!("{kind}/{name}"),
            }
        });
        let controller = or_none(&controller.unwrap_or_default());
        vec![name(o), controller, count(o, &["revision"]).into(), age(o, now)]
    },
);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn data_is_there_and_stays() {
        let errors = |object: Value, old: Option<Value>| {
            let mut errors = Vec::new();
            validate(&object, old.as_ref(), &mut errors);
            errors.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let data = || json!({"data": {"spec": {}}, "revision": 1});
        assert_eq!(errors(data(), Some(data())), Vec::<String>::new());
        assert_eq!(
            errors(json!({"revision": 1}), None),
            ["data: Required value: data is mandatory"]
        );
        let other = json!({"data": {}, "revision": 2});
        assert_eq!(errors(other, Some(data())), ["data: Invalid value: {}: field is immutable"]);
    }

    #[test]
    fn the_controller_is_named_with_its_group() {
        let owner = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "controller": true});
        let revision =
            json!({"metadata": {"name": "db-1", "ownerReferences": [owner]}, "revision": 3});
        let cells = (COLUMNS.1)(&revision, jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(cells[..3], [json!("db-1"), json!("statefulset.apps/db"), json!(3)]);
    }
}
