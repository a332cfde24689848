//! Keeping the index up to date: a listing, then every change as it comes.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;

use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::{Namespace, Service as CoreService};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{WatchStreamExt, utils::Backoff};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use std::time::Duration;

use super::Shared;
use super::gate::{Gate, Hold};
use super::index::Key;
use super::object::{Service, Slice};
use super::policy::Policy;

/// What is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Services,
    Slices,
    Namespaces,
    Policies,
}

/// Keeps connections waiting until everything has been listed.
pub(super) struct Listing(Vec<(Kind, Hold)>);

impl Listing {
    pub(super) fn new(gate: &Gate) -> Self {
        let all = [Kind::Services, Kind::Slices, Kind::Namespaces, Kind::Policies];
        Self(all.map(|kind| (kind, gate.hold())).into())
    }

    /// This kind has been listed.
    pub(super) fn done(&mut self, kind: Kind) {
        self.0.retain(|(one, _)| *one != kind);
    }
}

/// Follow Services.
pub(super) async fn services(shared: Arc<Shared>, client: Client) {
    let mut seen = HashSet::new();
    follow(Api::<CoreService>::all(client), |event| {
        let mut index = shared.index_mut();
        match event {
            Event::Init => seen.clear(),
            Event::InitDone => {
                index.retain_services(|key| seen.contains(key));
                shared.listed(Kind::Services);
            }
            Event::Delete(service) => index.remove_service(&key(&service)),
            Event::InitApply(service) => {
                seen.insert(key(&service));
                index.put_service(key(&service), Service::from(&service));
                return;
            }
            Event::Apply(service) => index.put_service(key(&service), Service::from(&service)),
        }
        drop(index);
        shared.changed.notify_one();
    })
    .await;
}

/// Follow EndpointSlices.
pub(super) async fn slices(shared: Arc<Shared>, client: Client) {
    let mut seen = HashSet::new();
    follow(Api::<EndpointSlice>::all(client), |event| {
        let mut index = shared.index_mut();
        let mut put = |slice: &EndpointSlice| match Slice::of(slice) {
            Some(ours) => index.put_slice(key(slice), ours),
            None => index.remove_slice(&key(slice)),
        };
        match event {
            Event::Init => seen.clear(),
            Event::InitApply(slice) => {
                put(&slice);
                seen.insert(key(&slice));
            }
            Event::Apply(slice) => put(&slice),
            Event::Delete(slice) => index.remove_slice(&key(&slice)),
            Event::InitDone => {
                index.retain_slices(|key| seen.contains(key));
                shared.listed(Kind::Slices);
            }
        }
    })
    .await;
}

/// Follow namespaces, for their labels.
pub(super) async fn namespaces(shared: Arc<Shared>, client: Client) {
    let mut seen = HashSet::new();
    follow(Api::<Namespace>::all(client), |event| {
        let put = |namespace: &Namespace| {
            let labels = namespace.labels().clone();
            shared.change_rules(|rules| rules.put_namespace(&namespace.name_any(), labels));
        };
        match event {
            Event::Init => seen.clear(),
            Event::InitApply(namespace) => {
                put(&namespace);
                seen.insert(namespace.name_any().into());
            }
            Event::Apply(namespace) => put(&namespace),
            Event::Delete(namespace) => shared.change_rules(|rules| {
                rules.remove_namespace(&namespace.name_any());
                false
            }),
            Event::InitDone => {
                shared.change_rules(|rules| {
                    rules.retain_namespaces(&seen);
                    false
                });
                shared.listed(Kind::Namespaces);
            }
        }
    })
    .await;
}

/// Follow NetworkPolicies.
pub(super) async fn policies(shared: Arc<Shared>, client: Client) {
    let mut seen = HashSet::new();
    follow(Api::<NetworkPolicy>::all(client), |event| {
        let put = |policy: &NetworkPolicy| {
            let rules = Policy::of(policy);
            shared.change_rules(|all| all.put_policy(key(policy), rules));
        };
        match event {
            Event::Init => seen.clear(),
            Event::InitApply(policy) => {
                put(&policy);
                seen.insert(key(&policy));
            }
            Event::Apply(policy) => put(&policy),
            Event::Delete(policy) => {
                shared.change_rules(|rules| rules.remove_policy(&key(&policy)));
            }
            Event::InitDone => {
                shared.change_rules(|rules| rules.retain_policies(&seen));
                shared.listed(Kind::Policies);
            }
        }
    })
    .await;
}

async fn follow<K>(api: Api<K>, mut apply: impl FnMut(Event<K>))
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let events = watcher(api, watcher::Config::default()).backoff(Retry::default());
    pin_mut!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => apply(event),
            Err(error) => tracing::warn!(%error, "a watch of the pod network broke; trying again"),
        }
    }
}

/// 20 ms, doubling up to 5 s: the server is the same process and soon back.
struct Retry(Duration);

impl Default for Retry {
    fn default() -> Self {
        Self(Duration::from_millis(20))
    }
}

impl Iterator for Retry {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = self.0;
        self.0 = (pause * 2).min(Duration::from_secs(5));
        Some(pause)
    }
}

impl Backoff for Retry {
    fn reset(&mut self) {
        *self = Self::default();
    }
}

fn key(object: &impl Resource) -> Key {
    let meta = object.meta();
    let of = |text: &Option<String>| text.as_deref().unwrap_or_default().into();
    Key { namespace: of(&meta.namespace), name: of(&meta.name) }
}
