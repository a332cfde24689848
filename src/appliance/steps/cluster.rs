//! The cluster, by whichever provider, one step for each of its stages.

use std::time::{Duration, Instant};

use curtain_provider::{ClusterSpec, Provider, Removal, WHOLE, Watch};
use serde::{Deserialize, Serialize};

use crate::{
    Error,
    effect::{Boxed, Step},
    progress::Event,
    world::World,
};

/// A stage of the cluster as it was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ClusterStep {
    /// Enough to find and remove it without anything else.
    pub spec: ClusterSpec,
    /// Which stage; ledgers from before there were several do not say it.
    #[serde(default = "whole", skip_serializing_if = "is_whole")]
    pub stage: String,
}

fn whole() -> String {
    WHOLE.to_owned()
}

fn is_whole(stage: &str) -> bool {
    stage == WHOLE
}

/// How long the cluster's last things may take to disappear after they were removed.
const SETTLE: Duration = Duration::from_secs(3);

impl ClusterStep {
    /// The step of the stage called `stage`.
    pub(crate) fn name_of(stage: &str) -> String {
        if is_whole(stage) { WHOLE.to_owned() } else { format!("{WHOLE}/{stage}") }
    }

    fn provider(&self) -> Result<Box<dyn Provider>, Error> {
        Ok(curtain_provider::by_name(&self.spec.provider)?)
    }
}

/// Passes on what a stage is at.
struct Told<'a> {
    world: &'a World<'a>,
    step: String,
}

impl Watch for Told<'_> {
    fn detail(&self, text: String) {
        self.world.tell(&self.step, Event::Detail(text));
    }

    fn part(&self, name: &str, done: u64, total: u64) {
        self.world.tell(&self.step, Event::Part { name: name.to_owned(), done, total });
    }
}

impl Step for ClusterStep {
    fn name(&self) -> String {
        Self::name_of(&self.stage)
    }

    fn title(&self) -> String {
        let stages = self.provider().map(|provider| provider.stages(&self.spec));
        let found = stages.ok().and_then(|all| all.into_iter().find(|one| one.name == self.stage));
        found.map_or_else(|| self.name(), |stage| stage.title)
    }

    fn probe<'a>(&'a self, _: &'a World<'_>) -> Boxed<'a, Result<bool, Error>> {
        Box::pin(async move { Ok(self.provider()?.holds(&self.spec, &self.stage).await) })
    }

    fn act<'a>(&'a self, world: &'a World<'_>) -> Boxed<'a, Result<(), Error>> {
        Box::pin(async move {
            let told = Told { world, step: self.name() };
            Ok(self.provider()?.ensure(&self.spec, &self.stage, world.left(), &told).await?)
        })
    }

    fn undo<'a>(&'a self, world: &'a World<'_>) -> Boxed<'a, Result<usize, Error>> {
        Box::pin(async move {
            let provider = self.provider()?;
            let interrupted = world.half.contains(&self.name());
            let how = Removal { timeout: world.left(), images: world.images, interrupted };
            let removed = provider.remove(&self.spec, &self.stage, how).await?;
            world.keep(removed.kept);
            if removed.count == 0 {
                return Ok(0);
            }
            // The kernel takes a moment to let go of namespaces and cgroups of processes that just died.
            let started = Instant::now();
            while !provider.residue(&self.spec).await?.is_empty()
                && started.elapsed() < SETTLE.min(world.left())
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Ok(removed.count)
        })
    }
}
