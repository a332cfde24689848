//! Events as controllers record them: one object per message, counted when it repeats.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::json;

/// More remembered messages than this are forgotten; a forgotten one starts a new Event when it repeats.
const REMEMBERED: usize = 512;

/// Whether something ordinary or something wrong happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    Normal,
    Warning,
}

/// Records events of one controller. Recording never fails a reconciliation: what cannot be written is logged.
pub(super) struct Recorder {
    client: Client,
    component: &'static str,
    known: Mutex<HashMap<What, (String, i32)>>,
}

/// Uid, reason and message: what an Event's name and count are kept by.
type What = (String, String, String);

impl Recorder {
    pub(super) fn new(client: Client, component: &'static str) -> Self {
        Recorder { client, component, known: Mutex::default() }
    }

    /// Records a message about an object.
    pub(super) async fn record<K>(
        &self,
        object: &K,
        severity: Severity,
        reason: &str,
        message: &str,
    ) where
        K: Resource<DynamicType = ()>,
    {
        let uid = object.uid().unwrap_or_default();
        let known = (uid.clone(), reason.to_owned(), message.to_owned());
        let namespace = object.namespace().unwrap_or_else(|| "default".into());
        let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        let now = Time(Timestamp::now());
        let repeated = {
            let mut events = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if events.len() >= REMEMBERED && !events.contains_key(&known) {
                events.clear();
            }
            events.get_mut(&known).map(|(name, count)| {
                *count += 1;
                (name.clone(), *count)
            })
        };
        if let Some((name, count)) = repeated {
            let patch = json!({"count": count, "lastTimestamp": now});
            match api.patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await {
                Ok(_) => return,
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => return tracing::warn!(%error, reason, "cannot count an event again"),
            }
        }
        let event = self.event(object, severity, reason, message, &namespace, now);
        let name = event.name_any();
        match api.create(&PostParams::default(), &event).await {
            Ok(_) => {
                let mut events = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                events.insert(known, (name, 1));
            }
            // A namespace that is going away takes no events.
            Err(kube::Error::Api(status)) if status.code == 403 || status.code == 404 => {}
            Err(error) => tracing::warn!(%error, reason, message, "cannot record an event"),
        }
    }

    fn event<K>(
        &self,
        object: &K,
        severity: Severity,
        reason: &str,
        message: &str,
        namespace: &str,
        now: Time,
    ) -> Event
    where
        K: Resource<DynamicType = ()>,
    {
        let suffix = format!("{:x}", now.0.as_nanosecond());
        Event {
            metadata: ObjectMeta {
                name: Some(format!("{}.{suffix}", object.name_any())),
                namespace: Some(namespace.to_owned()),
                ..ObjectMeta::default()
            },
            involved_object: ObjectReference {
                api_version: Some(K::api_version(&()).into_owned()),
                kind: Some(K::kind(&()).into_owned()),
                name: Some(object.name_any()),
                namespace: object.namespace(),
                uid: object.uid(),
                resource_version: object.resource_version(),
                field_path: None,
            },
            type_: Some(format!("{severity:?}")),
            reason: Some(reason.to_owned()),
            message: Some(message.chars().take(1024).collect()),
            source: Some(EventSource { component: Some(self.component.to_owned()), host: None }),
            reporting_component: Some(self.component.to_owned()),
            reporting_instance: Some(String::new()),
            count: Some(1),
            first_timestamp: Some(now.clone()),
            last_timestamp: Some(now),
            ..Event::default()
        }
    }
}
