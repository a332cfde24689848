//! One step at a time, without a store.

use serde_json::json;

use super::*;
use crate::apiserver::kinds::builtin_resources;

fn resource(plural: &str) -> Arc<Resource> {
    builtin_resources().into_iter().find(|it| it.plural == plural).unwrap()
}

fn quota(used: &str) -> Value {
    json!({"metadata": {"name": "q"}, "spec": {}, "status": {
        "hard": {"requests.cpu": "1", "pods": "2"}, "used": {"requests.cpu": used, "pods": "1"}}})
}

fn pod(cpu: &str, phase: &str) -> Value {
    json!({"spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]}, "status": {"phase": phase}})
}

fn step<'a>(resource: &'a Resource, old: Option<&'a Value>, new: Option<&'a Value>) -> Step<'a> {
    Step { resource, namespace: "default", old, new, must_fit: old.is_none() }
}

#[test]
fn what_is_used_is_charged_and_given_back() {
    let pods = resource("pods");
    let used = |step: Step<'_>| {
        charged(&quota("500m"), step).unwrap().map(|quota| quota["status"]["used"].clone())
    };
    let (running, over) = (pod("250m", "Running"), pod("250m", "Succeeded"));
    assert_eq!(
        used(step(&pods, None, Some(&running))),
        Some(json!({"pods": "2", "requests.cpu": "750m"}))
    );
    let given_back = Some(json!({"pods": "0", "requests.cpu": "250m"}));
    assert_eq!(used(step(&pods, Some(&running), None)), given_back);
    assert_eq!(used(step(&pods, Some(&running), Some(&over))), given_back);
    assert_eq!(used(step(&pods, Some(&running), Some(&running))), None);
    let maps = resource("configmaps");
    assert_eq!(used(step(&maps, None, Some(&json!({})))), None, "it limits no such objects");
    let floor = used(step(&pods, Some(&pod("2", "Running")), None));
    assert_eq!(floor, Some(json!({"pods": "0", "requests.cpu": "0"})));
}

#[test]
fn what_does_not_fit_is_refused_in_the_words_of_real_servers() {
    let pods = resource("pods");
    let big = pod("501m", "");
    assert_eq!(
        charged(&quota("500m"), step(&pods, None, Some(&big))),
        Err("exceeded quota: q, requested: requests.cpu=501m, used: requests.cpu=500m, limited: requests.cpu=1".into())
    );
    let silent = json!({"spec": {"containers": [{"name": "c"}]}});
    assert_eq!(
        charged(&quota("500m"), step(&pods, None, Some(&silent))),
        Err("failed quota: q: must specify requests.cpu for: c".into())
    );
    // What is there already is counted, whether it fits or not.
    let back = step(&pods, Some(&silent), Some(&big));
    assert_eq!(
        charged(&quota("500m"), back).unwrap().unwrap()["status"]["used"]["requests.cpu"],
        "1001m"
    );
    let mut scoped = quota("500m");
    scoped["spec"]["scopes"] = json!(["BestEffort"]);
    assert_eq!(charged(&scoped, step(&pods, None, Some(&big))), Ok(None));
}
