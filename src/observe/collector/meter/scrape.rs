//! What programs measure of themselves.

use std::collections::HashMap;

use super::exposition::Kinds;
use super::gathered::Gathered;
use super::growth::Growth;
use super::known::{Known, Part};
use crate::metrics::names::{APPLICATION, POD};
use crate::metrics::wire::Labels;

/// Series that a pod may have.
const MOST: usize = 500;
/// Labels that a series may have, and how long one may be.
const LABELS: usize = 20;
const LONGEST: usize = 200;

/// What is remembered of the pods between two readings, by uid.
#[derive(Debug, Default)]
pub(super) struct Programs(HashMap<String, Growth>);

impl Programs {
    /// Adds what a pod's page says; `None` when there was no answer.
    pub(super) fn read(&mut self, pod: &Known, page: Option<&str>, gathered: &mut Gathered) {
        let Part::Component(owner) = &pod.part else { return };
        let own = || Labels::from([(POD.to_owned(), pod.name.clone())]);
        let up = f64::from(u8::from(page.is_some()));
        gathered.gauge(owner, &format!("{APPLICATION}up"), own(), up);
        let Some(page) = page else { return };
        let growth = self.0.entry(pod.uid.clone()).or_default();
        let mut kinds = Kinds::default();
        let (mut count, mut dropped) = (0, 0);
        growth.begin();
        for line in page.lines() {
            let Some(line) = kinds.read(line) else { continue };
            // Sums and counts say enough, and there are many buckets.
            if line.name.ends_with("_bucket") {
                continue;
            }
            let mut labels = line.labels();
            let long =
                labels.iter().any(|(name, value)| name.len() > LONGEST || value.len() > LONGEST);
            if count >= MOST || labels.len() > LABELS || long || line.name.len() > LONGEST {
                dropped += 1;
                continue;
            }
            count += 1;
            labels.extend(own());
            let name = format!("{APPLICATION}{}", line.name);
            if kinds.grows(line.name) {
                gathered.increase(owner, &name, labels, growth.of(line.series, line.value));
            } else {
                gathered.gauge(owner, &name, labels, line.value);
            }
        }
        growth.end();
        if dropped > 0 {
            let name = format!("{APPLICATION}scrape_series_dropped");
            gathered.gauge(owner, &name, own(), f64::from(dropped));
        }
    }

    /// Forgets all other pods.
    pub(super) fn keep(&mut self, uids: &[&str]) {
        self.0.retain(|uid, _| uids.contains(&uid.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::known::Pods;
    use super::*;

    fn pod() -> Known {
        let pods = Pods::default();
        let pod = json!({"metadata": {"name": "cart-1", "namespace": "dp", "uid": "u",
            "labels": {"openchoreo.dev/component": "cart"}}, "spec": {"containers": []}});
        pods.apply(&serde_json::from_value(pod).expect("a Pod"));
        (*pods.named("dp", "cart-1").expect("known")).clone()
    }

    fn read(programs: &mut Programs, page: Option<&str>) -> Vec<String> {
        let mut gathered = Gathered::default();
        programs.read(&pod(), page, &mut gathered);
        let samples = gathered.batches((0, 0)).into_iter().flat_map(|batch| batch.parts);
        let samples = samples.flat_map(|part| part.samples);
        let text = |sample: crate::metrics::wire::Sample| {
            format!(
                "{} {:?} {}",
                sample.name,
                sample.labels.values().collect::<Vec<_>>(),
                json!(sample.value)
            )
        };
        samples.map(text).collect()
    }

    #[test]
    fn counters_grow_and_gauges_are() {
        let mut programs = Programs::default();
        let page = |count: u32| {
            format!(
                "# TYPE jobs counter\njobs{{q=\"a\"}} {count}\n# TYPE depth gauge\ndepth 3\nwait_bucket{{le=\"1\"}} 4\n"
            )
        };
        assert_eq!(
            read(&mut programs, Some(&page(5))),
            [r#"app:depth ["cart-1"] {"g":3.0}"#, r#"app:up ["cart-1"] {"g":1.0}"#]
        );
        assert_eq!(
            read(&mut programs, Some(&page(7))),
            [
                r#"app:depth ["cart-1"] {"g":3.0}"#,
                r#"app:jobs ["cart-1", "a"] {"i":2.0}"#,
                r#"app:up ["cart-1"] {"g":1.0}"#
            ]
        );
        assert_eq!(read(&mut programs, None), [r#"app:up ["cart-1"] {"g":0.0}"#]);
    }

    #[test]
    fn a_pod_with_too_many_series_is_bounded_and_told_of() {
        let page: String = (0..600).map(|n| format!("x{{n=\"{n}\"}} 1\n")).collect();
        let found = read(&mut Programs::default(), Some(&page));
        assert_eq!(found.len(), MOST + 2);
        assert!(found.contains(&r#"app:scrape_series_dropped ["cart-1"] {"g":100.0}"#.to_owned()));
    }
}
