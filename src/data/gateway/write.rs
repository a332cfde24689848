//! Writing statuses.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject};
use kube::{Client, Error};
use serde_json::{Value, json};

use super::types::{GatewayStatus, RouteParentStatus, resource};
use super::world::Key;

/// A status that shall change.
#[derive(Debug)]
pub(super) enum Change {
    Class {
        name: String,
        conditions: Vec<Condition>,
    },
    Gateway {
        key: Key,
        status: GatewayStatus,
    },
    /// `version` guards what other controllers write to the same list.
    Route {
        key: Key,
        version: Option<String>,
        parents: Vec<RouteParentStatus>,
    },
}

/// Write one; false when it has to be tried again. A conflict means that the
/// object has changed, so that its status will be looked at anyway.
pub(super) async fn write(kube: &Client, change: &Change) -> bool {
    let (what, namespace, name, body) = match change {
        Change::Class { name, conditions } => {
            let body = json!({ "status": { "conditions": conditions } });
            (resource("v1", "GatewayClass", "gatewayclasses"), None, name.as_str(), body)
        }
        Change::Gateway { key, status } => {
            let body = json!({ "status": status });
            let what = resource("v1", "Gateway", "gateways");
            (what, Some(&*key.namespace), &*key.name, body)
        }
        Change::Route { key, version, parents } => {
            let metadata = json!({ "resourceVersion": version });
            let body = json!({ "metadata": metadata, "status": { "parents": parents } });
            let what = resource("v1", "HTTPRoute", "httproutes");
            (what, Some(&*key.namespace), &*key.name, body)
        }
    };
    match patch(kube, &what, namespace, name, &body).await {
        Ok(()) => true,
        Err(Error::Api(status)) if [404, 409].contains(&status.code) => true,
        Err(error) => {
            tracing::warn!(kind = what.kind, name, %error, "cannot write a status");
            false
        }
    }
}

async fn patch(
    kube: &Client,
    what: &ApiResource,
    namespace: Option<&str>,
    name: &str,
    body: &Value,
) -> Result<(), Error> {
    let objects: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(kube.clone(), namespace, what),
        None => Api::all_with(kube.clone(), what),
    };
    objects.patch_status(name, &PatchParams::default(), &Patch::Merge(body)).await.map(drop)
}
