//! What the SRE agent proposes, done by a person: changes of release bindings.
//!
//! What the agent does not do itself, under a grant, is a proposal, and nobody's word for it is taken: it is shown as a
//! difference first, touches nothing but the spec of bindings of the incident's own project, and is written with the
//! person's token, so that their permissions decide.

use crate::backend::User;
use crate::error::BackendError;
use crate::login::encode;
use crate::model::text;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// What no proposal may change: whose a binding is and where.
const FIXED: [&str; 2] = ["/spec/owner", "/spec/environment"];

/// A binding before and after a proposal.
pub(crate) struct Proposal {
    pub(crate) binding: String,
    pub(crate) before: Value,
    pub(crate) after: Value,
    /// Stands for the proposal and the spec as it was shown: what was looked at is what is applied.
    pub(crate) seal: String,
    version: Option<String>,
}

/// Reads the binding that a change is about and applies the change to a copy.
pub(crate) async fn propose(
    user: &User<'_>,
    (namespace, project): (&str, &str),
    change: &Value,
) -> Result<Proposal, BackendError> {
    let binding = text(change, "/release_binding").to_owned();
    let (before, version) = user.get_versioned(&path(namespace, &binding)).await?;
    if text(&before, "/spec/owner/projectName") != project {
        let why = format!("release binding `{binding}` does not belong to project {project}");
        return Err(BackendError::Refused(why));
    }
    current(&before, change).map_err(BackendError::Refused)?;
    let mut after = before.clone();
    apply(&mut after, change).map_err(BackendError::Refused)?;
    let seal = seal(&before, change);
    Ok(Proposal { binding, before, after, seal, version })
}

/// Writes changes of one binding, unless somebody else wrote it meanwhile.
pub(crate) async fn carry_out(
    user: &User<'_>,
    namespace: &str,
    proposal: &Proposal,
    changes: &[&Value],
) -> Result<(), BackendError> {
    let mut object = proposal.before.clone();
    for change in changes {
        apply(&mut object, change).map_err(BackendError::Refused)?;
    }
    if let Value::Object(map) = &mut object {
        map.remove("status");
    }
    let path = path(namespace, &proposal.binding);
    user.put(&path, &object, proposal.version.as_deref()).await.map(drop)
}

fn path(namespace: &str, binding: &str) -> String {
    format!("/namespaces/{}/releasebindings/{}", encode(namespace), encode(binding))
}

/// Checks that a change is one of `binding` as it is: it was proposed for what was seen then. The error is a sentence.
fn current(binding: &Value, change: &Value) -> Result<(), String> {
    match change["generation"].as_i64() {
        Some(seen) if binding["metadata"]["generation"].as_i64() != Some(seen) => Err(format!(
            "it is out of date: release binding `{}` was changed since the report was made, so what it would change may \
             be in order by now",
            text(binding, "/metadata/name")
        )),
        _ => Ok(()),
    }
}

/// A generation counts changes of the spec; the version counts those of the status, too.
fn seal(binding: &Value, change: &Value) -> String {
    let what = json!([binding["metadata"]["uid"], binding["metadata"]["generation"], change]);
    let digest = Sha256::digest(what.to_string().as_bytes());
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Variables, files and fields of a change. The error is a sentence.
fn apply(binding: &mut Value, change: &Value) -> Result<(), String> {
    let list = |member: &str| change[member].as_array().into_iter().flatten();
    let set_here = binding.pointer_mut("/spec/workloadOverrides/container/env");
    if let Some(variables) = set_here.and_then(Value::as_array_mut) {
        variables.retain(|variable| list("remove_env").all(|key| variable["key"] != *key));
    }
    for variable in list("env") {
        let new = json!({"key": variable["key"], "value": variable["value"]});
        override_with(binding, "env", new)?;
    }
    for file in list("files") {
        let mount = file.get("mount_path").or_else(|| file.get("mountPath"));
        let new = json!({"key": file["key"], "mountPath": mount, "value": file["value"]});
        override_with(binding, "files", new)?;
    }
    for field in list("fields") {
        set(binding, text(field, "/json_pointer"), field["value"].clone())?;
    }
    Ok(())
}

/// Puts an override in the place of the one with its key, or behind the others.
fn override_with(binding: &mut Value, list: &str, new: Value) -> Result<(), String> {
    if new["key"].as_str().is_none_or(str::is_empty) {
        return Err(format!("a proposed entry of {list} has no name"));
    }
    let pointer = format!("/spec/workloadOverrides/container/{list}");
    let mut items = match binding.pointer(&pointer) {
        Some(Value::Array(items)) => items.clone(),
        _ => Vec::new(),
    };
    match items.iter_mut().find(|item| item["key"] == new["key"]) {
        Some(item) => *item = new,
        None => items.push(new),
    }
    set(binding, &pointer, Value::Array(items))
}

/// Sets what a JSON pointer names, making objects on the way.
fn set(binding: &mut Value, pointer: &str, value: Value) -> Result<(), String> {
    let fixed = |fixed: &&str| *pointer == **fixed || pointer.starts_with(&format!("{fixed}/"));
    if !pointer.starts_with("/spec/") || FIXED.iter().any(fixed) {
        return Err(format!(
            "the proposal is about {pointer:?}, which may not be changed this way"
        ));
    }
    let mut place = binding;
    for token in pointer.split('/').skip(1) {
        let name = token.replace("~1", "/").replace("~0", "~");
        if place.is_null() {
            *place = Value::Object(Map::new());
        }
        place = match place {
            Value::Object(map) => map.entry(name).or_insert(Value::Null),
            Value::Array(items) => {
                let index = if name == "-" { Ok(items.len()) } else { name.parse() };
                let index = index.ok().filter(|index| *index <= items.len());
                let index =
                    index.ok_or_else(|| format!("{pointer:?} names no item that is there"))?;
                if index == items.len() {
                    items.push(Value::Null);
                }
                &mut items[index]
            }
            _ => return Err(format!("{pointer:?} leads through something that has no parts")),
        };
    }
    *place = value;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{apply, current, seal};
    use serde_json::{Value, json};

    fn binding() -> Value {
        json!({
            "metadata": {"uid": "u", "generation": 1, "resourceVersion": "7"},
            "spec": {
                "owner": {"projectName": "shop"},
                "workloadOverrides": {"container": {"env": [
                    {"key": "A", "valueFrom": {"secretKeyRef": {"name": "s"}}}, {"key": "B", "value": "1"},
                ]}},
            },
        })
    }

    #[test]
    fn overrides_are_merged_by_key_and_fields_are_made() {
        let mut changed = binding();
        let change = json!({
            "env": [{"key": "A", "value": "2"}, {"key": "C", "value": "3"}],
            "files": [{"key": "f", "mount_path": "/etc", "value": "x"}],
            "fields": [{"json_pointer": "/spec/componentTypeEnvironmentConfigs/a~1b", "value": 4}],
        });
        apply(&mut changed, &change).unwrap();
        let container = &changed["spec"]["workloadOverrides"]["container"];
        let env = json!([{"key": "A", "value": "2"}, {"key": "B", "value": "1"}, {"key": "C", "value": "3"}]);
        assert_eq!(container["env"], env);
        assert_eq!(container["files"][0]["mountPath"], "/etc");
        assert_eq!(changed["spec"]["componentTypeEnvironmentConfigs"]["a/b"], 4);
    }

    #[test]
    fn a_variable_is_taken_away_and_the_others_stay() {
        let mut changed = binding();
        apply(&mut changed, &json!({"remove_env": ["B", "unknown"]})).unwrap();
        let env = &changed["spec"]["workloadOverrides"]["container"]["env"];
        assert_eq!(*env, json!([{"key": "A", "valueFrom": {"secretKeyRef": {"name": "s"}}}]));
        let mut bare = json!({"spec": {}});
        apply(&mut bare, &json!({"remove_env": ["B"]})).unwrap();
        assert_eq!(bare, json!({"spec": {}}));
    }

    #[test]
    fn a_proposal_touches_nothing_but_the_spec() {
        for pointer in [
            "/metadata/labels/x",
            "/spec",
            "/spec/owner/projectName",
            "/spec/environment",
            "spec/x",
            "",
            "/spec/workloadOverrides/container/env/9",
            "/spec/owner",
        ] {
            let change = json!({"fields": [{"json_pointer": pointer, "value": "x"}]});
            assert!(apply(&mut binding(), &change).is_err(), "{pointer}");
        }
        assert!(apply(&mut binding(), &json!({"env": [{"value": "x"}]})).is_err());
    }

    #[test]
    fn a_change_is_one_of_the_binding_that_was_seen() {
        assert!(current(&binding(), &json!({"generation": 1})).is_ok());
        assert!(
            current(&binding(), &json!({})).is_ok(),
            "a report of a former version does not say"
        );
        let refused = current(&binding(), &json!({"generation": 2})).unwrap_err();
        assert!(refused.contains("out of date"), "{refused}");
    }

    #[test]
    fn a_seal_is_of_the_spec_and_the_proposal() {
        let mut other = binding();
        other["metadata"]["resourceVersion"] = json!("8");
        let change = json!({"env": []});
        assert_eq!(seal(&binding(), &change), seal(&other, &change), "its status changed");
        other["metadata"]["generation"] = json!(2);
        assert_ne!(seal(&binding(), &change), seal(&other, &change));
        assert_ne!(seal(&binding(), &change), seal(&binding(), &json!({"env": [1]})));
    }
}
