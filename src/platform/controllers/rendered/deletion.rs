//! Taking a release back: its objects go first, then it.

use super::report::place_of;
use super::{DATA_FINALIZER, Gvk, OBSERVABILITY_FINALIZER, PLANE, Remote, apply, plane};
use crate::controllers::context::{Context, Error, now};
use crate::controllers::queue::Outcome;
use crate::controllers::store::{Entry, What};
use crate::remote::PlaneRef;
use crate::types::{Conditions, RenderedRelease, TargetPlane};
use std::collections::HashSet;

/// Deletes the release's live objects, and lets it go once none is left. The watches bring it back here.
pub(super) async fn finalize(ctx: &Context, release: &Entry) -> Result<Outcome, Error> {
    ctx.applied.set(release.uid(), None);
    let held = |f: &str| release.meta.finalizers.iter().flatten().any(|x| x == f);
    let (finalizer, target) = match (held(DATA_FINALIZER), held(OBSERVABILITY_FINALIZER)) {
        (true, _) => (DATA_FINALIZER, TargetPlane::DataPlane),
        (false, true) => (OBSERVABILITY_FINALIZER, TargetPlane::ObservabilityPlane),
        (false, false) => return Ok(Outcome::Settled),
    };
    match clean(ctx, release, target).await {
        Ok(0) => {
            let current = ctx.get(What::RenderedRelease, release.namespace(), release.name());
            if let Some(current) = current {
                ctx.drop_finalizer::<RenderedRelease>(&current, finalizer).await?;
            }
            Ok(Outcome::Settled)
        }
        Ok(left) => {
            tell(ctx, release, "CleanupInProgress", &format!("{left} objects are being deleted"))
                .await?;
            Ok(Outcome::Settled)
        }
        Err(error) => {
            tell(ctx, release, "CleanupFailed", &error.to_string()).await?;
            Err(error)
        }
    }
}

/// Deletes what is left, and says how much that was.
async fn clean(ctx: &Context, release: &Entry, target: TargetPlane) -> Result<usize, Error> {
    let status = release.status::<RenderedRelease>()?;
    let mut kinds: HashSet<Gvk> = status.resources.iter().map(Gvk::of_applied).collect();
    // An apply may have been under way when nothing was noted yet.
    if let Some(object) = ctx.fetch::<RenderedRelease>(release.namespace(), release.name()).await? {
        let spec = object.spec::<RenderedRelease>()?;
        kinds.extend(spec.resources.iter().filter_map(|r| Gvk::of(&r.object)));
    }
    let remote = match remote(ctx, release, target) {
        Err(_) if status.resources.is_empty() => return Ok(0),
        other => other?,
    };
    for gvk in &kinds {
        remote.follow(gvk).await?;
    }
    let left = remote.children(release.uid());
    for (place, child) in left.iter().filter(|(_, child)| !child.deleting) {
        apply::delete(&remote, place, child).await?;
    }
    // A plane may delete at once, before the watch says so.
    Ok(remote.children(release.uid()).len().max(left.len()))
}

/// The plane the release went to; when its environment is gone, the one noted on it.
fn remote(
    ctx: &Context,
    release: &Entry,
    target: TargetPlane,
) -> Result<std::sync::Arc<Remote>, Error> {
    let resolved =
        ctx.read(|s| plane::target(s, release.namespace(), &release.links.environment, target));
    let plane = match (resolved, release.annotation(PLANE).and_then(PlaneRef::parse)) {
        (Ok(plane), _) | (Err(_), Some(plane)) => plane,
        (Err(error), None) => {
            let first = release.status::<RenderedRelease>()?.resources.first().map(place_of);
            let name = first.map_or(String::new(), |p| format!(", e.g. {} {}", p.gvk, p.name));
            return Err(Error::Reported(format!(
                "cannot find the plane that holds the objects of this release{name}: {error}"
            )));
        }
    };
    ctx.remotes.open(&plane)
}

async fn tell(ctx: &Context, release: &Entry, reason: &str, message: &str) -> Result<(), Error> {
    let Some(current) = ctx.get(What::RenderedRelease, release.namespace(), release.name()) else {
        return Ok(());
    };
    let mut status = current.status::<RenderedRelease>()?;
    let generation = current.meta.generation;
    status.conditions.set_condition("Finalizing", true.into(), reason, message, generation, &now());
    ctx.write_status::<RenderedRelease>(&current, &status).await.map(drop)
}
