//! The objects that every cluster has, and the chores that no client does: aggregated roles, old events, and the
//! objects of definitions that are being deleted.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::try_join_all;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use super::auth::rbac::{self, Rule};
use super::auth::{User, bootstrap};
use super::kinds::{CLEANUP, DEFINITIONS, ValueExt, announce_cleanup, system_classes};
use super::store::{Key, Object};
use super::{Api, ApiError, ServerConfig, route};
use crate::volume::PROVISIONER;

const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// The server itself.
pub(super) fn user() -> User {
    User::new("system:apiserver", ["system:masters"])
}

/// One request of the server to itself.
async fn call(api: &Arc<Api>, method: &str, path: String, body: &Value) -> Result<Value, ApiError> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(
            "content-type",
            if method == "PATCH" { "application/merge-patch+json" } else { "application/json" },
        )
        .header("user-agent", "kube-apiserver")
        .body(Full::new(Bytes::from(body.to_string())))
        .map_err(ApiError::internal)?;
    // Boxed: handlers may end up here again.
    let reply = Box::pin(route::answer(api.clone(), Some(user()), request)).await;
    let code = reply.status().as_u16();
    let body = reply.into_body().collect().await.map_err(ApiError::internal)?.to_bytes();
    let answer: Value = serde_json::from_slice(&body).map_err(ApiError::internal)?;
    if code < 300 {
        return Ok(answer);
    }
    let reason = if code == 409 { "Conflict" } else { "InternalError" };
    Err(ApiError::plain(code, reason, answer.text(&["message"])))
}

fn path(object: &Value, plural: &str) -> String {
    let prefix = match object.text(&["apiVersion"]).split_once('/') {
        Some((group, version)) => format!("/apis/{group}/{version}"),
        None => format!("/api/{}", object.text(&["apiVersion"])),
    };
    match object.text(&["metadata", "namespace"]) {
        "" => format!("{prefix}/{plural}"),
        namespace => format!("{prefix}/namespaces/{namespace}/{plural}"),
    }
}

/// Creates the object if it is not there; brings `fields` up to date if they differ.
async fn ensure(
    api: &Arc<Api>,
    plural: &str,
    object: Value,
    fields: &[&str],
) -> Result<(), ApiError> {
    let group = object.text(&["apiVersion"]).split_once('/').map_or("", |(group, _)| group);
    let table = format!("{group}/{plural}").into();
    let name = object.text(&["metadata", "name"]).to_owned();
    let key = Key::new(object.text(&["metadata", "namespace"]), &name);
    match api.store.latest(&table, &key) {
        None => call(api, "POST", path(&object, plural), &object).await.map(drop),
        Some(live) => {
            let live = live.value();
            let mut patch = json!({});
            for field in fields.iter().filter(|field| live.get(**field) != object.get(**field)) {
                patch[*field] = object[*field].clone();
            }
            if patch == json!({}) {
                return Ok(());
            }
            call(api, "PATCH", format!("{}/{name}", path(&object, plural)), &patch).await.map(drop)
        }
    }
}

/// Makes what is missing, all of it in one commit.
pub(super) async fn run(api: &Arc<Api>, config: &ServerConfig) -> Result<(), ApiError> {
    let namespace =
        |name: &&str| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let namespaces = NAMESPACES.iter().map(|name| ensure(api, "namespaces", namespace(name), &[]));
    let roles = aggregated(bootstrap::roles()).into_iter().map(|role| {
        let fields: &[&str] =
            if role.get("aggregationRule").is_some() { &["aggregationRule"] } else { &["rules"] };
        ensure(api, "clusterroles", role, fields)
    });
    let bindings = bootstrap::bindings()
        .into_iter()
        .map(|b| ensure(api, "clusterrolebindings", b, &["subjects"]));
    let classes = system_classes().map(|class| ensure(api, "priorityclasses", class, &[]));
    let accounts = NAMESPACES.iter().map(|ns| {
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": ns}});
        ensure(api, "serviceaccounts", account, &[])
    });
    let class = ensure(api, "storageclasses", standard_class(), &[]);
    let ca = String::from_utf8_lossy(&config.ca).into_owned();
    let roots = NAMESPACES.iter().map(|ns| {
        let root = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"ca.crt": ca},
            "metadata": {"name": "kube-root-ca.crt", "namespace": ns}});
        ensure(api, "configmaps", root, &["data"])
    });
    // Each gets as far as its write when it is first polled, namespaces before what is in them; then all are
    // committed together.
    let held = api.store.hold();
    let all = async {
        futures::try_join!(
            try_join_all(namespaces),
            try_join_all(roles),
            try_join_all(bindings),
            try_join_all(classes),
            try_join_all(accounts),
            try_join_all(roots),
            class,
            kubernetes_service(api, config),
        )
    };
    let (made, ()) = futures::future::join(all, async { drop(held) }).await;
    made?;
    // Of roles that were there before.
    aggregate(api).await
}

/// The class of claims that name none: directories of the node.
fn standard_class() -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
        "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": true,
    })
}

/// The roles with the rules that aggregation will find.
fn aggregated(mut roles: Vec<Value>) -> Vec<Value> {
    let object = |role: &Value| {
        Arc::new(Object::new(0, Key::new("", role.text(&["metadata", "name"])), role))
    };
    let mut all: Vec<_> = roles.iter().map(object).collect();
    all.sort_by(|a, b| a.key.cmp(&b.key));
    for role in roles.iter_mut().filter(|role| role.get("aggregationRule").is_some()) {
        let rules = rbac::cluster_rules(role.text(&["metadata", "name"]), &all);
        role["rules"] = rules.iter().map(Rule::document).collect();
    }
    roles
}

/// Service, Endpoints and EndpointSlice through which pods reach this server.
async fn kubernetes_service(api: &Arc<Api>, config: &ServerConfig) -> Result<(), ApiError> {
    let metadata =
        |labels: Value| json!({"name": "kubernetes", "namespace": "default", "labels": labels});
    let ip = std::net::Ipv4Addr::from(u32::from(config.service_cidr.0) + 1).to_string();
    let (address, port) = (config.advertise.ip().to_string(), config.advertise.port());
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": metadata(json!({"component": "apiserver", "provider": "kubernetes"})),
        "spec": {"clusterIP": ip, "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}]},
    });
    let endpoints = json!({
        "apiVersion": "v1", "kind": "Endpoints",
        "metadata": metadata(json!({"endpointslice.kubernetes.io/skip-mirror": "true"})),
        "subsets": [{"addresses": [{"ip": address}], "ports": [{"name": "https", "port": port, "protocol": "TCP"}]}],
    });
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": metadata(json!({"kubernetes.io/service-name": "kubernetes"})),
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": true}}],
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    });
    futures::try_join!(
        ensure(api, "services", service, &[]),
        ensure(api, "endpoints", endpoints, &["subsets"]),
        ensure(api, "endpointslices", slice, &["endpoints", "ports"]),
    )
    .map(drop)
}

/// Writes the rules of aggregated ClusterRoles. Decisions do not wait for this: they aggregate themselves.
async fn aggregate(api: &Arc<Api>) -> Result<(), ApiError> {
    let [_, table, _, _] = api.rbac.tables();
    for object in api.store.list(table, None).objects {
        if !object.mentions("aggregationRule") {
            continue;
        }
        let role = object.value();
        if role.at(&["aggregationRule"]).is_none() {
            continue;
        }
        let rules = api.rbac.rules_of(api, "ClusterRole", "", &object.key.name).unwrap_or_default();
        if rules != Rule::list(&role) {
            let patch = json!({"rules": rules.iter().map(Rule::document).collect::<Vec<_>>()});
            call(
                api,
                "PATCH",
                format!("{}/{}", path(&role, "clusterroles"), object.key.name),
                &patch,
            )
            .await?;
        }
    }
    Ok(())
}

/// Runs until the server stops.
pub(super) async fn keep_aggregated_roles(api: Arc<Api>) {
    let mut wake = api.store.wake(&api.rbac.tables()[1]);
    loop {
        tokio::select! {
            () = api.stopping.cancelled() => return,
            changed = wake.changed() => if changed.is_err() { return },
        }
        if let Err(error) = aggregate(&api).await {
            tracing::warn!(%error, "updating an aggregated ClusterRole failed; the next change of a role tries again");
        }
    }
}

/// Deletes the objects of definitions that are being deleted, then lets the definitions go. Runs until the server
/// stops.
pub(super) async fn clean_up_definitions(api: Arc<Api>) {
    let table = DEFINITIONS.into();
    let mut wake = api.store.wake(&table);
    loop {
        let mut waiting = false;
        for definition in api.store.list(&table, None).objects {
            if definition.field(&["metadata", "deletionTimestamp"]).is_empty() {
                continue;
            }
            match clean_up(&api, &definition).await {
                Ok(done) => waiting |= !done,
                Err(error) => {
                    waiting = true;
                    tracing::warn!(%error, definition = %definition.key.name, "cleaning up a definition failed; trying again");
                }
            }
        }
        let pause = std::time::Duration::from_millis(if waiting { 100 } else { 3_600_000 });
        tokio::select! {
            () = api.stopping.cancelled() => return,
            changed = wake.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// `true` when nothing of the definition is left.
async fn clean_up(api: &Arc<Api>, definition: &Object) -> Result<bool, ApiError> {
    let mut document = definition.value();
    let itself =
        format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{}", definition.key.name);
    let finalizers = document.list(&["metadata", "finalizers"]);
    let others: Vec<Value> = finalizers.iter().filter(|f| *f != CLEANUP).cloned().collect();
    if others.len() == finalizers.len() {
        return Ok(true);
    }
    if announce_cleanup(&mut document) {
        let patch = json!({"metadata": {"resourceVersion": definition.rv.to_string()},
            "status": {"conditions": document["status"]["conditions"]}});
        call(api, "PATCH", format!("{itself}/status"), &patch).await?;
    }
    let (group, plural) =
        (document.text(&["spec", "group"]), document.text(&["spec", "names", "plural"]));
    let table = format!("{group}/{plural}").into();
    let version = api.catalog().any_version(group, plural).map(|resource| resource.version.clone());
    if let Some(version) = version {
        for object in api.store.list(&table, None).objects {
            let namespace = &object.key.namespace;
            let scope = if namespace.is_empty() {
                String::new()
            } else {
                format!("/namespaces/{namespace}")
            };
            let path = format!("/apis/{group}/{version}{scope}/{plural}/{}", object.key.name);
            match call(api, "DELETE", path, &json!({})).await {
                Err(error) if error.code != 404 => return Err(error),
                _ => {}
            }
        }
    }
    if api.store.count(&table) > 0 {
        return Ok(false);
    }
    let patch = json!({"metadata": {"finalizers": others}});
    call(api, "PATCH", itself, &patch).await.map(|_| true)
}

/// How long events are kept, and how often is looked.
const EVENT_LIFE: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);
const EVENT_SWEEP: std::time::Duration = std::time::Duration::from_secs(300);

/// Deletes events whose time is over. Runs until the server stops.
pub(super) async fn expire_events(api: Arc<Api>) {
    loop {
        tokio::select! {
            () = api.stopping.cancelled() => return,
            () = tokio::time::sleep(EVENT_SWEEP) => {}
        }
        let now = jiff::Timestamp::now();
        for event in api.store.list(&"/events".into(), None).objects {
            let last = [
                &["series", "lastObservedTime"][..],
                &["lastTimestamp"],
                &["metadata", "creationTimestamp"],
            ]
            .iter()
            .find_map(|path| event.field(path).parse::<jiff::Timestamp>().ok());
            if last.is_some_and(|last| now.duration_since(last) < EVENT_LIFE) {
                continue;
            }
            let path =
                format!("/api/v1/namespaces/{}/events/{}", event.key.namespace, event.key.name);
            match call(&api, "DELETE", path, &json!({})).await {
                Err(error) if error.code != 404 => {
                    tracing::warn!(%error, "deleting an old event failed; the next sweep tries again");
                    break;
                }
                _ => {}
            }
        }
    }
}
