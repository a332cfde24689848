//! What a fault changed in a release binding, written down in the binding itself.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::image::IMAGE;

/// Holds a [`Record`] as JSON.
pub const ANNOTATION: &str = "curtain.dev/fault";
/// Where the container's own variables are changed.
pub const VARIABLES: &str = "/spec/workloadOverrides/container/env";

/// What a fault changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its name.
    pub fault: String,
    /// The entries of the container's variables.
    #[serde(default)]
    pub variables: Vec<Changed>,
    /// The image of the workload.
    #[serde(default)]
    pub image: Option<Changed>,
    /// Whether the binding had no overrides of the workload at all.
    #[serde(default)]
    pub bare: bool,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Changed {
    /// What was there; null for nothing.
    pub before: Value,
    /// What the fault made of it.
    pub after: Value,
}

impl Record {
    /// The record that an annotation holds. One that nobody can read is still a fault, of which nothing can be put back.
    #[must_use]
    pub fn read(annotation: &str) -> Self {
        serde_json::from_str(annotation).unwrap_or_default()
    }

    /// What the annotation is to hold.
    #[must_use]
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What is known of the workload whose image a fault changed.
#[derive(Clone, Debug, PartialEq)]
pub enum Workload {
    /// Nothing: no fault that is meant changed it, or it may not be seen.
    Unknown,
    /// There is none any more, and nothing in it to put back.
    Gone,
    /// What it is like.
    There(Value),
}

/// Whether `fault` is still to be made in a binding that was broken by `earlier`: not where it stands already. What
/// somebody has mended since is broken anew, once the rest of it is put back. `workload` as in [`stands`].
///
/// # Errors
/// The name of another fault, which stands.
pub fn is_free(
    binding: &mut Value,
    workload: &Workload,
    earlier: Option<&Record>,
    fault: &str,
) -> Result<bool, String> {
    match earlier {
        None => Ok(true),
        Some(earlier) if !stands(binding, workload, earlier) => {
            restore(binding, earlier);
            Ok(true)
        }
        Some(earlier) if earlier.fault == fault => Ok(false),
        Some(earlier) => Err(earlier.fault.clone()),
    }
}

/// Sets `variables` in the binding, and tells what was there.
pub fn set(binding: &mut Value, variables: &[Value]) -> Record {
    let bare = binding.pointer("/spec/workloadOverrides").is_none();
    let container = &mut binding["spec"]["workloadOverrides"]["container"];
    if !container["env"].is_array() {
        container["env"] = json!([]);
    }
    let mut changed = Vec::new();
    if let Some(entries) = container["env"].as_array_mut() {
        for after in variables {
            let after = after.clone();
            let before = match entries.iter_mut().find(|entry| entry["key"] == after["key"]) {
                Some(entry) => std::mem::replace(entry, after.clone()),
                None => {
                    entries.push(after.clone());
                    Value::Null
                }
            };
            changed.push(Changed { before, after });
        }
    }
    Record { variables: changed, bare, ..Record::default() }
}

/// Whether everything is as the fault left it, and nobody has mended any of it. An image is in the `workload`; while that
/// is not known, the image counts as broken still, and where that is gone, the fault went with it.
#[must_use]
pub fn stands(binding: &Value, workload: &Workload, record: &Record) -> bool {
    let entries = binding.pointer(VARIABLES).and_then(Value::as_array);
    let variables = record
        .variables
        .iter()
        .all(|changed| entries.is_some_and(|entries| entries.contains(&changed.after)));
    let image = |changed: &Changed| match workload {
        Workload::Unknown => true,
        Workload::Gone => false,
        Workload::There(workload) => workload.pointer(IMAGE) == Some(&changed.after),
    };
    variables && record.image.as_ref().is_none_or(image)
}

/// Puts back what still is as the fault left it, and names the rest.
pub fn restore(binding: &mut Value, record: &Record) -> Vec<String> {
    let mut kept = Vec::new();
    let entries = binding.pointer_mut(VARIABLES).and_then(Value::as_array_mut);
    let Some(entries) = entries else { return kept };
    for Changed { before, after } in &record.variables {
        let key = &after["key"];
        match entries.iter().position(|entry| entry["key"] == *key) {
            Some(at) if entries[at] == *after => match before {
                Value::Null => drop(entries.remove(at)),
                before => entries[at] = before.clone(),
            },
            Some(_) => kept.push(key.as_str().unwrap_or_default().to_owned()),
            None => {}
        }
    }
    let is_empty = entries.is_empty();
    let overrides = &binding["spec"]["workloadOverrides"];
    let nothing_else = overrides.as_object().is_none_or(|all| all.len() == 1)
        && overrides["container"].as_object().is_none_or(|all| all.len() == 1);
    if record.bare
        && is_empty
        && nothing_else
        && let Some(spec) = binding["spec"].as_object_mut()
    {
        spec.remove("workloadOverrides");
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(spec: Value) -> Value {
        json!({ "metadata": { "name": "b" }, "spec": spec })
    }

    #[test]
    fn what_was_there_before_comes_back_exactly() {
        let own = json!({ "key": "TAX_PERCENT", "value": "7" });
        let other = json!({ "key": "OTHER", "value": "1" });
        for spec in [
            json!({}),
            json!({ "workloadOverrides": {} }),
            json!({ "workloadOverrides": { "container": { "env": [own, other] } } }),
            json!({ "workloadOverrides": { "container": { "env": [other], "files": [{ "key": "f" }] } } }),
        ] {
            let mut changed = binding(spec.clone());
            let record = set(&mut changed, &[json!({ "key": "TAX_PERCENT", "value": "nineteen" })]);
            let entries = changed.pointer(VARIABLES).unwrap().as_array().unwrap();
            assert!(entries.iter().any(|entry| entry["value"] == "nineteen"), "{changed:?}");
            assert_eq!(restore(&mut changed, &record), Vec::<String>::new());
            let env = |spec: &Value| {
                spec.pointer("/workloadOverrides/container/env")
                    .cloned()
                    .filter(|e| *e != json!([]))
            };
            assert_eq!(env(&changed["spec"]), env(&spec));
            if spec == json!({}) {
                assert_eq!(changed["spec"], spec);
            }
        }
    }

    #[test]
    fn what_a_user_changed_meanwhile_is_kept() {
        let mut changed = binding(json!({}));
        let fault = [json!({ "key": "A", "value": "bad" }), json!({ "key": "B", "value": "bad" })];
        let record = set(&mut changed, &fault);
        let entries = changed.pointer_mut(VARIABLES).unwrap();
        entries[0]["value"] = json!("good");
        entries.as_array_mut().unwrap().push(json!({ "key": "C", "value": "new" }));
        assert_eq!(restore(&mut changed, &record), ["A"]);
        let left = changed.pointer(VARIABLES).unwrap();
        assert_eq!(*left, json!([{ "key": "A", "value": "good" }, { "key": "C", "value": "new" }]));
    }

    #[test]
    fn a_fault_stands_until_somebody_mends_it() {
        let mut changed = binding(json!({}));
        let record = set(&mut changed, &[json!({ "key": "A", "value": "bad" })]);
        assert!(stands(&changed, &Workload::Unknown, &record));
        changed["spec"]["workloadOverrides"]["container"]["env"] = json!([]);
        assert!(!stands(&changed, &Workload::Unknown, &record));
        changed["spec"] = json!({});
        assert!(!stands(&changed, &Workload::Unknown, &record));
        assert!(stands(&changed, &Workload::Unknown, &Record::default()));
    }

    #[test]
    fn an_image_is_mended_in_the_workload_and_gone_with_it() {
        let mut workload = json!({ "spec": { "container": { "image": "shop:1" } } });
        let record = crate::Image::break_it(&mut workload);
        let binding = binding(json!({}));
        for known in [Workload::Unknown, Workload::There(workload.clone())] {
            assert!(stands(&binding, &known, &record), "{known:?}");
        }
        let mended = ["shop:1", "shop:2"].map(|image| {
            workload["spec"]["container"]["image"] = json!(image);
            Workload::There(workload.clone())
        });
        for known in mended.into_iter().chain([Workload::Gone]) {
            assert!(!stands(&binding, &known, &record), "{known:?}");
            let free = is_free(&mut binding.clone(), &known, Some(&record), "latency");
            assert_eq!(free, Ok(true), "{known:?}");
        }
    }

    #[test]
    fn a_fault_is_made_once_and_not_on_top_of_another() {
        let mut changed = binding(json!({}));
        let unknown = Workload::Unknown;
        assert_eq!(is_free(&mut changed, &unknown, None, "one"), Ok(true));
        let record = set(&mut changed, &[json!({ "key": "A", "value": "bad" })]);
        let record = Record { fault: "one".to_owned(), ..record };
        assert_eq!(is_free(&mut changed, &unknown, Some(&record), "one"), Ok(false));
        assert_eq!(is_free(&mut changed, &unknown, Some(&record), "two"), Err("one".to_owned()));
        changed["spec"]["workloadOverrides"]["container"]["env"] = json!([]);
        assert_eq!(is_free(&mut changed, &unknown, Some(&record), "two"), Ok(true));
        assert_eq!(changed["spec"], json!({}), "and what is left of it is put back");
    }

    #[test]
    fn a_record_survives_its_annotation() {
        let mut broken = binding(json!({}));
        let record = set(&mut broken, &[json!({ "key": "A", "value": "bad" })]);
        assert_eq!(Record::read(&record.text()), record);
        assert_eq!(Record::read("{"), Record::default());
    }
}
