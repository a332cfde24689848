//! Bindings that go, and bindings that stay without their objects.

use super::{FINALIZER, report};
use crate::controllers::context::{Context, Error, now};
use crate::controllers::queue::Outcome;
use crate::controllers::rendered::controlled_by;
use crate::controllers::store::{Entry, What};
use crate::types::{Conditions, ReleaseBinding, ReleaseBindingStatus};

/// Deletes the binding's RenderedReleases, and lets it go once they are gone. Their end brings it back here.
pub(super) async fn finalize(ctx: &Context, binding: &Entry) -> Result<Outcome, Error> {
    ctx.renderings.forget(binding.uid());
    let mut status = binding.status::<ReleaseBinding>()?;
    let generation = binding.meta.generation;
    let message = "Deleting the objects of this release";
    if status.conditions.set_condition(
        "Finalizing",
        true.into(),
        "Finalizing",
        message,
        generation,
        &now(),
    ) {
        report(ctx, binding, &status).await?;
    }
    let owned = controlled_by(ctx, binding);
    for release in &owned {
        ctx.delete(What::RenderedRelease, release).await?;
    }
    if owned.is_empty()
        && let Some(current) = ctx.get(What::ReleaseBinding, binding.namespace(), binding.name())
    {
        ctx.drop_finalizer::<ReleaseBinding>(&current, FINALIZER).await?;
    }
    Ok(Outcome::Settled)
}

/// Takes the objects of a binding in state `Undeploy` away, and says how far that is.
pub(super) async fn undeploy(
    ctx: &Context,
    binding: &Entry,
    status: &mut ReleaseBindingStatus,
) -> Result<(), Error> {
    ctx.renderings.forget(binding.uid());
    status.endpoints.clear();
    let owned = controlled_by(ctx, binding);
    let mut failure = None;
    for release in &owned {
        if let Err(error) = ctx.delete(What::RenderedRelease, release).await {
            failure = Some(error);
        }
    }
    let (reason, message) = match (&failure, owned.is_empty()) {
        (Some(error), _) => ("ReleaseDeletionFailed", error.to_string()),
        (None, false) => ("ResourcesUndeployed", "The objects are being undeployed".to_owned()),
        (None, true) => ("ResourcesUndeployed", "The objects are undeployed".to_owned()),
    };
    let generation = binding.meta.generation;
    for condition in ["ReleaseSynced", "ResourcesReady"] {
        status.conditions.set_condition(
            condition,
            false.into(),
            reason,
            &message,
            generation,
            &now(),
        );
    }
    failure.map_or(Ok(()), Err)
}
