//! Writing `status.agentConnection` of the plane objects.

use std::sync::Arc;
use std::time::Duration;

use curtain_platform::types::{
    AgentConnection, ClusterDataPlane, ClusterObservabilityPlane, ClusterWorkflowPlane, Kind,
};
use curtain_tunnel::PlaneType;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use tokio::time::timeout;

use super::Hub;
use super::planes::Plane;
use super::table::{ObjectName, Seen};

/// How often the time of the last sign of life is refreshed.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// Write what changed, as it changes, and the heartbeat every minute.
pub(super) async fn write(hub: Arc<Hub>) {
    loop {
        let heartbeat = timeout(HEARTBEAT, hub.changed.notified()).await.is_err();
        for (name, plane) in hub.planes.all() {
            let seen = hub.table.seen(&plane.id, Some(&name));
            let Some(now) = connection(plane.told.as_ref(), &seen, heartbeat) else { continue };
            match patch(&hub, &name, &plane, &now).await {
                Ok(()) => hub.planes.tell(plane.id.kind, &name, now),
                Err(error) => {
                    tracing::warn!(plane = %plane.id, %error, "cannot write the status of a plane");
                }
            }
        }
    }
}

/// What the status should tell, or `None` when it already does.
fn connection(
    told: Option<&AgentConnection>,
    seen: &Seen,
    heartbeat: bool,
) -> Option<AgentConnection> {
    let connected = seen.agents > 0;
    let agents = i64::try_from(seen.agents).unwrap_or(i64::MAX);
    let same =
        told.is_some_and(|told| told.connected == connected && told.connected_agents == agents);
    if same && !(heartbeat && connected) {
        return None;
    }
    let mut now = told.cloned().unwrap_or_default();
    if connected && !now.connected {
        now.last_connected_time = Some(Time(Timestamp::now()));
    }
    if !connected && now.connected {
        now.last_disconnected_time = Some(Time(Timestamp::now()));
    }
    now.connected = connected;
    now.connected_agents = agents;
    now.last_heartbeat_time = seen.last.map(Time).or(now.last_heartbeat_time);
    now.message = Some(match seen.agents {
        0 => "No agent is connected".to_owned(),
        1 => "1 agent is connected".to_owned(),
        agents => format!("{agents} agents are connected"),
    });
    Some(now)
}

async fn patch(
    hub: &Hub,
    name: &ObjectName,
    plane: &Plane,
    now: &AgentConnection,
) -> Result<(), kube::Error> {
    let patch = Patch::Merge(json!({ "status": { "agentConnection": now } }));
    match plane.id.kind {
        PlaneType::Data => patch_as::<ClusterDataPlane>(hub, name, &patch).await,
        PlaneType::Workflow => patch_as::<ClusterWorkflowPlane>(hub, name, &patch).await,
        PlaneType::Observability => patch_as::<ClusterObservabilityPlane>(hub, name, &patch).await,
    }
}

async fn patch_as<K: Kind>(
    hub: &Hub,
    name: &ObjectName,
    patch: &Patch<serde_json::Value>,
) -> Result<(), kube::Error> {
    let objects = Api::<K>::all(hub.kube.clone());
    match objects.patch_status(&name.name, &PatchParams::default(), patch).await {
        Ok(_) => Ok(()),
        // Deleted meanwhile: nobody is left to tell.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(agents: usize) -> Seen {
        Seen { agents, last: Some(Timestamp::UNIX_EPOCH) }
    }

    #[test]
    fn only_a_change_or_a_heartbeat_is_written() {
        let up = connection(None, &seen(1), false).unwrap();
        assert!(up.connected && up.last_connected_time.is_some());
        assert_eq!(connection(Some(&up), &seen(1), false), None);
        let beat = connection(Some(&up), &seen(1), true).unwrap();
        assert_eq!(beat.last_connected_time, up.last_connected_time);

        let down = connection(Some(&up), &seen(0), false).unwrap();
        assert!(!down.connected && down.last_disconnected_time.is_some());
        assert_eq!(down.last_connected_time, up.last_connected_time);
        assert_eq!(connection(Some(&down), &seen(0), true), None, "nobody is heard");
    }
}
