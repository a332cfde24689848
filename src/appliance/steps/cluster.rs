//! The cluster, by whichever provider.

use std::time::{Duration, Instant};

use curtain_provider::ClusterSpec;

use serde::{Deserialize, Serialize};

use crate::{
    Error,
    effect::{Boxed, Step},
    world::World,
};

/// The cluster as it was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ClusterStep {
    /// Enough to find and remove it without anything else.
    pub spec: ClusterSpec,
}

/// How long the cluster's last things may take to disappear after they were removed.
const SETTLE: Duration = Duration::from_secs(3);

impl Step for ClusterStep {
    fn name(&self) -> String {
        "cluster".to_owned()
    }

    fn title(&self) -> String {
        format!("{} cluster", self.spec.provider)
    }

    fn probe<'a>(&'a self, _: &'a World<'_>) -> Boxed<'a, Result<bool, Error>> {
        Box::pin(async move {
            let provider = curtain_provider::by_name(&self.spec.provider)?;
            Ok(provider.is_up(&self.spec).await)
        })
    }

    fn act<'a>(&'a self, world: &'a World<'_>) -> Boxed<'a, Result<(), Error>> {
        Box::pin(async move {
            let provider = curtain_provider::by_name(&self.spec.provider)?;
            Ok(provider.ensure(&self.spec, world.left()).await?)
        })
    }

    fn undo<'a>(&'a self, world: &'a World<'_>) -> Boxed<'a, Result<usize, Error>> {
        Box::pin(async move {
            let provider = curtain_provider::by_name(&self.spec.provider)?;
            let removed = provider.destroy(&self.spec, world.left()).await?;
            // The kernel takes a moment to let go of namespaces and cgroups of processes that just died.
            let started = Instant::now();
            while !provider.residue(&self.spec)?.is_empty()
                && started.elapsed() < SETTLE.min(world.left())
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Ok(removed)
        })
    }
}
