//! `pods/eviction`: deletes a pod, unless its disruption budget would be violated.
//!
//! The budget is charged before the pod is deleted: its status names the pod as gone until its controller sees that
//! it is, so that nobody counts on it meanwhile.

use bytes::Bytes;
use serde_json::{Value, json};

use super::super::pipeline::{self, SubKind};
use super::super::update::TRIES;
use super::super::{Context, delete};
use crate::apiserver::admission::Operation;
use crate::apiserver::kinds::{Subresource, ValueExt, selects};
use crate::apiserver::reply::{self, Reply};
use crate::apiserver::status::{ApiError, Cause, Details, Qualified};
use crate::apiserver::store::{Object, WriteError};
use crate::apiserver::{Api, time};

/// Asks a pod to go.
pub(in crate::apiserver) const EVICTION: Subresource = Subresource {
    name: "eviction",
    verbs: &["create"],
    speaks: Some(("policy", "v1", "Eviction")),
    answer: |api, context, body| Box::pin(answer(api, context, body)),
};

const BUDGETS: &str = "policy/poddisruptionbudgets";
/// More evictions that the budget's controller has not confirmed are refused.
const MAX_UNCONFIRMED: usize = 2000;
const REFUSED: &str = "Cannot evict pod as it would violate the pod's disruption budget.";

async fn answer(api: &Api, context: &Context, body: &Bytes) -> Result<Reply, ApiError> {
    let mut eviction = pipeline::decode_as(context, body, SubKind::EVICTION)?;
    let given = eviction.text(&["metadata", "name"]);
    if !given.is_empty() && given != context.path.name {
        return Err(ApiError::bad_request("name in URL does not match name in Eviction object"));
    }
    let admission = context.admission(api, Operation::Create);
    admission.change(&mut eviction, None).await?;
    let options = delete::Options::of(context, &eviction["deleteOptions"])?.admitted();
    admission.check(Some(&eviction), None).await?;
    for _ in 0..TRIES {
        let pod = context.latest(api)?;
        options.check(context, &pod)?;
        let document = pod.value();
        if !is_over(&document) && !charge(api, context, &document, options.is_dry_run()).await? {
            continue;
        }
        mark(api, context, &pod, &document, &options).await?;
        delete::delete(api, context, &context.key(), &options).await?;
        let done = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
        return Ok(reply::json(201, &done));
    }
    let why = "couldn't update PodDisruptionBudget due to conflicts";
    Err(ApiError::plain(504, "Timeout", format!("Timeout: {why}")))
}

/// A pod that nobody counts on.
fn is_over(pod: &Value) -> bool {
    matches!(pod.text(&["status", "phase"]), "Succeeded" | "Failed" | "Pending")
        || pod.at(&["metadata", "deletionTimestamp"]).is_some()
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod.list(&["status", "conditions"]);
    conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// Takes the pod from the budget that it has. `false`: the budget changed meanwhile.
async fn charge(
    api: &Api,
    context: &Context,
    pod: &Value,
    dry_run: bool,
) -> Result<bool, ApiError> {
    let table = BUDGETS.into();
    let all = api.store.list(&table, Some(&context.path.namespace)).objects;
    let labels = pod.at(&["metadata", "labels"]).cloned().unwrap_or_else(|| json!({}));
    let mine = |budget: &Value| {
        budget.at(&["spec", "selector"]).is_some_and(|selector| selects(selector, &labels))
    };
    let mut mine = all.iter().filter(|budget| mine(&budget.value()));
    let Some(budget) = mine.next() else { return Ok(true) };
    if mine.next().is_some() {
        let why = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
        return Err(ApiError::plain(500, "", why));
    }
    let Some(budget) = api.store.latest(&table, &budget.key) else { return Ok(false) };
    let Some(charged) = charged(&budget.value(), pod)? else { return Ok(true) };
    if dry_run {
        return Ok(true);
    }
    match api.store.write(&table, &budget.key, Some(budget.rv), charged, false).await {
        Ok(_) => Ok(true),
        Err(WriteError::Raced) => Ok(false),
        Err(error) => Err(context.write_error(&error)),
    }
}

/// The budget without the pod; `None` when the pod is not counted in.
fn charged(budget: &Value, pod: &Value) -> Result<Option<Value>, ApiError> {
    let name = budget.text(&["metadata", "name"]);
    let status = |field: &str| budget.int(&["status", field]).unwrap_or(0);
    let (healthy, desired) = (status("currentHealthy"), status("desiredHealthy"));
    let always = budget.text(&["spec", "unhealthyPodEvictionPolicy"]) == "AlwaysAllow";
    if !is_ready(pod) && (always || (healthy >= desired && desired > 0)) {
        return Ok(None);
    }
    if status("observedGeneration") < budget.int(&["metadata", "generation"]).unwrap_or(0) {
        let why = format!("The disruption budget {name} is still being processed by the server.");
        return Err(too_many(why, 10));
    }
    let allowed = status("disruptionsAllowed");
    let unconfirmed = budget.at(&["status", "disruptedPods"]).and_then(Value::as_object);
    if unconfirmed.is_some_and(|pods| pods.len() > MAX_UNCONFIRMED) {
        let why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller";
        let budgets = Qualified { group: "policy", plural: "poddisruptionbudget" };
        return Err(ApiError::forbidden(budgets, name, why));
    }
    if allowed <= 0 {
        let conditions = budget.list(&["status", "conditions"]);
        let failed = conditions.iter().find(|condition| {
            condition["type"] == "DisruptionAllowed" && condition["reason"] == "SyncFailed"
        });
        return Err(too_many(
            match failed {
                Some(condition) => format!(
                    "The disruption budget {name} does not allow evicting pods currently because it failed sync: {}",
                    condition.text(&["message"])
                ),
                None => format!(
                    "The disruption budget {name} needs {desired} healthy pods and has {healthy} currently"
                ),
            },
            0,
        ));
    }
    let mut charged = budget.clone();
    let status = charged.sub("status");
    status["disruptionsAllowed"] = (allowed - 1).into();
    status.sub("disruptedPods")[pod.text(&["metadata", "name"])] = time::now().into();
    for condition in status.items_mut("conditions") {
        if allowed == 1 && condition["type"] == "DisruptionAllowed" {
            condition["status"] = "False".into();
            condition["reason"] = "InsufficientPods".into();
            condition["lastTransitionTime"] = time::now().into();
        }
    }
    Ok(Some(charged))
}

/// 429, with the reason that `kubectl drain` prints; `seconds` as 0 leaves it to the client when to try again.
fn too_many(why: String, seconds: u32) -> ApiError {
    let cause = Cause { reason: "DisruptionBudget".into(), message: why, field: String::new() };
    let details =
        Details { causes: vec![cause], retry_after_seconds: seconds, ..Details::default() };
    ApiError {
        details: Some(Box::new(details)),
        ..ApiError::plain(429, "TooManyRequests", REFUSED)
    }
}

/// Says in the pod why it goes. A pod that changed meanwhile goes without: deleting it looks at it again.
async fn mark(
    api: &Api,
    context: &Context,
    pod: &Object,
    document: &Value,
    options: &delete::Options,
) -> Result<(), ApiError> {
    if options.is_dry_run() || options.names_version() {
        return Ok(());
    }
    let mut marked = document.clone();
    let status = marked.sub("status");
    status.default_to("conditions", json!([]));
    if let Some(conditions) = status["conditions"].as_array_mut() {
        conditions.retain(|condition| condition["type"] != "DisruptionTarget");
        conditions.push(json!({"type": "DisruptionTarget", "status": "True",
            "reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting",
            "lastProbeTime": null, "lastTransitionTime": time::now()}));
    }
    match pipeline::commit(api, context, Some(pod.rv), marked, false).await {
        Ok(_) | Err(WriteError::Raced) => Ok(()),
        Err(error) => Err(context.write_error(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(status: Value) -> Value {
        let mut budget = json!({"metadata": {"name": "web", "generation": 1}, "spec": {},
            "status": {"observedGeneration": 1, "disruptionsAllowed": 1, "currentHealthy": 2, "desiredHealthy": 1,
                "conditions": [{"type": "DisruptionAllowed", "status": "True", "reason": "SufficientPods"}]}});
        curtain_json::merge_patch(&mut budget, &status);
        budget
    }

    fn pod(ready: &str) -> Value {
        json!({"metadata": {"name": "p"}, "status": {"phase": "Running",
            "conditions": [{"type": "Ready", "status": ready}]}})
    }

    #[test]
    fn a_budget_is_charged_until_nothing_is_left() {
        let charged_once = charged(&budget(json!({})), &pod("True")).unwrap().unwrap();
        let status = &charged_once["status"];
        assert_eq!(status["disruptionsAllowed"], 0);
        assert!(status["disruptedPods"]["p"].is_string());
        assert_eq!(status["conditions"][0]["reason"], "InsufficientPods");
        let error = charged(&charged_once, &pod("True")).unwrap_err();
        let status = error.status();
        assert_eq!(
            (error.code, &*error.reason, error.message.as_str()),
            (429, "TooManyRequests", REFUSED)
        );
        assert_eq!(
            status["details"]["causes"],
            json!([{"reason": "DisruptionBudget",
                "message": "The disruption budget web needs 1 healthy pods and has 2 currently"}])
        );
    }

    #[test]
    fn pods_that_are_not_ready_go_when_enough_others_are() {
        let none = json!({"status": {"disruptionsAllowed": 0}});
        assert!(charged(&budget(none.clone()), &pod("False")).unwrap().is_none());
        let sick = json!({"status": {"disruptionsAllowed": 0, "currentHealthy": 0}});
        assert!(charged(&budget(sick.clone()), &pod("False")).is_err());
        let mut always = budget(sick);
        always["spec"]["unhealthyPodEvictionPolicy"] = "AlwaysAllow".into();
        assert!(charged(&always, &pod("False")).unwrap().is_none());
        assert!(charged(&always, &pod("True")).is_err());
    }

    #[test]
    fn a_budget_that_was_not_looked_at_yet_allows_nothing() {
        let error = charged(&budget(json!({"metadata": {"generation": 2}})), &pod("True"));
        let details = error.unwrap_err().details.unwrap();
        assert_eq!(details.retry_after_seconds, 10);
        assert!(details.causes[0].message.contains("is still being processed"));
    }
}
