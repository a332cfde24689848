//! Everything a component owns goes before it.

use super::{FINALIZER, report};
use crate::controllers::context::{Context, Error, now};
use crate::controllers::queue::Outcome;
use crate::controllers::store::What;
use crate::controllers::watch::Object;
use crate::types::{Component, Conditions};

/// Deletes what the component owns, and lets it go once that is gone. The deletions bring it back here.
pub(super) async fn finalize(ctx: &Context, component: &Object) -> Result<Outcome, Error> {
    let mut status = component.status::<Component>()?;
    let message = "Deleting releases, bindings and workloads";
    let generation = component.meta.generation;
    let true_ = true.into();
    if status.conditions.set_condition(
        "Finalizing",
        true_,
        "Finalizing",
        message,
        generation,
        &now(),
    ) {
        report(ctx, component, &status).await?;
    }
    let project = component.spec::<Component>()?.owner.project_name;
    let owned = ctx.read(|store| {
        let mut owned = Vec::new();
        for what in [What::ReleaseBinding, What::Workload, What::ComponentRelease] {
            let of_kind = store.of(what, component.namespace()).filter(|o| {
                *o.links.component == *component.name()
                    && (what != What::Workload || *o.links.project == *project)
            });
            owned.extend(of_kind.map(|o| (what, o.object.clone())));
        }
        owned
    });
    // Bindings need their release to know what to clean up; the releases go last.
    let bound = owned.iter().any(|(what, _)| *what == What::ReleaseBinding);
    for (what, object) in &owned {
        if *what != What::ComponentRelease || !bound {
            ctx.delete(*what, object).await?;
        }
    }
    if owned.is_empty() {
        // The status write above may have moved the version on.
        let Some(current) = ctx.get(What::Component, component.namespace(), component.name())
        else {
            return Ok(Outcome::Settled);
        };
        ctx.drop_finalizer::<Component>(&current, FINALIZER).await?;
    }
    Ok(Outcome::Settled)
}
