//! What `kubectl get pods` shows.

use jiff::Timestamp;
use serde_json::Value;

use super::super::super::ValueExt;
use super::super::super::columns::{Printer, count, name, old, or_none};
use crate::apiserver::time::human;

pub(in super::super) const POD: Printer = Printer(
    &[
        ("Name", "string", 0),
        ("Ready", "string", 0),
        ("Status", "string", 0),
        ("Restarts", "string", 0),
        ("Age", "string", 0),
        ("IP", "string", 1),
        ("Node", "string", 1),
        ("Nominated Node", "string", 1),
        ("Readiness Gates", "string", 1),
    ],
    |o, now| {
        let statuses = o.list(&["status", "containerStatuses"]);
        let ready = statuses.iter().filter(|c| c["ready"] == true).count();
        let total = o.list(&["spec", "containers"]).len();
        let restarts: i64 = statuses.iter().map(|c| count(c, &["restartCount"])).sum();
        let last = statuses
            .iter()
            .map(|c| c.text(&["lastState", "terminated", "finishedAt"]))
            .max()
            .unwrap_or("");
        let restarts = match last.parse::<Timestamp>() {
            Ok(at) if restarts > 0 => {
                format!("{restarts} ({} ago)", human(now.as_second() - at.as_second()))
            }
            _ => restarts.to_string(),
        };
        vec![
            name(o),
            format!("{ready}/{total}").into(),
            pod_status(o).into(),
            restarts.into(),
            old(o, now),
            or_none(o.text(&["status", "podIP"])),
            or_none(o.text(&["spec", "nodeName"])),
            or_none(o.text(&["status", "nominatedNodeName"])),
            "<none>".into(),
        ]
    },
);

/// The one word that sums a pod up, as kubectl prints it.
fn pod_status(pod: &Value) -> String {
    let mut reason = match pod.text(&["status", "reason"]) {
        "" => pod.text(&["status", "phase"]).to_owned(),
        reason => reason.to_owned(),
    };
    let terminated = |state: &Value, prefix: &str| match state.text(&["reason"]) {
        "" => match state.int(&["signal"]) {
            Some(signal) if signal != 0 => format!("{prefix}Signal:{signal}"),
            _ => format!("{prefix}ExitCode:{}", count(state, &["exitCode"])),
        },
        reason => format!("{prefix}{reason}"),
    };
    let inits = pod.list(&["status", "initContainerStatuses"]);
    let total = pod.list(&["spec", "initContainers"]).len();
    for (at, container) in inits.iter().enumerate() {
        if let Some(state) = container.at(&["state", "terminated"]) {
            if count(state, &["exitCode"]) == 0 {
                continue;
            }
            return deleting(pod, terminated(state, "Init:"));
        }
        return deleting(
            pod,
            match container.text(&["state", "waiting", "reason"]) {
                "" | "PodInitializing" => format!("Init:{at}/{total}"),
                waiting => format!("Init:{waiting}"),
            },
        );
    }
    let mut running = false;
    for container in pod.list(&["status", "containerStatuses"]).iter().rev() {
        let waiting = container.text(&["state", "waiting", "reason"]);
        if !waiting.is_empty() {
            reason = waiting.to_owned();
        } else if let Some(state) = container.at(&["state", "terminated"]) {
            reason = terminated(state, "");
        } else if container["ready"] == true && container.at(&["state", "running"]).is_some() {
            running = true;
        }
    }
    if reason == "Completed" && running {
        let ready = pod
            .list(&["status", "conditions"])
            .iter()
            .any(|c| c["type"] == "Ready" && c["status"] == "True");
        reason = if ready { "Running".into() } else { "NotReady".into() };
    }
    deleting(pod, reason)
}

fn deleting(pod: &Value, reason: String) -> String {
    if pod.at(&["metadata", "deletionTimestamp"]).is_none() { reason } else { "Terminating".into() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::super::columns::Columns;
    use super::*;

    #[test]
    fn pods_print_as_kubectl_prints_them() {
        let now: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
        let pod = json!({
            "metadata": {"name": "p", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"containers": [{"name": "a"}, {"name": "b"}], "nodeName": "n"},
            "status": {"phase": "Running", "podIP": "10.0.0.1", "containerStatuses": [
                {"ready": true, "restartCount": 0, "state": {"running": {}}},
                {"ready": false, "restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                 "lastState": {"terminated": {"finishedAt": "2026-01-01T00:00:50Z"}}},
            ]},
        });
        let columns = Columns::Builtin(POD);
        let cells = columns.cells(&pod, now);
        let expected = json!([
            "p",
            "1/2",
            "CrashLoopBackOff",
            "2 (10s ago)",
            "60s",
            "10.0.0.1",
            "n",
            "<none>",
            "<none>"
        ]);
        assert_eq!(json!(cells), expected);
        assert_eq!(columns.headings().len(), cells.len());
    }
}
