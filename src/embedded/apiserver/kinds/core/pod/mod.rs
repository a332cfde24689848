//! Pods: defaults, QoS, what an update may change, and the priority and service account that admission adds.

mod columns;
mod ephemeral;

use curtain_schema::FieldError;
use serde_json::{Value, json};

use super::super::{Admission, Deletion, Strategy, ValueExt, scheduling, template};
use crate::apiserver::admission::Operation;
use crate::apiserver::random_suffix;
use crate::apiserver::status::{ApiError, Qualified};
use crate::apiserver::store::Key;

pub(super) use columns::POD as COLUMNS;
pub(in crate::apiserver) use ephemeral::EPHEMERAL_CONTAINERS;

pub(super) const POD: Strategy = Strategy {
    default,
    prepare,
    validate,
    admit: Some(admit),
    settle: Some(settle),
    deletion: Deletion::Pod,
    ..Strategy::PLAIN
};

const PODS: Qualified<'static> = Qualified { group: "", plural: "pods" };
/// Where containers find their service account.
const ACCOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Lifetime asked for projected tokens; the odd number marks them as made by admission.
const TOKEN_SECONDS: i64 = 3607;

fn default(pod: &mut Value) {
    let spec = pod.sub("spec");
    template::default_spec(spec);
    spec.default_to("enableServiceLinks", true);
    for field in ["initContainers", "containers"] {
        for container in spec.items_mut(field) {
            let limits = container.at(&["resources", "limits"]).cloned();
            for (resource, amount) in
                limits.as_ref().and_then(Value::as_object).into_iter().flatten()
            {
                container["resources"].sub("requests").default_to(resource, amount.clone());
            }
        }
    }
}

fn prepare(pod: &mut Value, old: Option<&Value>) {
    if old.is_none() {
        pod["status"] = json!({"phase": "Pending"});
    }
}

/// `Guaranteed`, `Burstable` or `BestEffort`, from the containers' requests and limits.
fn qos(pod: &Value) -> &'static str {
    let containers = || {
        let spec = &pod["spec"];
        spec.list(&["containers"]).iter().chain(spec.list(&["initContainers"]))
    };
    let amount = |container: &Value, side: &str, resource: &str| {
        container
            .at(&["resources", side, resource])
            .map(|v| v.to_string())
            .filter(|v| v != "\"0\"" && v != "0")
    };
    let resources = ["cpu", "memory"];
    let any = containers().any(|c| {
        resources
            .iter()
            .any(|r| amount(c, "requests", r).is_some() || amount(c, "limits", r).is_some())
    });
    if !any {
        return "BestEffort";
    }
    let guaranteed = containers().all(|c| {
        resources.iter().all(|r| {
            let limit = amount(c, "limits", r);
            limit.is_some() && limit == amount(c, "requests", r)
        })
    });
    if guaranteed { "Guaranteed" } else { "Burstable" }
}

fn validate(pod: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    match pod.at(&["spec"]) {
        Some(spec) => template::validate_spec(spec, "spec", errors),
        None => errors.push(FieldError::required("spec.containers", "")),
    }
    if old.is_none() && !pod["spec"].list(&["ephemeralContainers"]).is_empty() {
        errors.push(FieldError::forbidden("spec.ephemeralContainers", "cannot be set on create"));
    }
    if let Some(old) = old
        && fixed(pod) != fixed(old)
    {
        errors.push(FieldError::forbidden(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
        ));
    }
}

/// The part of the spec that never changes once the pod exists.
fn fixed(pod: &Value) -> Value {
    let mut spec = pod["spec"].clone();
    for field in
        ["activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates"]
    {
        spec.drop_field(field);
    }
    for field in ["containers", "initContainers"] {
        for container in spec.items_mut(field) {
            container.drop_field("image");
            container.drop_field("imagePullPolicy");
            container.drop_field("resources");
        }
    }
    spec
}

fn admit(admission: &Admission<'_>, pod: &mut Value, _: Option<&Value>) -> Result<(), ApiError> {
    if admission.operation != Operation::Create {
        return Ok(());
    }
    scheduling::prioritize(admission, pod)?;
    let spec = pod.sub("spec");
    tolerate_node_loss(spec);
    let account_name = match spec.text(&["serviceAccountName"]) {
        "" => "default".to_owned(),
        name => name.to_owned(),
    };
    spec["serviceAccountName"] = account_name.clone().into();
    spec["serviceAccount"] = account_name.clone().into();
    let key = Key::new(admission.namespace, &account_name);
    let account =
        admission.api.store.latest(&"/serviceaccounts".into(), &key).map(|object| object.value());
    let Some(account) = account else {
        return Err(ApiError::forbidden(
            PODS,
            pod.text(&["metadata", "name"]),
            &format!(
                "error looking up service account {}/{account_name}: serviceaccount \"{account_name}\" not found",
                admission.namespace
            ),
        ));
    };
    let spec = &mut pod["spec"];
    if spec.list(&["imagePullSecrets"]).is_empty()
        && let Some(secrets) = account.at(&["imagePullSecrets"])
    {
        spec["imagePullSecrets"] = secrets.clone();
    }
    let automount = spec
        .at(&["automountServiceAccountToken"])
        .or(account.at(&["automountServiceAccountToken"]));
    if automount != Some(&Value::Bool(false)) {
        mount_token(spec);
    }
    Ok(())
}

/// Admission may have given containers what they did not ask for.
fn settle(admission: &Admission<'_>, pod: &mut Value, _: Option<&Value>) -> Result<(), ApiError> {
    if admission.operation == Operation::Create {
        pod["status"]["qosClass"] = qos(pod).into();
    }
    Ok(())
}

fn tolerate_node_loss(spec: &mut Value) {
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let known = spec.list(&["tolerations"]).iter().any(|t| {
            let effect = t.text(&["effect"]);
            matches!(
                t.text(&["key"]),
                "" | "node.kubernetes.io/not-ready" | "node.kubernetes.io/unreachable"
            ) && (t.text(&["key"]) == key || t.text(&["key"]).is_empty())
                && (effect.is_empty() || effect == "NoExecute")
        });
        if !known {
            spec.default_to("tolerations", json!([]));
            if let Some(list) = spec["tolerations"].as_array_mut() {
                list.push(json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}));
            }
        }
    }
}

/// Adds the projected volume with token, CA and namespace, and mounts it where nothing is mounted yet.
fn mount_token(spec: &mut Value) {
    let mounted = |container: &Value| {
        container.list(&["volumeMounts"]).iter().any(|mount| mount["mountPath"] == ACCOUNT_PATH)
    };
    let fields = ["initContainers", "containers"];
    if fields.iter().all(|field| spec.list(&[field]).iter().all(mounted)) {
        return;
    }
    const PREFIX: &str = "kube-api-access-";
    // A container that was added later gets what the others have.
    let volumes = spec.list(&["volumes"]).iter().map(|volume| volume.text(&["name"]));
    let known = volumes.filter(|name| name.starts_with(PREFIX)).map(str::to_owned).next();
    let there = known.is_some();
    let name = known.unwrap_or_else(|| format!("{PREFIX}{}", random_suffix()));
    for field in fields {
        for container in spec.items_mut(field).filter(|container| !mounted(container)) {
            container.default_to("volumeMounts", json!([]));
            if let Some(mounts) = container["volumeMounts"].as_array_mut() {
                mounts.push(json!({"name": name, "readOnly": true, "mountPath": ACCOUNT_PATH}));
            }
        }
    }
    if there {
        return;
    }
    spec.default_to("volumes", json!([]));
    if let Some(volumes) = spec["volumes"].as_array_mut() {
        volumes.push(json!({"name": name, "projected": {"defaultMode": 420, "sources": [
            {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace",
                "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
        ]}}));
    }
}
