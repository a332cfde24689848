//! What happened, told as an Event of the object it happened to, where `kubectl describe` and the observer find it.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

use super::context::Followed;
use super::watch::Object;
use crate::types::API_VERSION;

/// Who tells.
const REPORTER: &str = "controller-manager";
/// The longest note, in characters: the API takes 1024 bytes.
const LONGEST: usize = 250;

/// Tells what happened to `object`. Events are for people: one that cannot be written is only missed in the log.
pub(super) async fn tell<K: Followed>(
    client: &kube::Client,
    object: &Object,
    type_: EventType,
    (reason, message): (&str, &str),
) {
    let recorder = Recorder::new(client.clone(), Reporter::from(REPORTER));
    let about = ObjectReference {
        api_version: Some(API_VERSION.into()),
        kind: Some(K::INFO.kind.into()),
        namespace: object.meta.namespace.clone(),
        name: object.meta.name.clone(),
        uid: object.meta.uid.clone(),
        resource_version: object.meta.resource_version.clone(),
        ..ObjectReference::default()
    };
    let event = Event {
        type_,
        reason: reason.to_owned(),
        note: Some(message.chars().take(LONGEST).collect()),
        action: "Reconcile".to_owned(),
        secondary: None,
    };
    if let Err(error) = recorder.publish(&event, &about).await {
        tracing::warn!(object = object.name(), reason, %error, "an event could not be written");
    }
}
