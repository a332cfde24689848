//! Planes: known as soon as they are there. Whether their agents are connected is written by the cluster gateway, which
//! holds the connections.

use super::context::{Context, Error, Followed, now};
use super::queue::Outcome;
use super::rendered::{Gvk, plane_ref};
use super::store::{Key, What};
use crate::types::{
    ClusterComponentType, ClusterDataPlane, ClusterObservabilityPlane, ClusterWorkflowPlane,
    Conditions, PlaneStatus,
};
use futures::future::join_all;
use std::collections::BTreeSet;

/// One pass over a data plane.
pub(super) async fn data(ctx: &Context, key: &Key) -> Result<Outcome, Error> {
    let names = Names {
        finalizer: "openchoreo.dev/clusterdataplane-cleanup",
        created: "ClusterDataPlaneCreated",
        finalizing: "ClusterDataplaneFinalizing",
    };
    let outcome = reconcile::<ClusterDataPlane>(ctx, key, &names).await?;
    warm_up(ctx, key).await;
    Ok(outcome)
}

/// Starts following the kinds that the installed component types render, so that the first component need not wait for
/// that. What fails here is tried again when it is needed.
async fn warm_up(ctx: &Context, key: &Key) {
    let Some(plane) = ctx.get(What::ClusterDataPlane, "", &key.name).filter(|p| !p.deleting())
    else {
        return;
    };
    let Some(reference) = plane_ref(What::ClusterDataPlane, &plane) else { return };
    let Ok(remote) = ctx.remotes.open(&reference) else { return };
    remote.retry();
    let kinds: BTreeSet<Gvk> = ctx.read(|store| {
        let types = store
            .all(What::ClusterComponentType)
            .filter_map(|t| t.spec::<ClusterComponentType>().ok());
        types.flat_map(|t| t.resources).filter_map(|r| Gvk::of(&r.template)).collect()
    });
    let core = [("", "v1", "Namespace"), ("networking.k8s.io", "v1", "NetworkPolicy")];
    let core = core.map(|(group, version, kind)| Gvk {
        group: group.into(),
        version: version.into(),
        kind: kind.into(),
    });
    let kinds: Vec<Gvk> = kinds.into_iter().chain(core).collect();
    for followed in join_all(kinds.iter().map(|gvk| remote.follow(gvk))).await {
        if let Err(error) = followed {
            tracing::debug!(%error, "not following a kind yet");
        }
    }
}

/// One pass over a workflow plane.
pub(super) async fn workflow(ctx: &Context, key: &Key) -> Result<Outcome, Error> {
    let names = Names {
        finalizer: "openchoreo.dev/clusterworkflowplane-cleanup",
        created: "ClusterWorkflowPlaneCreated",
        finalizing: "ClusterWorkflowPlaneFinalizing",
    };
    reconcile::<ClusterWorkflowPlane>(ctx, key, &names).await
}

/// One pass over an observability plane.
pub(super) async fn observability(ctx: &Context, key: &Key) -> Result<Outcome, Error> {
    let names = Names {
        finalizer: "openchoreo.dev/clusterobservabilityplane-cleanup",
        created: "ClusterObservabilityPlaneCreated",
        finalizing: "ClusterObservabilityPlaneFinalizing",
    };
    reconcile::<ClusterObservabilityPlane>(ctx, key, &names).await
}

struct Names {
    finalizer: &'static str,
    created: &'static str,
    finalizing: &'static str,
}

async fn reconcile<K>(ctx: &Context, key: &Key, names: &Names) -> Result<Outcome, Error>
where
    K: Followed<Status = PlaneStatus>,
{
    let Some(plane) = ctx.get(K::WHAT, "", &key.name) else { return Ok(Outcome::Settled) };
    let reference = plane_ref(K::WHAT, &plane);
    let generation = plane.meta.generation;
    if plane.deleting() {
        let mut status = plane.status::<K>()?;
        let message = "The plane is being removed";
        status.conditions.set_condition(
            "Finalizing",
            true.into(),
            names.finalizing,
            message,
            generation,
            &now(),
        );
        ctx.write_status::<K>(&plane, &status).await?;
        if let Some(reference) = &reference {
            ctx.remotes.forget(reference);
        }
        if let Some(current) = ctx.get(K::WHAT, "", &key.name) {
            ctx.drop_finalizer::<K>(&current, names.finalizer).await?;
        }
        return Ok(Outcome::Settled);
    }
    ctx.add_finalizer::<K>(&plane, names.finalizer).await?;
    let mut status = plane.status::<K>()?;
    status.observed_generation = generation;
    status.conditions.set_condition(
        "Created",
        true.into(),
        names.created,
        "The plane is known",
        generation,
        &now(),
    );
    ctx.write_status::<K>(&plane, &status).await?;
    Ok(Outcome::Settled)
}
