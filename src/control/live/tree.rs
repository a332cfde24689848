//! The objects of a binding, with the pods of its workloads.

use std::collections::BTreeMap;

use curtain_platform::types::{AppliedResource, RenderedRelease, TargetPlane};
use kube::{
    Api, Client, ResourceExt as _,
    api::ListParams,
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Ask, Error, Live, Object, bounded, plane_error};

/// Pods of one workload that are shown.
const MOST_PODS: u32 = 100;

/// An object in a plane.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// API group; empty for the core group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Namespace in the plane; empty for cluster-scoped objects.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Uid.
    pub uid: String,
    /// Version of the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<String>,
    /// When it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Value>,
    /// The objects it belongs to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parent_refs: Vec<Parent>,
    /// The object itself, without Secret data.
    pub object: Value,
    /// How it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
}

/// The object that a node belongs to.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct Parent {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    pub version: String,
    pub kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

/// How an object is.
#[derive(Debug, Clone, Serialize)]
pub struct Health {
    /// Unknown, Progressing, Healthy, Suspended or Degraded.
    pub status: String,
    /// Why, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// The nodes of one rendered release and a client of its plane.
pub(super) struct Branch {
    pub(super) release: RenderedRelease,
    pub(super) client: Client,
    pub(super) nodes: Vec<Node>,
}

impl Live {
    /// `{"renderedReleases": [{name, targetPlane, nodes}]}` of the binding `name`.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::NotFound`], [`Error::PlaneUnavailable`].
    pub async fn tree(&self, ask: Ask<'_>, namespace: &str, name: &str) -> Result<Value, Error> {
        let binding = self.binding(ask, namespace, name, None).await?;
        let branches = self.branches(namespace, &binding).await?;
        let shown: Vec<Value> = branches
            .iter()
            .map(|branch| {
                let plane = match branch.release.spec.target_plane {
                    TargetPlane::DataPlane => "dataplane",
                    TargetPlane::ObservabilityPlane => "observabilityplane",
                };
                let name = branch.release.name_any();
                json!({"name": name, "targetPlane": plane, "nodes": branch.nodes})
            })
            .collect();
        Ok(json!({ "renderedReleases": shown }))
    }

    pub(super) async fn branches(
        &self,
        namespace: &str,
        binding: &Object,
    ) -> Result<Vec<Branch>, Error> {
        let mut branches = Vec::new();
        for (release, client) in self.releases(namespace, binding).await? {
            let nodes = bounded(nodes(&release, &client)).await?;
            branches.push(Branch { release, client, nodes });
        }
        Ok(branches)
    }
}

async fn nodes(release: &RenderedRelease, client: &Client) -> Result<Vec<Node>, Error> {
    let mut nodes = Vec::new();
    for applied in release.status.iter().flat_map(|status| &status.resources) {
        let resource = resource(applied);
        let namespace = applied.namespace.as_deref().unwrap_or_default();
        let Some(object) =
            api(client, &resource, namespace).get_opt(&applied.name).await.map_err(plane_error)?
        else {
            continue;
        };
        let health = applied.health_status.clone().map(|status| Health { status, message: None });
        let node = node(&resource, object, Vec::new(), health);
        let below = children(client, &node).await?;
        nodes.push(node);
        nodes.extend(below);
    }
    Ok(nodes)
}

/// Jobs of a CronJob, and the pods of everything that makes pods. What lies in between (ReplicaSets) is skipped.
async fn children(client: &Client, parent: &Node) -> Result<Vec<Node>, Error> {
    let mut found = Vec::new();
    match parent.kind.as_str() {
        "Deployment" | "StatefulSet" | "DaemonSet" | "Job" => {
            let selector: BTreeMap<String, String> =
                serde_json::from_value(parent.object["spec"]["selector"]["matchLabels"].clone())
                    .unwrap_or_default();
            if selector.is_empty() {
                return Ok(found);
            }
            let labels: Vec<String> =
                selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let pods = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Pod"));
            let params = ListParams::default().labels(&labels.join(",")).limit(MOST_PODS);
            let listed = api(client, &pods, &parent.namespace).list(&params).await;
            for pod in listed.map_err(plane_error)?.items {
                let health = pod_health(&pod);
                found.push(node(&pods, pod, vec![as_parent(parent)], Some(health)));
            }
        }
        "CronJob" => {
            let jobs = ApiResource::from_gvk(&GroupVersionKind::gvk("batch", "v1", "Job"));
            let listed = api(client, &jobs, &parent.namespace).list(&ListParams::default()).await;
            for job in listed.map_err(plane_error)?.items {
                if job.owner_references().iter().any(|owner| owner.uid == parent.uid) {
                    let job = node(&jobs, job, vec![as_parent(parent)], None);
                    let pods = Box::pin(children(client, &job)).await?;
                    found.push(job);
                    found.extend(pods);
                }
            }
        }
        _ => {}
    }
    Ok(found)
}

fn as_parent(node: &Node) -> Parent {
    Parent {
        group: node.group.clone(),
        version: node.version.clone(),
        kind: node.kind.clone(),
        namespace: node.namespace.clone(),
        name: node.name.clone(),
        uid: node.uid.clone(),
    }
}

fn resource(applied: &AppliedResource) -> ApiResource {
    let group = applied.group.as_deref().unwrap_or_default();
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, &applied.version, &applied.kind))
}

pub(super) fn api(client: &Client, resource: &ApiResource, namespace: &str) -> Api<DynamicObject> {
    if namespace.is_empty() {
        Api::all_with(client.clone(), resource)
    } else {
        Api::namespaced_with(client.clone(), namespace, resource)
    }
}

fn node(
    resource: &ApiResource,
    mut object: DynamicObject,
    parent_refs: Vec<Parent>,
    health: Option<Health>,
) -> Node {
    object.metadata.managed_fields = None;
    object.types = Some(kube::core::TypeMeta {
        api_version: resource.api_version.clone(),
        kind: resource.kind.clone(),
    });
    if resource.kind == "Secret"
        && let Some(data) = object.data.as_object_mut()
    {
        data.remove("data");
        data.remove("stringData");
    }
    Node {
        group: resource.group.clone(),
        version: resource.version.clone(),
        kind: resource.kind.clone(),
        namespace: object.metadata.namespace.clone().unwrap_or_default(),
        name: object.metadata.name.clone().unwrap_or_default(),
        uid: object.metadata.uid.clone().unwrap_or_default(),
        resource_version: object.metadata.resource_version.clone(),
        created_at: object.metadata.creation_timestamp.as_ref().map(|time| json!(time)),
        parent_refs,
        object: serde_json::to_value(&object).unwrap_or_default(),
        health,
    }
}

/// A pod is well when it is ready or done, and badly when a container keeps failing.
fn pod_health(pod: &DynamicObject) -> Health {
    let status = &pod.data["status"];
    let containers = status["containerStatuses"].as_array().into_iter().flatten();
    let waiting = containers
        .clone()
        .find_map(|container| container["state"]["waiting"]["reason"].as_str())
        .filter(|reason| *reason != "ContainerCreating" && *reason != "PodInitializing");
    // `Error` says no more than that it keeps failing.
    let ended = containers
        .clone()
        .find_map(|container| container["lastState"]["terminated"]["reason"].as_str())
        .filter(|reason| !matches!(*reason, "Error" | "Completed"));
    let anew = ended.map(|ended| format!("started anew after {ended}"));
    let waiting = match (waiting, ended) {
        (Some(waiting), Some(ended)) => Some(format!("{waiting}: {ended}")),
        (waiting, _) => waiting.map(str::to_owned),
    };
    let ready = status["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
    let (word, message) = match (status["phase"].as_str(), waiting) {
        (Some("Failed"), _) => ("Degraded", status["reason"].as_str().map(str::to_owned)),
        (_, Some(reason)) => ("Degraded", Some(reason)),
        (Some("Succeeded"), _) => ("Healthy", None),
        _ if ready => ("Healthy", anew),
        _ => ("Progressing", anew),
    };
    Health { status: word.to_owned(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(status: Value) -> DynamicObject {
        serde_json::from_value(json!({"metadata": {"name": "web-1"}, "status": status}))
            .expect("pod")
    }

    #[test]
    fn a_pods_health_is_what_people_want_to_know() {
        let ready =
            json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
        assert_eq!(pod_health(&pod(ready)).status, "Healthy");
        let crash = json!({"phase": "Running", "containerStatuses": [
            {"state": {"waiting": {"reason": "CrashLoopBackOff"}}}
        ]});
        let health = pod_health(&pod(crash));
        assert_eq!(
            (health.status.as_str(), health.message.as_deref()),
            ("Degraded", Some("CrashLoopBackOff"))
        );
        let full = json!({"phase": "Running", "containerStatuses": [{
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}},
        }]});
        let message = pod_health(&pod(full)).message;
        assert_eq!(message.as_deref(), Some("CrashLoopBackOff: OOMKilled"));
        let starting = json!({"phase": "Pending", "containerStatuses": [
            {"state": {"waiting": {"reason": "ContainerCreating"}}}
        ]});
        assert_eq!(pod_health(&pod(starting)).status, "Progressing");
    }

    #[test]
    fn a_secret_is_shown_without_its_data() {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Secret"));
        let secret = json!({"metadata": {"name": "s"}, "data": {"a": "Yg=="}, "type": "Opaque"});
        let secret = serde_json::from_value(secret).expect("secret");
        let node = node(&resource, secret, Vec::new(), None);
        assert_eq!((node.object.get("data"), &node.object["type"]), (None, &json!("Opaque")));
    }
}
