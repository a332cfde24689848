//! How a live object is doing, by its kind.

use serde_json::Value;

/// How a live object is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// Nothing is known of it; also of an object that is not there.
    Unknown,
    /// On its way.
    Progressing,
    /// As it should be.
    Healthy,
    /// Stopped on purpose.
    Suspended,
    /// Not as it should be, and not on its way there.
    Degraded,
}

impl Health {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Health::Unknown => "Unknown",
            Health::Progressing => "Progressing",
            Health::Healthy => "Healthy",
            Health::Suspended => "Suspended",
            Health::Degraded => "Degraded",
        }
    }
}

impl std::fmt::Display for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The health of a live object; `None` stands for one that does not exist. Kinds without rules
/// are healthy as soon as they exist.
pub fn health(live: Option<&Value>) -> Health {
    let Some(live) = live else { return Health::Unknown };
    match (live["apiVersion"].as_str(), live["kind"].as_str()) {
        (Some("apps/v1"), Some("Deployment")) => deployment(live),
        (Some("apps/v1"), Some("StatefulSet")) => stateful_set(live),
        (Some("batch/v1"), Some("CronJob")) => cron_job(live),
        (Some("v1"), Some("Pod")) => pod(live),
        _ => Health::Healthy,
    }
}

fn number(live: &Value, pointer: &str) -> i64 {
    live.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

fn replicas(live: &Value) -> i64 {
    live.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1)
}

fn observed(live: &Value) -> bool {
    number(live, "/status/observedGeneration") >= number(live, "/metadata/generation")
}

/// The status and reason of a condition.
fn condition<'v>(live: &'v Value, kind: &str) -> (&'v str, &'v str) {
    let conditions = live.pointer("/status/conditions").and_then(Value::as_array);
    conditions
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == kind)
        .map(|condition| {
            (
                condition["status"].as_str().unwrap_or_default(),
                condition["reason"].as_str().unwrap_or_default(),
            )
        })
        .unwrap_or_default()
}

fn deployment(live: &Value) -> Health {
    let desired = replicas(live);
    let (updated, ready, available, unavailable) = (
        number(live, "/status/updatedReplicas"),
        number(live, "/status/readyReplicas"),
        number(live, "/status/availableReplicas"),
        number(live, "/status/unavailableReplicas"),
    );
    let (progressing, reason) = condition(live, "Progressing");
    if live["spec"]["paused"] == true || desired == 0 {
        Health::Suspended
    } else if !observed(live) {
        Health::Progressing
    } else if reason == "ProgressDeadlineExceeded" || condition(live, "ReplicaFailure").0 == "True"
    {
        Health::Degraded
    } else if updated == desired && available == 0 {
        match (progressing, reason) {
            ("True", "NewReplicaSetAvailable") => Health::Degraded,
            ("True", _) => Health::Progressing,
            _ => Health::Degraded,
        }
    } else if condition(live, "Available").0 != "True"
        && unavailable > 0
        && (ready > 0 || available > 0)
    {
        Health::Degraded
    } else if [updated, ready, available] == [desired; 3] && unavailable == 0 {
        Health::Healthy
    } else {
        Health::Progressing
    }
}

fn stateful_set(live: &Value) -> Health {
    let counts = ["readyReplicas", "availableReplicas", "updatedReplicas"]
        .map(|name| number(live, &format!("/status/{name}")));
    let status = &live["status"];
    let as_desired = observed(live)
        && status["currentRevision"] == status["updateRevision"]
        && counts == [replicas(live); 3];
    if as_desired { Health::Healthy } else { Health::Progressing }
}

fn cron_job(live: &Value) -> Health {
    let active = live.pointer("/status/active").and_then(Value::as_array);
    if live["spec"]["suspend"] == true {
        Health::Suspended
    } else if active.is_some_and(|active| !active.is_empty()) {
        Health::Progressing
    } else if live["status"]["lastScheduleTime"].is_string() {
        Health::Healthy
    } else {
        Health::Progressing
    }
}

fn pod(live: &Value) -> Health {
    let containers = || {
        live.pointer("/status/containerStatuses").and_then(Value::as_array).into_iter().flatten()
    };
    let stuck = |container: &Value| {
        let reason = container.pointer("/state/waiting/reason").and_then(Value::as_str);
        matches!(reason, Some("CrashLoopBackOff" | "ImagePullBackOff" | "ErrImagePull"))
    };
    match live.pointer("/status/phase").and_then(Value::as_str) {
        Some("Pending") => Health::Progressing,
        Some("Running") if containers().any(stuck) => Health::Degraded,
        Some("Running") if containers().any(|container| container["ready"] != true) => {
            Health::Progressing
        }
        Some("Running" | "Succeeded") => Health::Healthy,
        Some("Failed") => Health::Degraded,
        _ => Health::Unknown,
    }
}
