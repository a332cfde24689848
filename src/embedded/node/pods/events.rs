//! Events about pods, as a kubelet reports them.
//!
//! They are written in the background: a pod does not wait for its own story. Repetitions are counted in one object.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use tokio::sync::mpsc;

/// Repetitions within this time count up an event instead of making another.
const SAME: Duration = Duration::from_secs(600);
/// Most different events remembered.
const REMEMBERED: usize = 512;

/// Whether an event is a reason to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    Normal,
    Warning,
}

struct Report {
    pod: ObjectReference,
    severity: Severity,
    reason: &'static str,
    message: String,
}

/// Takes events without waiting.
#[derive(Clone)]
pub(super) struct Recorder {
    sender: mpsc::UnboundedSender<Report>,
}

impl Recorder {
    /// Starts the writer.
    pub(super) fn new(client: Client, node: String) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(write_all(client, node, receiver));
        Self { sender }
    }

    /// Reports something about a pod, or about one of its containers.
    pub(super) fn report(
        &self,
        pod: &Pod,
        container: Option<&str>,
        severity: Severity,
        reason: &'static str,
        message: impl Into<String>,
    ) {
        let reference = ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: Some(pod.name_any()),
            namespace: pod.namespace(),
            uid: pod.uid(),
            resource_version: pod.resource_version(),
            field_path: container.map(|name| field_path(pod, name)),
        };
        let message = message.into();
        let report = Report { pod: reference, severity, reason, message };
        // The writer ends with the node only.
        let _ = self.sender.send(report);
    }
}

/// Where a pod has a container.
fn field_path(pod: &Pod, name: &str) -> String {
    let spec = pod.spec.as_ref();
    let init = spec.and_then(|spec| spec.init_containers.as_ref());
    let added = spec.and_then(|spec| spec.ephemeral_containers.as_ref());
    let list = if init.into_iter().flatten().any(|one| one.name == name) {
        "initContainers"
    } else if added.into_iter().flatten().any(|one| one.name == name) {
        "ephemeralContainers"
    } else {
        "containers"
    };
    format!("spec.{list}{{{name}}}")
}

type Key = (Option<String>, Option<String>, &'static str, String);

struct Known {
    name: String,
    count: i32,
    at: Instant,
}

async fn write_all(client: Client, node: String, mut reports: mpsc::UnboundedReceiver<Report>) {
    let mut known: BTreeMap<Key, Known> = BTreeMap::new();
    while let Some(report) = reports.recv().await {
        known.retain(|_, event| event.at.elapsed() < SAME);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        let key = (
            report.pod.uid.clone(),
            report.pod.field_path.clone(),
            report.reason,
            report.message.clone(),
        );
        let namespace = report.pod.namespace.clone().unwrap_or_default();
        let api: Api<Event> = Api::namespaced(client.clone(), &namespace);
        let result = match known.get_mut(&key) {
            Some(event) => {
                event.count += 1;
                event.at = Instant::now();
                let patch = json!({"count": event.count, "lastTimestamp": Time(Timestamp::now())});
                api.patch(&event.name, &PatchParams::default(), &Patch::Merge(&patch)).await
            }
            None => {
                let event = first(report, &node);
                let name = event.name_any();
                let result = api.create(&PostParams::default(), &event).await;
                if result.is_ok() {
                    known.insert(key, Known { name, count: 1, at: Instant::now() });
                }
                result
            }
        };
        if let Err(error) = result {
            // The namespace may be on its way out; an event is not worth more than a line.
            tracing::debug!(%error, "an event was not written");
        }
    }
}

fn first(report: Report, node: &str) -> Event {
    let now = Timestamp::now();
    let pod = report.pod.name.clone().unwrap_or_default();
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{pod}.{:x}", now.as_nanosecond())),
            namespace: report.pod.namespace.clone(),
            ..ObjectMeta::default()
        },
        involved_object: report.pod,
        reason: Some(report.reason.to_owned()),
        message: Some(report.message),
        type_: Some(
            match report.severity {
                Severity::Normal => "Normal",
                Severity::Warning => "Warning",
            }
            .to_owned(),
        ),
        source: Some(EventSource {
            component: Some("kubelet".to_owned()),
            host: Some(node.to_owned()),
        }),
        first_timestamp: Some(Time(now)),
        last_timestamp: Some(Time(now)),
        count: Some(1),
        reporting_component: Some("kubelet".to_owned()),
        reporting_instance: Some(node.to_owned()),
        ..Event::default()
    }
}
