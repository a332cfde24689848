//! The plane objects: who may stand for which plane.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use curtain_platform::types::{
    AgentConnection, ClusterAgent, ClusterDataPlane, ClusterObservabilityPlane,
    ClusterWorkflowPlane, Kind, PlaneStatus, ValueFrom,
};
use curtain_role::{Backoff, Check};
use curtain_tunnel::{PlaneId, PlaneType};
use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt};
use rustls_pki_types::CertificateDer;

use super::Hub;
use super::table::ObjectName;
use super::trust;

/// What the hub has to know of a plane object.
#[derive(Debug, Clone)]
pub(super) struct Plane {
    pub(super) id: PlaneId,
    ca: ValueFrom,
    /// The connection as the object's status tells it.
    pub(super) told: Option<AgentConnection>,
}

/// All plane objects.
#[derive(Default)]
pub(super) struct Planes(RwLock<HashMap<(PlaneType, ObjectName), Plane>>);

impl Planes {
    pub(super) fn all(&self) -> Vec<(ObjectName, Plane)> {
        let planes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        planes.iter().map(|((_, name), plane)| (name.clone(), plane.clone())).collect()
    }

    fn put(&self, name: ObjectName, plane: Plane) {
        let mut planes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        planes.insert((plane.id.kind, name), plane);
    }

    /// Remember what was written to an object's status, ahead of the watch.
    pub(super) fn tell(&self, kind: PlaneType, name: &ObjectName, told: AgentConnection) {
        let mut planes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(plane) = planes.get_mut(&(kind, name.clone())) {
            plane.told = Some(told);
        }
    }

    fn retain(&self, kind: PlaneType, keep: impl Fn(&ObjectName) -> bool) {
        let mut planes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        planes.retain(|(of_kind, name), _| *of_kind != kind || keep(name));
    }
}

/// The objects of `plane` for which an agent with this certificate may stand,
/// or why for none.
///
/// # Errors
/// One line for the agent's log.
pub(super) async fn trusted(
    hub: &Hub,
    plane: &PlaneId,
    chain: &[CertificateDer<'static>],
) -> Result<Vec<ObjectName>, String> {
    let mut trusted = Vec::new();
    let mut reason = format!("there is no plane {plane} yet");
    for (name, object) in hub.planes.all() {
        if object.id != *plane {
            continue;
        }
        let checked = match client_ca(&hub.kube, &object.ca).await {
            Ok(pem) => trust::is_signed_by(&name.name, &pem, chain),
            Err(error) => Err(error),
        };
        match checked {
            Ok(()) => trusted.push(name),
            Err(error) => {
                reason = format!("the clientCA of {} does not accept it: {error}", name.name)
            }
        }
    }
    if trusted.is_empty() { Err(reason) } else { Ok(trusted) }
}

async fn client_ca(client: &Client, ca: &ValueFrom) -> Result<Vec<u8>, String> {
    if let Some(value) = ca.value.as_ref().filter(|value| !value.is_empty()) {
        return Ok(value.clone().into_bytes());
    }
    let from = ca.secret_key_ref.as_ref().ok_or("it has neither value nor secretKeyRef")?;
    let namespace = from.namespace.as_deref().unwrap_or(client.default_namespace());
    let secrets = Api::<Secret>::namespaced(client.clone(), namespace);
    let secret = secrets.get(&from.name).await;
    let secret = secret.map_err(|error| format!("cannot read Secret {}: {error}", from.name))?;
    let value = secret.data.and_then(|mut data| data.remove(&from.key));
    value
        .map(|value| value.0)
        .ok_or_else(|| format!("Secret {} has no key {}", from.name, from.key))
}

/// Ask again whom each connection stands for, after `plane` (or any) changed.
pub(super) async fn recheck(hub: &Hub, plane: Option<&PlaneId>) {
    // One at a time: an answer to an older question must not overwrite one to a newer.
    let _turn = hub.rechecking.lock().await;
    for connection in hub.table.of(plane) {
        let objects = trusted(hub, &connection.plane, &connection.chain).await;
        connection.allow(objects.unwrap_or_default());
    }
    hub.changed.notify_one();
}

/// Follow the plane objects. `ready` passes when each kind has been listed.
pub(super) async fn watch(hub: Arc<Hub>, ready: Check) {
    let listed = tokio::sync::Semaphore::new(0);
    let all_listed = async {
        // Three kinds, one permit each; the semaphore is never closed.
        if listed.acquire_many(3).await.is_ok() {
            ready.pass();
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = follow::<ClusterDataPlane>(&hub, &listed, PlaneType::Data, |plane| {
            read(&plane.spec.plane_id, &plane.spec.cluster_agent, plane.status.as_ref())
        }) => {}
        () = follow::<ClusterWorkflowPlane>(&hub, &listed, PlaneType::Workflow, |plane| {
            read(&plane.spec.plane_id, &plane.spec.cluster_agent, plane.status.as_ref())
        }) => {}
        () = follow::<ClusterObservabilityPlane>(&hub, &listed, PlaneType::Observability, |plane| {
            read(&plane.spec.plane_id, &plane.spec.cluster_agent, plane.status.as_ref())
        }) => {}
        () = all_listed => {}
    }
}

/// The parts of an object that matter: id, CA, and what its status tells.
type Parts = (String, ValueFrom, Option<AgentConnection>);

fn read(id: &str, agent: &ClusterAgent, status: Option<&PlaneStatus>) -> Parts {
    let told = status.and_then(|status| status.agent_connection.clone());
    (id.to_owned(), agent.client_ca.clone(), told)
}

async fn follow<K: Kind>(
    hub: &Hub,
    listed: &tokio::sync::Semaphore,
    kind: PlaneType,
    read: impl Fn(&K) -> Parts,
) {
    let events = watcher(Api::<K>::all(hub.kube.clone()), watcher::Config::default());
    let events = events.backoff(Backoff::default());
    pin_mut!(events);
    let mut seen = HashSet::new();
    let mut first = true;
    while let Some(event) = events.next().await {
        let name =
            |object: &K| ObjectName { namespace: object.namespace(), name: object.name_any() };
        let put = |object: &K| {
            let (id, ca, told) = read(object);
            hub.planes.put(name(object), Plane { id: PlaneId { kind, id }, ca, told });
        };
        match event {
            Ok(Event::Init) => seen.clear(),
            Ok(Event::InitApply(object)) => {
                put(&object);
                seen.insert(name(&object));
            }
            Ok(Event::InitDone) => {
                hub.planes.retain(kind, |name| seen.contains(name));
                if std::mem::take(&mut first) {
                    listed.add_permits(1);
                }
                recheck(hub, None).await;
            }
            Ok(Event::Apply(object)) => {
                put(&object);
                // All of them: the object may have stood for another plane before.
                recheck(hub, None).await;
            }
            Ok(Event::Delete(object)) => {
                let gone = name(&object);
                hub.planes.retain(kind, |name| *name != gone);
                recheck(hub, None).await;
            }
            Err(error) => {
                tracing::warn!(%kind, %error, "the watch of plane objects broke; trying again")
            }
        }
    }
}
