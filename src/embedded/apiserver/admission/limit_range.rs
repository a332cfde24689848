//! LimitRanges: what containers ask for when they say nothing, and what they may.

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::super::amounts::{Amounts, amounts, of_pod};
use super::super::kinds::ValueExt;
use super::super::status::ApiError;
use super::{Admission, Operation, Plugin, Round};
use crate::quantity::Quantity;

/// What was filled in is told here.
const ANNOTATION: &str = "kubernetes.io/limit-ranger";

/// Fills in and checks the resources of pods and claims.
pub(super) struct LimitRanger;

impl Plugin for LimitRanger {
    fn change<'a>(
        &'a self,
        admission: &'a Admission<'a>,
        _: &'a mut Round,
        document: &'a mut Value,
        _: Option<&'a Value>,
    ) -> BoxFuture<'a, Result<(), ApiError>> {
        if is_new_pod(admission) {
            for limits in ranges(admission) {
                fill_in(document, &limits);
            }
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn check<'a>(
        &'a self,
        admission: &'a Admission<'a>,
        document: Option<&'a Value>,
        _: Option<&'a Value>,
    ) -> BoxFuture<'a, Result<(), ApiError>> {
        Box::pin(std::future::ready(check(admission, document)))
    }
}

fn check(admission: &Admission<'_>, document: Option<&Value>) -> Result<(), ApiError> {
    let Some(document) = document else { return Ok(()) };
    let wrong: fn(&Value, &Value, &mut Vec<String>) = if is_new_pod(admission) {
        pod
    } else if admission.subresource.is_empty()
        && *admission.resource.table == *"/persistentvolumeclaims"
    {
        claim
    } else {
        return Ok(());
    };
    for limits in ranges(admission) {
        let mut errors = Vec::new();
        limits.iter().for_each(|limit| wrong(document, limit, &mut errors));
        let why = match errors.as_slice() {
            [] => continue,
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let name = document.text(&["metadata", "name"]);
        return Err(ApiError::forbidden(admission.resource.qualified(), name, &why));
    }
    Ok(())
}

/// Containers do not change once a pod exists.
fn is_new_pod(admission: &Admission<'_>) -> bool {
    admission.operation == Operation::Create
        && admission.subresource.is_empty()
        && *admission.resource.table == *"/pods"
}

/// The limits of each LimitRange of the namespace.
fn ranges(admission: &Admission<'_>) -> impl Iterator<Item = Vec<Value>> {
    let page = admission.api.store.list(&"/limitranges".into(), Some(admission.namespace));
    page.objects.into_iter().map(|range| range.value().list(&["spec", "limits"]).to_vec())
}

/// Gives containers the requests and limits that they lack, and says so.
fn fill_in(pod: &mut Value, limits: &[Value]) {
    let mut told = Vec::new();
    for (field, what) in [("containers", "container"), ("initContainers", "init container")] {
        for container in pod["spec"].items_mut(field) {
            let name = container.text(&["name"]).to_owned();
            for (side, from, word) in
                [("requests", "defaultRequest", "request"), ("limits", "default", "limit")]
            {
                let mut set = Vec::new();
                for limit in limits.iter().filter(|limit| limit["type"] == "Container") {
                    let usual = limit.at(&[from]).and_then(Value::as_object);
                    for (resource, amount) in usual.into_iter().flatten() {
                        if container.at(&["resources", side, resource]).is_none() {
                            container.sub("resources").sub(side)[resource] = amount.clone();
                            set.push(resource.clone());
                        }
                    }
                }
                if !set.is_empty() {
                    told.push(format!("{} {word} for {what} {name}", set.join(", ")));
                }
            }
        }
    }
    if !told.is_empty() {
        let text = format!("LimitRanger plugin set: {}", told.join("; "));
        pod.sub("metadata").sub("annotations")[ANNOTATION] = json!(text);
    }
}

fn pod(pod: &Value, limit: &Value, errors: &mut Vec<String>) {
    let kind = limit.text(&["type"]);
    match kind {
        "Container" => {
            for field in ["containers", "initContainers"] {
                for container in pod.list(&["spec", field]) {
                    let side = |side: &str| amounts(container.at(&["resources", side]));
                    within(kind, limit, &side("requests"), &side("limits"), errors);
                }
            }
        }
        "Pod" => within(kind, limit, &of_pod(pod, "requests"), &of_pod(pod, "limits"), errors),
        _ => {}
    }
}

fn within(
    kind: &str,
    limit: &Value,
    requests: &Amounts,
    limits: &Amounts,
    errors: &mut Vec<String>,
) {
    for (name, least) in amounts(limit.at(&["min"])) {
        let told = format!("minimum {name} usage per {kind} is {least}");
        match (requests.get(&name), limits.get(&name)) {
            (None, _) => errors.push(format!("{told}.  No request is specified")),
            (Some(request), _) if *request < least => {
                errors.push(format!("{told}, but request is {request}"));
            }
            (_, Some(limit)) if *limit < least => {
                errors.push(format!("{told}, but limit is {limit}"));
            }
            _ => {}
        }
    }
    for (name, most) in amounts(limit.at(&["max"])) {
        let told = format!("maximum {name} usage per {kind} is {most}");
        match (requests.get(&name), limits.get(&name)) {
            (_, None) => errors.push(format!("{told}.  No limit is specified")),
            (_, Some(limit)) if *limit > most => {
                errors.push(format!("{told}, but limit is {limit}"));
            }
            (Some(request), _) if *request > most => {
                errors.push(format!("{told}, but request is {request}"));
            }
            _ => {}
        }
    }
    for (name, most) in amounts(limit.at(&["maxLimitRequestRatio"])) {
        let told = format!("{name} max limit to request ratio per {kind} is {most}");
        let given = |side: &Amounts| side.get(&name).copied().filter(|amount| !amount.is_zero());
        match (given(requests), given(limits)) {
            (None, _) => {
                errors.push(format!("{told}, but no request is specified or request is 0"))
            }
            (_, None) => errors.push(format!("{told}, but no limit is specified or limit is 0")),
            (Some(request), Some(limit)) => {
                let ratio = limit.ratio(request);
                if ratio > most.ratio(Quantity::count(1)) {
                    errors.push(format!("{told}, but provided ratio is {ratio:.6}"));
                }
            }
        }
    }
}

fn claim(claim: &Value, limit: &Value, errors: &mut Vec<String>) {
    let kind = limit.text(&["type"]);
    if kind != "PersistentVolumeClaim" {
        return;
    }
    let requests = amounts(claim.at(&["spec", "resources", "requests"]));
    for (side, word) in [("min", "minimum"), ("max", "maximum")] {
        for (name, bound) in amounts(limit.at(&[side])) {
            let told = format!("{word} {name} usage per {kind} is {bound}");
            match requests.get(&name) {
                None => errors.push(format!("{told}.  No request is specified")),
                Some(request)
                    if (side == "min" && *request < bound)
                        || (side == "max" && *request > bound) =>
                {
                    errors.push(format!("{told}, but request is {request}"));
                }
                Some(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
