//! Rendered releases: apply the manifests to their plane, prune what is no longer among them, report how the live objects
//! are, and take everything back on deletion.
//!
//! The live objects are followed by a watch per kind, so a change in the plane is seen when it happens. Every object is
//! noted in `status.resources` when it is applied, not after: whatever happens then, its kind is known when it has to be
//! pruned.

mod apply;
mod deletion;
mod gvk;
mod health;
mod plane;
mod pods;
mod remote;
mod report;
mod write;

use super::context::{Context, Error, now};
use super::queue::Outcome;
use super::store::{Entry, Key, What};
use super::watch::Object;
use crate::types::{
    Conditions, RenderedRelease, RenderedReleaseSpec, RenderedReleaseStatus, TargetPlane, labels,
};
use futures::future::join_all;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

pub(crate) use gvk::Gvk;
pub(crate) use health::{Health, parse as parse_health};
pub(crate) use plane::{Ground, NoPlane, ground, observability, plane_ref};
pub(crate) use pods::PODS_RUNNING;
pub(crate) use remote::{Place, Remote, Remotes};
pub(crate) use write::{Wanted, Written, controlled_by, write};

/// Keep a release until its objects are gone.
const DATA_FINALIZER: &str = "openchoreo.dev/dataplane-cleanup";
const OBSERVABILITY_FINALIZER: &str = "openchoreo.dev/obsplane-cleanup";
/// The finalizer of releases for a plane.
fn finalizer(target: TargetPlane) -> &'static str {
    match target {
        TargetPlane::DataPlane => DATA_FINALIZER,
        TargetPlane::ObservabilityPlane => OBSERVABILITY_FINALIZER,
    }
}

/// Annotation: the plane a release was applied to, so that it can be cleaned up when its environment is gone.
pub(crate) const PLANE: &str = "curtain.dev/plane";
/// How often a release is applied again although nothing is known to have changed.
const INTERVAL: Duration = Duration::from_secs(300);

/// A manifest's identity.
#[derive(Clone, Debug)]
pub(crate) struct Desired {
    pub(crate) id: String,
    pub(crate) place: Place,
}

/// What is known of a release that was applied: enough to report on it without its manifests.
#[derive(Clone, Debug)]
pub(crate) struct Applied {
    /// Generation, restart mark and plane of what was applied.
    version: Version,
    desired: Vec<Desired>,
    /// uid and generation of each live object, as the plane answered.
    live: HashMap<Place, (Box<str>, Option<i64>)>,
    at: Instant,
    interval: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Version {
    generation: Option<i64>,
    restarted_at: Option<String>,
    plane: String,
}

/// The releases that were applied, by uid.
#[derive(Default)]
pub(crate) struct AppliedReleases(Mutex<HashMap<String, Applied>>);

impl AppliedReleases {
    fn get(&self, uid: &str) -> Option<Applied> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(uid).cloned()
    }

    fn set(&self, uid: &str, applied: Option<Applied>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match applied {
            Some(applied) => _ = all.insert(uid.to_owned(), applied),
            None => _ = all.remove(uid),
        }
    }
}

/// One pass over a release.
pub(super) async fn reconcile(ctx: &Context, key: &Key) -> Result<Outcome, Error> {
    let Some(release) = ctx.get(What::RenderedRelease, &key.namespace, &key.name) else {
        return Ok(Outcome::Settled);
    };
    if release.deleting() {
        return deletion::finalize(ctx, &release).await;
    }
    let known = ctx.applied.get(release.uid());
    let applied = match known {
        Some(applied) if is_current(ctx, &release, &applied) => applied,
        _ => match bring_up(ctx, &release).await? {
            Some(applied) => applied,
            None => return Ok(Outcome::Settled),
        },
    };
    let plane = crate::remote::PlaneRef::parse(&applied.version.plane);
    let Some(plane) = plane else { return Ok(Outcome::Settled) };
    let remote = ctx.remotes.open(&plane)?;
    remote.follow_pods();
    prune(&remote, &release, &applied).await?;
    if let Some(current) = ctx.get(What::RenderedRelease, &key.namespace, &key.name) {
        let mut status = current.status::<RenderedRelease>()?;
        status.resources =
            report::resources(&remote, release.uid(), &applied.desired, &status.resources);
        let message = format!("Applied {} objects", applied.desired.len());
        let generation = applied.version.generation;
        status.conditions.set_condition(
            "ResourcesApplied",
            true.into(),
            "ApplySucceeded",
            &message,
            generation,
            &now(),
        );
        match remote.trouble(key) {
            Some(pods::Trouble { reason, message }) => {
                let now = now();
                let conditions = &mut status.conditions;
                let no = false.into();
                conditions.set_condition(PODS_RUNNING, no, &reason, &message, generation, &now);
            }
            None => _ = status.conditions.clear_condition(PODS_RUNNING),
        }
        ctx.write_status::<RenderedRelease>(&current, &status).await?;
    }
    Ok(match applied.interval {
        Some(interval) => Outcome::Again(interval.saturating_sub(applied.at.elapsed())),
        None => Outcome::Settled,
    })
}

/// Whether what was applied is still what is wanted, and still there as it was.
fn is_current(ctx: &Context, release: &Entry, applied: &Applied) -> bool {
    let restarted_at = release.annotation(labels::RESTARTED_AT);
    let target =
        match release.meta.finalizers.iter().flatten().any(|f| f == OBSERVABILITY_FINALIZER) {
            true => TargetPlane::ObservabilityPlane,
            false => TargetPlane::DataPlane,
        };
    let plane =
        ctx.read(|s| plane::target(s, release.namespace(), &release.links.environment, target));
    let same = release.meta.generation == applied.version.generation
        && restarted_at == applied.version.restarted_at.as_deref()
        && plane.as_ref().is_ok_and(|p| p.path() == applied.version.plane)
        && applied.interval.is_none_or(|interval| applied.at.elapsed() < interval);
    let Ok(plane) = plane else { return false };
    let Ok(remote) = ctx.remotes.open(&plane) else { return false };
    same && applied.live.iter().all(|(place, (uid, generation))| {
        remote
            .child(place)
            .is_some_and(|child| child.uid == *uid && child.generation == *generation)
    })
}

/// Applies the release. `None` when the plane is not there; that is in the condition, and its arrival wakes the release.
async fn bring_up(ctx: &Context, release: &Entry) -> Result<Option<Applied>, Error> {
    let Some(object) = ctx.fetch::<RenderedRelease>(release.namespace(), release.name()).await?
    else {
        return Ok(None);
    };
    let spec = object.spec::<RenderedRelease>()?;
    ctx.add_finalizer::<RenderedRelease>(&object, finalizer(spec.target_plane)).await?;
    let plane = ctx
        .read(|s| plane::target(s, object.namespace(), &spec.environment_name, spec.target_plane));
    let plane = match plane {
        Ok(plane) => plane,
        Err(error) => {
            apply_failed(ctx, &object, &error.to_string()).await?;
            return Ok(None);
        }
    };
    let version = Version {
        generation: object.meta.generation,
        restarted_at: object.annotation(labels::RESTARTED_AT).map(str::to_owned),
        plane: plane.path(),
    };
    match apply_all(ctx, &object, &spec, &plane).await {
        Ok((desired, live)) => {
            let interval = interval(&spec, release.uid());
            let applied = Applied { version, desired, live, at: Instant::now(), interval };
            ctx.applied.set(release.uid(), Some(applied.clone()));
            Ok(Some(applied))
        }
        Err(error) => {
            ctx.applied.set(release.uid(), None);
            apply_failed(ctx, &object, &error.to_string()).await?;
            Err(error)
        }
    }
}

type Live = HashMap<Place, (Box<str>, Option<i64>)>;

async fn apply_all(
    ctx: &Context,
    release: &Object,
    spec: &RenderedReleaseSpec,
    plane: &crate::remote::PlaneRef,
) -> Result<(Vec<Desired>, Live), Error> {
    let remote = ctx.remotes.open(plane)?;
    let manifests = apply::prepare(&remote, release, spec).await?;
    let desired: Vec<Desired> = manifests.iter().map(|m| m.desired.clone()).collect();
    if spec.target_plane == TargetPlane::ObservabilityPlane {
        apply::ensure_namespaces(&remote, release, spec, &desired).await?;
    }
    // The note leaves first and travels with the applies: together they cost one round.
    let (noted, live) = tokio::join!(note(ctx, release, &desired), in_order(&remote, &manifests));
    noted?;
    Ok((desired, live?))
}

/// Applies the manifests: namespaces before what is in them, the others together, started in their order. The first that
/// failed is the error.
async fn in_order(remote: &Remote, manifests: &[apply::Manifest]) -> Result<Live, Error> {
    let is_namespace = |m: &&apply::Manifest| m.desired.place.gvk.kind == "Namespace";
    let (namespaces, others): (Vec<_>, Vec<_>) = manifests.iter().partition(is_namespace);
    let mut live = Live::new();
    for round in [namespaces, others] {
        let applies: Vec<_> = round.iter().map(|manifest| apply::apply(remote, manifest)).collect();
        for (manifest, applied) in round.iter().zip(join_all(applies).await) {
            let child = applied?;
            live.insert(manifest.desired.place.clone(), (child.uid, child.generation));
        }
    }
    Ok(live)
}

/// Puts objects that are about to be made into the status, beside those already there.
async fn note(ctx: &Context, release: &Object, desired: &[Desired]) -> Result<(), Error> {
    let Some(current) = ctx.get(What::RenderedRelease, release.namespace(), release.name()) else {
        return Ok(());
    };
    let mut status = current.status::<RenderedRelease>()?;
    let new = report::not_yet_listed(desired, &status.resources);
    if new.is_empty() {
        return Ok(());
    }
    status.resources.extend(new);
    ctx.write_status::<RenderedRelease>(&current, &status).await.map(drop)
}

async fn apply_failed(ctx: &Context, release: &Object, message: &str) -> Result<(), Error> {
    let Some(current) = ctx.get(What::RenderedRelease, release.namespace(), release.name()) else {
        return Ok(());
    };
    let mut status: RenderedReleaseStatus = current.status::<RenderedRelease>()?;
    let generation = release.meta.generation;
    status.conditions.set_condition(
        "ResourcesApplied",
        false.into(),
        "ApplyFailed",
        message,
        generation,
        &now(),
    );
    ctx.write_status::<RenderedRelease>(&current, &status).await.map(drop)
}

/// Deletes live objects of the release that are no longer desired.
async fn prune(remote: &Remote, release: &Entry, applied: &Applied) -> Result<(), Error> {
    let status = release.status::<RenderedRelease>()?;
    let listed: HashSet<Gvk> = status.resources.iter().map(Gvk::of_applied).collect();
    for gvk in &listed {
        remote.follow(gvk).await?;
    }
    for (place, child) in remote.children(release.uid()) {
        if !child.deleting && !applied.desired.iter().any(|d| d.place == place) {
            apply::delete(remote, &place, &child).await?;
        }
    }
    Ok(())
}

/// The pause between two applies of the same content, spread by a fifth so that releases do not come together.
fn interval(spec: &RenderedReleaseSpec, uid: &str) -> Option<Duration> {
    let interval = match &spec.interval {
        Some(text) => parse_duration(text)?,
        None => INTERVAL,
    };
    let spread = curtain_template::fnv32(uid) % 200;
    (!interval.is_zero()).then(|| interval.mul_f64(1.0 + f64::from(spread) / 1000.0))
}

/// A duration as Go prints it.
fn parse_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let (unit, seconds) = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)]
            .into_iter()
            .find(|(unit, _)| rest.starts_with(unit))?;
        total += Duration::try_from_secs_f64(number * seconds).ok()?;
        rest = &rest[unit.len()..];
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_go_prints_them() {
        let cases = [("5m", 300.0), ("1h30m", 5400.0), ("0s", 0.0), ("1.5s", 1.5), ("250ms", 0.25)];
        for (text, seconds) in cases {
            assert_eq!(parse_duration(text).map(|d| d.as_secs_f64()), Some(seconds), "{text}");
        }
        for broken in ["5", "m", "1d"] {
            assert_eq!(parse_duration(broken), None, "{broken}");
        }
    }
}
