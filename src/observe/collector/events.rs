//! Following the events of the cluster.
//!
//! The API server keeps events for an hour or so, and lists them at each start: what the observer did not get comes
//! again, and what it has changes nothing.

use std::time::Duration;

use bytes::Bytes;
use curtain_role::{Backoff, Health, Shutdown};
use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client};

use super::belongs::Registry;
use super::door::Door;
use super::known::Pods;
use crate::asked::nanoseconds;
use crate::events::wire::{Batch, EVENTS_PATH, Event as Reported};

/// A batch is sent at this many events,
const BATCH: usize = 200;
/// or when its first one is this old.
const BATCH_AGE: Duration = Duration::from_millis(100);
/// A longer message is cut.
const LONGEST: usize = 4096;
/// Events to list at once.
const LISTED: u32 = 200;

/// Follows events and posts them.
pub(super) struct Follower {
    client: Client,
    registry: Registry,
    pods: Pods,
    door: Door,
}

impl Follower {
    pub(super) fn new(client: Client, pods: Pods, door: Door) -> Follower {
        let registry = Registry::new(client.clone(), pods.clone());
        Follower { client, registry, pods, door }
    }

    /// Follows until `shutdown`.
    pub(super) async fn run(mut self, health: &Health, shutdown: Shutdown) {
        let watching = health.check("events");
        tokio::select! {
            () = self.pods.listed() => {}
            () = shutdown.wait() => return,
        }
        let api: Api<Event> = Api::all(self.client.clone());
        let config = watcher::Config::default().page_size(LISTED);
        let mut events = std::pin::pin!(watcher(api, config).backoff(Backoff::default()));
        let mut batch: Vec<Reported> = Vec::new();
        let mut due = None;
        loop {
            // While a batch waits for the observer nothing is read: the API server keeps the rest.
            let full = batch.len() >= BATCH;
            let late = due.is_some_and(|due| tokio::time::Instant::now() >= due);
            if full || late {
                if !self.post(std::mem::take(&mut batch), &shutdown).await {
                    return;
                }
                due = None;
            }
            let wait = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            let event = tokio::select! {
                event = events.next() => event,
                () = wait => continue,
                () = shutdown.wait() => return,
            };
            let event = match event {
                None => return,
                Some(Err(error)) => {
                    tracing::warn!(%error, "the watch of events was interrupted");
                    continue;
                }
                Some(Ok(watcher::Event::InitDone)) => {
                    watching.pass();
                    continue;
                }
                Some(Ok(watcher::Event::Init | watcher::Event::Delete(_))) => continue,
                Some(Ok(watcher::Event::InitApply(event) | watcher::Event::Apply(event))) => event,
            };
            if let Some(reported) = self.report(event, &shutdown).await {
                batch.push(reported);
                due = due.or_else(|| Some(tokio::time::Instant::now() + BATCH_AGE));
            }
        }
    }

    /// The event with its owner; `None` when it has none.
    async fn report(&mut self, event: Event, shutdown: &Shutdown) -> Option<Reported> {
        let mut backoff = Backoff::default();
        loop {
            let error = match self.registry.owner(&event.involved_object).await {
                Ok(owner) => return Some(reported(event, (*owner?).clone())),
                Err(error) => error,
            };
            let pause = backoff.next().unwrap_or(BATCH_AGE);
            tracing::warn!(%error, retry_in = ?pause, "an event waits for its object's labels");
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.wait() => return None,
            }
        }
    }

    async fn post(&self, events: Vec<Reported>, shutdown: &Shutdown) -> bool {
        // Strings and numbers only: it cannot fail.
        let body: Bytes = serde_json::to_vec(&Batch { events }).unwrap_or_default().into();
        self.door.deliver(EVENTS_PATH, body, "events", shutdown).await
    }
}

/// The event as it is stored. Of its many times the last one that is there counts.
fn reported(event: Event, owner: crate::owner::Owner) -> Reported {
    let Event { involved_object: object, metadata, series, .. } = event;
    let created = metadata.creation_timestamp.map(|time| time.0);
    let happened = event.event_time.map(|time| time.0);
    let first = event.first_timestamp.map(|time| time.0).or(happened).or(created);
    let repeated = series.as_ref().and_then(|series| series.last_observed_time.as_ref());
    let last = repeated.map(|time| time.0).or(event.last_timestamp.map(|time| time.0)).or(first);
    let count = series.and_then(|series| series.count).or(event.count).unwrap_or(1);
    let mut message = event.message.unwrap_or_default();
    message.truncate(message.floor_char_boundary(LONGEST));
    let time = |time: Option<Timestamp>| time.map(nanoseconds).unwrap_or_default();
    Reported {
        uid: metadata.uid.unwrap_or_default(),
        first: time(first),
        last: time(last),
        count: count.max(1).into(),
        r#type: event.type_.unwrap_or_default(),
        reason: event.reason.unwrap_or_default(),
        message,
        object_kind: object.kind.unwrap_or_default(),
        object_name: object.name.unwrap_or_default(),
        object_namespace: object.namespace.unwrap_or_default(),
        owner,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_counts_at_the_last_of_its_times() {
        let event = |change: serde_json::Value| {
            let mut event = json!({"metadata": {"uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"},
                "involvedObject": {"kind": "Pod", "name": "cart-1", "namespace": "dp"},
                "message": "é".repeat(LONGEST)});
            for (name, value) in change.as_object().expect("an object") {
                event[name] = value.clone();
            }
            let event = serde_json::from_value(event).expect("an Event");
            let event = reported(event, crate::owner::Owner::default());
            ((event.last - event.first) / 1_000_000_000, event.count, event.message.len())
        };
        let time = "2026-01-01T00:00:05.000000Z";
        assert_eq!(event(json!({})), (0, 1, LONGEST));
        let old = json!({"firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:03Z", "count": 7});
        assert_eq!(event(old), (3, 7, LONGEST));
        let new = json!({"eventTime": "2026-01-01T00:00:01.000000Z", "series": {"count": 2, "lastObservedTime": time}});
        assert_eq!(event(new), (4, 2, LONGEST));
    }
}
