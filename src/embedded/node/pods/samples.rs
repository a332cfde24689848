//! What the metrics API is made of: the use of the node, and of the containers of pods that somebody asked for.
//!
//! Who asks for something that nobody has asked for lately waits the shortest time that a rate can be taken over, once:
//! then all of it has two readings.

use std::time::Instant;

use jiff::Timestamp;

use super::rates::{LONGEST, Rate, SHORTEST};
use super::stats::{NODE, Stats, machine, place};
use crate::apiserver::{PodRef, Sample};
use crate::node::cgroup::Usage;

impl Stats {
    /// The whole machine.
    pub(super) async fn node_sample(&self) -> Option<Sample> {
        let sample = || self.sample(NODE, &machine());
        match sample() {
            Some(sample) => Some(sample),
            None => {
                tokio::time::sleep(SHORTEST).await;
                sample()
            }
        }
    }

    /// The running containers of each pod, by name. A pod that has none, or one that cannot be measured, has no samples.
    pub(super) async fn pod_samples(&self, pods: &[PodRef]) -> Vec<Vec<(String, Sample)>> {
        let all = async || {
            let mut all = Vec::with_capacity(pods.len());
            for pod in pods {
                all.push(self.containers(pod));
                // Each takes a while to read, and others wait for this thread.
                tokio::task::yield_now().await;
            }
            all
        };
        let mut samples = all().await;
        if samples.iter().any(Option::is_none) {
            tokio::time::sleep(SHORTEST).await;
            samples = all().await;
        }
        samples.into_iter().map(Option::unwrap_or_default).collect()
    }

    /// `None` when one of them has no rate yet.
    fn containers(&self, pod: &PodRef) -> Option<Vec<(String, Sample)>> {
        let (Some(groups), Some(entry)) = (&self.ctx.groups, self.ctx.board.get(&pod.uid)) else {
            return Some(Vec::new());
        };
        let running = entry.containers.iter().filter(|(_, attempt)| attempt.running);
        // All are read, so that all have a reading.
        let samples: Vec<_> = running
            .map(|(name, attempt)| {
                let path = place(&pod.uid, name, attempt);
                Some((name.clone(), self.sample(&path, &groups.group(&path).usage())?))
            })
            .collect();
        samples.into_iter().collect()
    }

    fn sample(&self, key: &str, usage: &Usage) -> Option<Sample> {
        let rate = self.rates.of(key, usage.cpu?, Instant::now(), Timestamp::now())?;
        let memory = usage.memory.as_ref()?.working_set;
        let Rate { nanocores, window, ended } = rate;
        (window <= LONGEST).then_some(Sample { nanocores, memory, window, ended })
    }
}
