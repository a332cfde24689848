//! The node's own object and its lease.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, NodeCondition};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::context::Context;
use super::storage::{EPHEMERAL_STORAGE, Room};
use crate::ClusterConfig;
use crate::node::machine::Machine;

const LEASE_SECONDS: u64 = 40;
const RENEW: Duration = Duration::from_secs(10);
/// Renewals between two full reports of the node's status.
const REPORT_EVERY: u64 = 30;
const AGAIN: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(5)];
/// Pods are bounded by addresses and memory; this is what is told to schedulers.
const PODS: u64 = 500;
/// What a node without control groups says of itself.
const NO_GROUPS: &str = "there are no control groups that this node may use: limits of pods have no effect, and what \
                         they use is not measured";

/// Registers the node and keeps its lease, for ever.
pub(super) async fn keep(ctx: std::sync::Arc<Context>) {
    let mut pause = AGAIN[0];
    while let Err(error) = register(&ctx).await {
        tracing::warn!(%error, "the node was not registered");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(AGAIN[1]);
    }
    let (mut beat, mut news) = (0_u64, false);
    loop {
        if let Err(error) = renew(&ctx).await {
            tracing::warn!(%error, "the node's lease was not renewed");
        }
        tokio::select! {
            () = tokio::time::sleep(RENEW) => beat += 1,
            () = ctx.storage.news.notified() => news = true,
        }
        if news || beat.is_multiple_of(REPORT_EVERY) {
            let told = register(&ctx).await;
            // What is new is told until somebody hears it.
            news = told.is_err();
            if let Err(error) = told {
                tracing::warn!(%error, "the node's status was not written");
            }
        }
    }
}

async fn register(ctx: &Context) -> kube::Result<()> {
    let api: Api<Node> = Api::all(ctx.client.clone());
    let name = ctx.config.node_name();
    let known = match api.get_opt(&name).await? {
        Some(node) => node,
        None => {
            let object =
                serde_json::from_value(object(&ctx.config)).map_err(kube::Error::SerdeError)?;
            api.create(&PostParams::default(), &object).await?
        }
    };
    let before = known.status.and_then(|status| status.conditions).unwrap_or_default();
    let status = status(ctx, &before);
    let patch = Patch::Strategic(json!({"status": status}));
    api.patch_status(&name, &PatchParams::default(), &patch).await?;
    Ok(())
}

fn object(config: &ClusterConfig) -> Value {
    let name = config.node_name();
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": architecture(),
            "beta.kubernetes.io/os": "linux",
            "beta.kubernetes.io/arch": architecture(),
            "node-role.kubernetes.io/control-plane": "",
        }},
        "spec": {"podCIDR": config.pod_cidr.to_string(), "podCIDRs": [config.pod_cidr.to_string()]},
    })
}

fn status(ctx: &Context, before: &[NodeCondition]) -> Value {
    let name = ctx.config.node_name();
    let Machine { cpus, memory, os, .. } = &ctx.machine;
    let mut capacity = json!({
        "cpu": cpus.to_string(),
        "memory": format!("{}Ki", memory / 1024),
        "pods": PODS.to_string(),
    });
    let mut allocatable = capacity.clone();
    if let Some(room) = Room::of(&ctx.config.home) {
        capacity[EPHEMERAL_STORAGE] = format!("{}Ki", room.bytes.capacity / 1024).into();
        allocatable[EPHEMERAL_STORAGE] = room.allocatable().to_string().into();
    }
    let time = |at: Timestamp| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let now = Timestamp::now();
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        let known = before.iter().find(|one| one.type_ == kind && one.status == status);
        let since = known.and_then(|one| one.last_transition_time.as_ref()).map_or(now, |at| at.0);
        json!({"type": kind, "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": time(now), "lastTransitionTime": time(since)})
    };
    let disk = match ctx.storage.is_under_pressure() {
        true => ("True", "KubeletHasDiskPressure", "the node is short of disk space"),
        false => ("False", "KubeletHasNoDiskPressure", "the node has disk space"),
    };
    let mut conditions = vec![
        condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "the node has memory"),
        condition("DiskPressure", disk.0, disk.1, disk.2),
        condition("PIDPressure", "False", "KubeletHasSufficientPID", "the node has process ids"),
        condition("Ready", "True", "KubeletReady", "the node runs pods"),
    ];
    if ctx.groups.is_none() {
        conditions.push(condition("LimitsUnenforced", "True", "NoControlGroups", NO_GROUPS));
    }
    json!({
        "capacity": capacity,
        "allocatable": allocatable,
        "addresses": [
            {"type": "InternalIP", "address": ctx.host_ip.to_string()},
            {"type": "Hostname", "address": name},
        ],
        "conditions": conditions,
        "nodeInfo": {
            "architecture": architecture(),
            "operatingSystem": "linux",
            "kernelVersion": first_line("/proc/sys/kernel/osrelease"),
            "osImage": os,
            "bootID": first_line("/proc/sys/kernel/random/boot_id"),
            "machineID": first_line("/etc/machine-id"),
            "systemUUID": "",
            "containerRuntimeVersion": format!("curtain://{}", env!("CARGO_PKG_VERSION")),
            "kubeletVersion": format!("v{}+curtain", env!("CARGO_PKG_VERSION")),
            "kubeProxyVersion": "",
        },
    })
}

async fn renew(ctx: &Context) -> kube::Result<()> {
    let api: Api<Lease> = Api::namespaced(ctx.client.clone(), "kube-node-lease");
    let name = ctx.config.node_name();
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
    let spec =
        json!({"holderIdentity": name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": now});
    let patch = Patch::Merge(json!({"spec": spec}));
    match api.patch(&name, &PatchParams::default(), &patch).await {
        Err(kube::Error::Api(error)) if error.code == 404 => {
            let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": {"name": name}, "spec": spec});
            let lease = serde_json::from_value(lease).map_err(kube::Error::SerdeError)?;
            api.create(&PostParams::default(), &lease).await.map(|_| ())
        }
        result => result.map(|_| ()),
    }
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn first_line(path: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}
