//! Values of a proposed change that a person sets otherwise before applying it.
//!
//! Only what the proposal sets can be edited, and only to another value of the same kind: a form names a value by its
//! place in the proposal, never by a key or a path of its own.

mod kind;

pub(crate) use kind::Kind;

use crate::error::BackendError;
use crate::model::text;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What the names of such fields begin with.
const FIELD: &str = "value-";
/// The longest value, in bytes.
const LONGEST: usize = 16 << 10;

/// One value of a change.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Editable {
    /// The field of the form.
    pub(crate) field: String,
    /// What it sets, as people know it.
    pub(crate) label: String,
    /// What is proposed, as it is written in the form.
    pub(crate) text: String,
    pub(crate) kind: Kind,
    /// Whether it has lines.
    pub(crate) is_long: bool,
    /// Where in the change it is.
    pointer: String,
}

/// The values of `change` that can be edited: none, if it sets something twice, as which of both is meant cannot be told.
pub(crate) fn editable(change: &Value) -> Vec<Editable> {
    let mut all = Vec::new();
    let mut names = BTreeSet::new();
    for (list, name) in [("env", "key"), ("files", "key"), ("fields", "json_pointer")] {
        for (at, item) in change[list].as_array().into_iter().flatten().enumerate() {
            if !names.insert((list, text(item, &format!("/{name}")))) {
                return Vec::new();
            }
            let value = &item["value"];
            let shown = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                // What has parts or two states only is taken as it is, or not.
                _ => continue,
            };
            let label = text(item, &format!("/{name}"));
            let label = label.strip_prefix("/spec/").unwrap_or(label).replace('/', ".");
            all.push(Editable {
                field: format!("{FIELD}{}", all.len()),
                label,
                kind: Kind::of(list, value),
                is_long: list == "files" || shown.contains('\n'),
                text: shown,
                pointer: format!("/{list}/{at}/value"),
            });
        }
    }
    all
}

/// `change` with the values that `form` has otherwise; `None` if it has none.
///
/// # Errors
/// A value of another kind, and a field that the proposal does not have.
pub(crate) fn edited(
    change: &Value,
    form: &BTreeMap<String, String>,
) -> Result<Option<Value>, BackendError> {
    let all = editable(change);
    let strange = |name: &&String| {
        name.starts_with(FIELD) && !all.iter().any(|one| one.field == name.as_str())
    };
    if let Some(name) = form.keys().find(strange) {
        return Err(BackendError::Refused(format!("the proposal has no value `{name}`")));
    }
    let mut after = change.clone();
    for one in &all {
        let Some(given) = form.get(&one.field) else { continue };
        // A browser ends lines in its own way.
        let given = given.replace("\r\n", "\n");
        if given == one.text.replace("\r\n", "\n") {
            continue;
        }
        let value = one.value(&given).map_err(BackendError::Refused)?;
        if let Some(place) = after.pointer_mut(&one.pointer) {
            *place = value;
        }
    }
    Ok((after != *change).then_some(after))
}

/// Whether `form` has values to edit a change with.
pub(crate) fn are_in(form: &BTreeMap<String, String>) -> bool {
    form.keys().any(|name| name.starts_with(FIELD))
}

/// What of `change` is otherwise than proposed, as the agent is told: an edit of the action `index`.
pub(crate) fn told(index: usize, change: &Value) -> Value {
    let part = |list: &str| change[list].as_array().cloned().unwrap_or_default();
    json!({"index": index, "env": part("env"), "files": part("files"), "fields": part("fields")})
}

impl Editable {
    fn value(&self, given: &str) -> Result<Value, String> {
        let label = &self.label;
        if given.len() > LONGEST || given.contains('\0') {
            return Err(format!("{label} must be text of at most {LONGEST} bytes"));
        }
        let kind = self.kind.words();
        self.kind
            .read(given)
            .ok_or_else(|| format!("{label} must be {kind}, not `{}`", given.trim()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, editable, edited};
    use serde_json::{Value, json};
    use std::collections::BTreeMap;

    fn change() -> Value {
        json!({
            "release_binding": "web-development",
            "env": [{"key": "LOG_LEVEL", "value": "info"}],
            "files": [{"key": "app.conf", "mount_path": "/etc", "value": "a\nb"}],
            "fields": [
                {"json_pointer": "/spec/componentTypeEnvironmentConfigs/replicas", "value": 2},
                {"json_pointer": "/spec/componentTypeEnvironmentConfigs/resources", "value": {"a": 1}},
                {"json_pointer": "/spec/x/memory", "value": "128Mi"},
                {"json_pointer": "/spec/releaseName", "value": "web-1"},
            ],
        })
    }

    fn form(given: &[(&str, &str)]) -> BTreeMap<String, String> {
        given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn values_have_fields_and_what_has_parts_has_none() {
        let all = editable(&change());
        let labels: Vec<_> = all.iter().map(|one| (one.label.as_str(), one.kind)).collect();
        assert_eq!(
            labels,
            [
                ("LOG_LEVEL", Kind::Text),
                ("app.conf", Kind::Text),
                ("componentTypeEnvironmentConfigs.replicas", Kind::Whole),
                ("x.memory", Kind::Quantity),
                ("releaseName", Kind::Word),
            ]
        );
    }

    #[test]
    fn a_change_that_sets_something_twice_is_taken_as_it_is() {
        for list in ["env", "files", "fields"] {
            let mut twice = change();
            let first = twice[list][0].clone();
            twice[list].as_array_mut().unwrap().push(first);
            assert!(editable(&twice).is_empty(), "{list}");
            assert_eq!(edited(&twice, &form(&[])).unwrap(), None);
            assert!(edited(&twice, &form(&[("value-0", "debug")])).is_err(), "{list}");
        }
    }

    #[test]
    fn what_is_edited_replaces_what_was_proposed_and_nothing_else() {
        let as_shown =
            form(&[("value-0", "info"), ("value-1", "a\r\nb"), ("value-2", "2"), ("seen", "x")]);
        assert_eq!(edited(&change(), &as_shown).unwrap(), None);
        let after = edited(
            &change(),
            &form(&[("value-0", "<debug>"), ("value-2", " 3 "), ("value-3", "1.5Gi")]),
        )
        .unwrap();
        let mut wanted = change();
        wanted["env"][0]["value"] = json!("<debug>");
        wanted["fields"][0]["value"] = json!(3);
        wanted["fields"][2]["value"] = json!("1.5Gi");
        assert_eq!(after, Some(wanted));
    }

    #[test]
    fn values_of_another_kind_and_other_keys_are_refused() {
        for (field, value) in [
            ("value-2", "many"),
            ("value-2", "-1"),
            ("value-2", "1.5"),
            ("value-2", ""),
            ("value-0", "\0"),
            ("value-3", "much"),
            ("value-3", "-1Mi"),
            ("value-3", ""),
            ("value-4", " "),
            ("value-5", "x"),
            ("value-env", "x"),
        ] {
            assert!(edited(&change(), &form(&[(field, value)])).is_err(), "{field}={value}");
        }
        assert!(edited(&change(), &form(&[("value-0", &"x".repeat(20_000))])).is_err());
    }
}
