//! Ephemeral containers: added to a pod that runs, never changed, never taken away.

use std::collections::HashSet;

use curtain_schema::FieldError;
use serde_json::Value;

use crate::apiserver::kinds::{Part, ValueExt, seccomp, template};

pub(in crate::apiserver) const EPHEMERAL_CONTAINERS: Part =
    Part { subresource: "ephemeralcontainers", take, validate };

const FIELD: &str = "ephemeralContainers";
const PATH: &str = "spec.ephemeralContainers";
/// What makes no sense for a container that serves nobody and is never started again.
const NOT_ALLOWED: [&str; 8] = [
    "ports",
    "resources",
    "resizePolicy",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
    "restartPolicyRules",
];
const NOT_FOR_THESE: &str = "cannot be set for an Ephemeral Container";

fn take(live: &Value, given: &Value) -> Value {
    let mut new = live.clone();
    match given.at(&["spec", FIELD]) {
        Some(containers) => new["spec"][FIELD] = containers.clone(),
        None => drop(new["spec"].drop_field(FIELD)),
    }
    new
}

fn validate(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    let names = |field| spec.list(&[field]).iter().map(|one| one.text(&["name"]).to_owned());
    let others: HashSet<String> = names("containers").chain(names("initContainers")).collect();
    let volumes: HashSet<String> = names("volumes").collect();
    let mut known = others.clone();
    for (index, container) in spec.list(&[FIELD]).iter().enumerate() {
        let path = format!("{PATH}[{index}]");
        let name = container.text(&["name"]);
        if !name.is_empty() && !known.insert(name.to_owned()) {
            errors.push(FieldError::duplicate(format!("{path}.name"), name.into()));
        }
        template::validate_container(container, &path, &volumes, errors);
        seccomp::one(container, &path, errors);
        let set = |field: &&&str| match container.at(&[field]) {
            None | Some(Value::Null) => false,
            Some(Value::Object(map)) => !map.is_empty(),
            Some(Value::Array(list)) => !list.is_empty(),
            Some(_) => true,
        };
        for field in NOT_ALLOWED.iter().filter(set) {
            errors.push(FieldError::forbidden(format!("{path}.{field}"), NOT_FOR_THESE));
        }
        for (index, mount) in container.list(&["volumeMounts"]).iter().enumerate() {
            for field in ["subPath", "subPathExpr"] {
                if !mount.text(&[field]).is_empty() {
                    let path = format!("{path}.volumeMounts[{index}].{field}");
                    errors.push(FieldError::forbidden(path, NOT_FOR_THESE));
                }
            }
        }
        let target = container.text(&["targetContainerName"]);
        if !target.is_empty() && !others.contains(target) {
            let path = format!("{path}.targetContainerName");
            errors.push(FieldError::not_found(path, target.into()));
        }
    }
    for old in old["spec"].list(&[FIELD]) {
        let name = old.text(&["name"]);
        let mut now = spec.list(&[FIELD]).iter().filter(|one| one.text(&["name"]) == name);
        let what = match now.next() {
            None => "removed",
            Some(new) if new != old => "changed",
            Some(_) => continue,
        };
        let why = format!("existing ephemeral containers {name:?} may not be {what}\n");
        errors.push(FieldError::forbidden(PATH, why));
    }
}
