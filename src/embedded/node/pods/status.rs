//! A pod's status as a kubelet reports it. Pure.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, PodCondition, PodSpec};
use serde_json::{Value, json};

use super::ephemeral;
use super::resources::qos_class;
use super::runtime::{Runtime, State, Terminated, is_sidecar};

/// What a status is made of.
pub(super) struct Snapshot<'a> {
    pub(super) pod: &'a Pod,
    /// Known once the sandbox was made.
    pub(super) pod_ip: Option<Ipv4Addr>,
    pub(super) host_ip: Ipv4Addr,
    pub(super) start_time: Timestamp,
    pub(super) runtimes: &'a BTreeMap<String, Runtime>,
    /// Whether the sandbox exists.
    pub(super) sandbox: bool,
    /// Why it was ended before its containers had, if it was: reason and message.
    pub(super) cut_short: Option<(&'a str, &'a str)>,
    /// Why the node has ended it, although it did nothing wrong.
    pub(super) disrupted: Option<&'a str>,
    /// Whether it is deleted and its containers are gone: none starts any more.
    pub(super) gone: bool,
    /// The status written before: conditions keep their times.
    pub(super) before: &'a [PodCondition],
}

/// Reason and message of a pod whose `activeDeadlineSeconds` are over.
pub(super) const EXPIRED: (&str, &str) =
    ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline");

/// Reason of a pod that was ended because of what it took of the node.
pub(super) const EVICTED: &str = "Evicted";

/// The condition of a pod that was ended although it did nothing wrong.
const DISRUPTED: &str = "DisruptionTarget";

/// `Pending`, `Running`, `Succeeded` or `Failed`.
pub(super) fn phase(pod: &Pod, runtimes: &BTreeMap<String, Runtime>) -> &'static str {
    let Some(spec) = &pod.spec else {
        return "Pending";
    };
    let get = |container: &Container| runtimes.get(&container.name);
    let never = spec.restart_policy.as_deref() == Some("Never");
    for container in spec.init_containers.iter().flatten() {
        match get(container).map(|runtime| &runtime.state) {
            // It ends only with the pod, and as it was asked to.
            Some(State::Terminated(_)) if is_sidecar(container) => {}
            Some(State::Terminated(end)) if end.exit_code == 0 => {}
            Some(State::Terminated(_)) if never => return "Failed",
            Some(_) if is_sidecar(container) && get(container).is_some_and(|one| one.started) => {}
            _ if is_sidecar(container) && anything_ran(&spec.containers, runtimes) => {}
            _ => return "Pending",
        }
    }
    let mut running = false;
    let mut failed = false;
    for container in &spec.containers {
        match get(container) {
            None => return "Pending",
            Some(runtime) => match &runtime.state {
                State::Waiting { .. } if runtime.last.is_none() => return "Pending",
                State::Waiting { .. } | State::Running { .. } => running = true,
                State::Terminated(end) => failed |= end.exit_code != 0,
            },
        }
    }
    match (running, failed) {
        (true, _) => "Running",
        (false, true) => "Failed",
        (false, false) => "Succeeded",
    }
}

/// How a pod ends that is deleted: well if each container that had to end has ended well.
fn last_phase(spec: &PodSpec, runtimes: &BTreeMap<String, Runtime>) -> &'static str {
    let init = spec.init_containers.iter().flatten().filter(|one| !is_sidecar(one));
    let ended_well = |container: &Container| {
        let end = runtimes.get(&container.name).and_then(Runtime::last_end);
        end.is_some_and(|end| end.exit_code == 0)
    };
    if init.chain(&spec.containers).all(ended_well) { "Succeeded" } else { "Failed" }
}

fn anything_ran(containers: &[Container], runtimes: &BTreeMap<String, Runtime>) -> bool {
    containers
        .iter()
        .filter_map(|one| runtimes.get(&one.name))
        .any(|runtime| runtime.last.is_some() || !matches!(runtime.state, State::Waiting { .. }))
}

/// The whole status, to be merged strategically: conditions of others stay.
pub(super) fn status(snapshot: &Snapshot<'_>) -> Value {
    let pod = snapshot.pod;
    let spec = pod.spec.clone().unwrap_or_default();
    let phase = match phase(pod, snapshot.runtimes) {
        _ if snapshot.cut_short.is_some() => "Failed",
        _ if snapshot.gone => last_phase(&spec, snapshot.runtimes),
        // Its sidecars, and what was added to it, are about to end.
        "Succeeded" | "Failed" if snapshot.runtimes.values().any(Runtime::is_running) => "Running",
        phase => phase,
    };
    let added = ephemeral::containers(&spec);
    let init = spec.init_containers.unwrap_or_default();
    let mut status = json!({
        "phase": phase,
        "conditions": conditions(snapshot, phase),
        "hostIP": snapshot.host_ip.to_string(),
        "hostIPs": [{"ip": snapshot.host_ip.to_string()}],
        "startTime": seconds(&snapshot.start_time.to_string()),
        "qosClass": pod.spec.as_ref().map(qos_class),
        "containerStatuses": containers(snapshot, &spec.containers),
    });
    if !init.is_empty() {
        status["initContainerStatuses"] = containers(snapshot, &init);
    }
    if !added.is_empty() {
        let mut statuses = containers(snapshot, &added);
        for one in statuses.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            // Nobody asks whether they are: they serve nobody.
            one.insert("ready".to_owned(), false.into());
            one.remove("started");
        }
        status["ephemeralContainerStatuses"] = statuses;
    }
    if let Some((reason, message)) = snapshot.cut_short {
        status["reason"] = reason.into();
        status["message"] = message.into();
    }
    if let Some(ip) = snapshot.pod_ip {
        status["podIP"] = ip.to_string().into();
        status["podIPs"] = json!([{"ip": ip.to_string()}]);
    }
    if let Some(generation) = pod.metadata.generation {
        status["observedGeneration"] = generation.into();
    }
    status
}

fn conditions(snapshot: &Snapshot<'_>, phase: &str) -> Value {
    let pod = snapshot.pod;
    let generation = pod.metadata.generation;
    let now = seconds(&Timestamp::now().to_string());
    let mut conditions = Vec::new();
    let mut add = |kind: &str, reason: Result<(), (&str, String)>| {
        let status = if reason.is_ok() { "True" } else { "False" };
        let before = snapshot.before.iter().find(|one| one.type_ == kind && one.status == status);
        let since = before.and_then(|one| one.last_transition_time.as_ref());
        let since = since.map_or_else(|| now.clone(), |at| seconds(&at.0.to_string()));
        let mut condition = json!({"type": kind, "status": status, "lastTransitionTime": since,
            "lastProbeTime": null, "reason": null, "message": null});
        if let Err((reason, message)) = reason {
            condition["reason"] = reason.into();
            condition["message"] = message.into();
        }
        if let Some(generation) = generation {
            condition["observedGeneration"] = generation.into();
        }
        conditions.push(condition);
    };

    let spec = pod.spec.clone().unwrap_or_default();
    let listed = |names: &[&str]| format!("[{}]", names.join(" "));
    add(
        "PodReadyToStartContainers",
        if snapshot.sandbox { Ok(()) } else { Err(("", String::new())) },
    );

    let init = spec.init_containers.unwrap_or_default();
    let incomplete: Vec<&str> = init
        .iter()
        .filter(|one| {
            let runtime = snapshot.runtimes.get(&one.name);
            let sidecar = is_sidecar(one) && runtime.is_some_and(|runtime| runtime.started);
            let done = runtime.and_then(Runtime::finished).is_some_and(|end| end.exit_code == 0);
            !(sidecar || done || anything_ran(&spec.containers, snapshot.runtimes))
        })
        .map(|one| one.name.as_str())
        .collect();
    add(
        "Initialized",
        if incomplete.is_empty() {
            Ok(())
        } else {
            let message = format!("containers with incomplete status: {}", listed(&incomplete));
            Err(("ContainersNotInitialized", message))
        },
    );

    let unready: Vec<&str> = spec
        .containers
        .iter()
        .filter(|one| !snapshot.runtimes.get(&one.name).is_some_and(|runtime| runtime.ready))
        .map(|one| one.name.as_str())
        .collect();
    let ready = match phase {
        "Succeeded" => Err(("PodCompleted", String::new())),
        "Failed" => Err(("PodFailed", String::new())),
        _ if unready.is_empty() => Ok(()),
        _ => {
            let message = format!("containers with unready status: {}", listed(&unready));
            Err(("ContainersNotReady", message))
        }
    };
    add("ContainersReady", ready.clone());
    let missing: Vec<&str> = spec
        .readiness_gates
        .iter()
        .flatten()
        .map(|gate| gate.condition_type.as_str())
        .filter(|gate| {
            let known = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
            !known.into_iter().flatten().any(|one| one.type_ == *gate && one.status == "True")
        })
        .collect();
    add(
        "Ready",
        ready.and(if missing.is_empty() {
            Ok(())
        } else {
            let message = format!(
                "corresponding condition of pod readiness gate {:?} does not exist or is not True.",
                missing[0]
            );
            Err(("ReadinessGatesNotReady", message))
        }),
    );
    if let Some(message) = snapshot.disrupted {
        let known = snapshot.before.iter().find(|one| one.type_ == DISRUPTED);
        let since = known.and_then(|one| one.last_transition_time.as_ref());
        let since = since.map_or(now, |at| seconds(&at.0.to_string()));
        conditions.push(json!({"type": DISRUPTED, "status": "True", "lastTransitionTime": since,
            "reason": "TerminationByKubelet", "message": message}));
    }
    Value::Array(conditions)
}

fn containers(snapshot: &Snapshot<'_>, containers: &[Container]) -> Value {
    containers
        .iter()
        .map(|container| {
            let fresh = Runtime::new();
            let runtime = snapshot.runtimes.get(&container.name).unwrap_or(&fresh);
            let uid = snapshot.pod.metadata.uid.as_deref().unwrap_or_default();
            let id = if runtime.is_running() || runtime.finished().is_some() || runtime.last.is_some() {
                // Of the attempt that ran last.
                format!("curtain://{uid}/{}/{}", container.name, runtime.restarts())
            } else {
                String::new()
            };
            let mut status = json!({
                "name": container.name,
                "image": container.image,
                "imageID": runtime.image_id,
                "containerID": id,
                "ready": runtime.ready,
                "started": runtime.started,
                "restartCount": runtime.restarts(),
                "state": state(&runtime.state),
                "lastState": runtime.last.as_ref().map_or(json!({}), |end| json!({"terminated": terminated(end)})),
            });
            if id.is_empty() {
                status.as_object_mut().map(|map| map.remove("containerID"));
            }
            status
        })
        .collect()
}

fn state(state: &State) -> Value {
    match state {
        State::Waiting { reason, message } => {
            let mut waiting = json!({"reason": reason});
            if let Some(message) = message {
                waiting["message"] = message.as_str().into();
            }
            json!({"waiting": waiting})
        }
        State::Running { since } => json!({"running": {"startedAt": seconds(since)}}),
        State::Terminated(end) => json!({"terminated": terminated(end)}),
    }
}

fn terminated(end: &Terminated) -> Value {
    let mut value = json!({
        "exitCode": end.exit_code,
        "reason": end.reason,
        "startedAt": seconds(&end.started_at),
        "finishedAt": seconds(&end.finished_at),
    });
    if let Some(signal) = end.signal {
        value["signal"] = signal.into();
    }
    if let Some(message) = &end.message {
        value["message"] = message.as_str().into();
    }
    value
}

/// An RFC 3339 time in whole seconds, as the API has them; null if it is none.
fn seconds(time: &str) -> Value {
    match time.parse::<Timestamp>() {
        Ok(time) => time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into(),
        Err(_) => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(spec: Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p", "uid": "u"}, "spec": spec}))
            .unwrap()
    }

    fn running(ready: bool) -> Runtime {
        let mut runtime = Runtime::new();
        runtime.running("2026-01-01T00:00:00.5Z".into(), "sha256:1".into(), false);
        runtime.ready = ready;
        runtime
    }

    fn done(code: i32) -> Runtime {
        let mut runtime = Runtime::new();
        runtime.state = State::Terminated(Terminated { exit_code: code, ..Terminated::default() });
        runtime
    }

    fn map(runtimes: &[(&str, Runtime)]) -> BTreeMap<String, Runtime> {
        runtimes.iter().map(|(name, runtime)| ((*name).to_owned(), runtime.clone())).collect()
    }

    #[test]
    fn phases() {
        let two =
            pod(json!({"containers": [{"name": "a"}, {"name": "b"}], "restartPolicy": "Never"}));
        for (a, b, expected) in [
            (running(true), running(false), "Running"),
            (running(true), Runtime::new(), "Pending"),
            (running(true), done(1), "Running"),
            (done(0), done(0), "Succeeded"),
            (done(0), done(2), "Failed"),
        ] {
            assert_eq!(phase(&two, &map(&[("a", a), ("b", b)])), expected);
        }
        let init = pod(json!({"containers": [{"name": "a"}], "restartPolicy": "Never",
            "initContainers": [{"name": "i"}]}));
        assert_eq!(phase(&init, &map(&[("i", running(false))])), "Pending");
        assert_eq!(phase(&init, &map(&[("i", done(1))])), "Failed");
    }

    fn snapshot_of(pod: &Pod, runtimes: &BTreeMap<String, Runtime>) -> Value {
        status(&Snapshot {
            pod,
            pod_ip: Some(Ipv4Addr::new(10, 244, 0, 5)),
            host_ip: Ipv4Addr::new(10, 244, 0, 1),
            start_time: Timestamp::UNIX_EPOCH,
            runtimes,
            sandbox: true,
            cut_short: None,
            disrupted: None,
            gone: false,
            before: &[],
        })
    }

    #[test]
    fn a_deleted_pod_ends_one_way_or_the_other() {
        let pod = pod(json!({"containers": [{"name": "a"}, {"name": "b"}],
            "initContainers": [{"name": "mesh", "restartPolicy": "Always"}]}));
        let mut waits = Runtime::new();
        waits.last = Some(Terminated::default());
        waits.state = State::Waiting { reason: "CrashLoopBackOff", message: None };
        for (runtimes, expected) in [
            (map(&[]), "Failed"),
            (map(&[("a", Runtime::new()), ("b", Runtime::new())]), "Failed"),
            (map(&[("a", done(0)), ("b", done(137))]), "Failed"),
            (map(&[("a", done(0)), ("b", Runtime::new())]), "Failed"),
            (map(&[("a", done(0)), ("b", waits)]), "Succeeded"),
            (map(&[("a", done(0)), ("b", done(0)), ("mesh", done(137))]), "Succeeded"),
        ] {
            let status = status(&Snapshot {
                pod: &pod,
                pod_ip: None,
                host_ip: Ipv4Addr::new(10, 244, 0, 1),
                start_time: Timestamp::UNIX_EPOCH,
                runtimes: &runtimes,
                sandbox: false,
                cut_short: None,
                disrupted: None,
                gone: true,
                before: &[],
            });
            assert_eq!(status["phase"], expected, "{runtimes:?}");
        }
    }

    #[test]
    fn a_pod_that_was_cut_short_has_failed_and_says_why() {
        let pod = pod(json!({"containers": [{"name": "a"}], "restartPolicy": "Always"}));
        for (reason, message) in [EXPIRED, (EVICTED, "The node was low on resource: x. ")] {
            let status = status(&Snapshot {
                pod: &pod,
                pod_ip: None,
                host_ip: Ipv4Addr::new(10, 244, 0, 1),
                start_time: Timestamp::UNIX_EPOCH,
                runtimes: &map(&[("a", done(0))]),
                sandbox: false,
                cut_short: Some((reason, message)),
                disrupted: (reason == EVICTED).then_some(message),
                gone: false,
                before: &[],
            });
            assert_eq!([&status["phase"], &status["reason"]], ["Failed", reason]);
            assert_eq!(status["message"], message);
            assert_eq!(condition(&status, "Ready")["reason"], "PodFailed");
            let conditions = status["conditions"].as_array().unwrap();
            let disrupted = conditions.iter().find(|one| one["type"] == DISRUPTED);
            assert_eq!(disrupted.is_some(), reason == EVICTED);
            assert!(disrupted.is_none_or(|one| one["reason"] == "TerminationByKubelet"));
        }
    }

    fn condition<'a>(status: &'a Value, kind: &str) -> &'a Value {
        let all = status["conditions"].as_array().unwrap();
        all.iter().find(|one| one["type"] == kind).unwrap()
    }

    #[test]
    fn an_unready_container_is_named() {
        let pod = pod(json!({"containers": [{"name": "a", "image": "i"}]}));
        let status = snapshot_of(&pod, &map(&[("a", running(false))]));
        let ready = condition(&status, "Ready");
        assert_eq!(ready["status"], "False");
        assert_eq!(ready["message"], "containers with unready status: [a]");
        assert_eq!(condition(&status, "Initialized")["status"], "True");
        let container = &status["containerStatuses"][0];
        assert_eq!(container["state"]["running"]["startedAt"], "2026-01-01T00:00:00Z");
        assert_eq!(container["containerID"], "curtain://u/a/0");
    }

    #[test]
    fn readiness_waits_for_gates() {
        let pod = pod(json!({"containers": [{"name": "a"}],
            "readinessGates": [{"conditionType": "x/y"}]}));
        let status = snapshot_of(&pod, &map(&[("a", running(true))]));
        assert_eq!(condition(&status, "ContainersReady")["status"], "True");
        assert_eq!(condition(&status, "Ready")["reason"], "ReadinessGatesNotReady");
    }
}
