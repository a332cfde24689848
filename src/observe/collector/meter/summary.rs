//! What a node says its pods use: the kubelet's Summary.

use std::collections::HashMap;
use std::time::Instant;

use serde::Deserialize;

use super::gathered::Gathered;
use super::growth::Growth;
use super::known::{Part, Pods};
use crate::metrics::names::{CPU, MEMORY, POD, RECEIVED, SENT};
use crate::metrics::wire::Labels;

/// The parts of the document that are of use.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Summary {
    pods: Vec<Stats>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Stats {
    pod_ref: PodRef,
    containers: Vec<Used>,
    #[serde(flatten)]
    whole: Used,
    network: Option<Network>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PodRef {
    name: String,
    namespace: String,
    uid: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Used {
    cpu: Option<Cpu>,
    memory: Option<Memory>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Cpu {
    time: String,
    usage_nano_cores: Option<u64>,
    usage_core_nano_seconds: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Memory {
    working_set_bytes: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Network {
    rx_bytes: Option<u64>,
    tx_bytes: Option<u64>,
}

/// What is remembered of a node between two readings.
#[derive(Debug, Default)]
pub(super) struct Node {
    processors: HashMap<String, Processor>,
    network: Growth,
}

/// Processor time of a pod when its node measured it last.
#[derive(Debug)]
struct Processor {
    /// As the node wrote it: while it stays the same, nothing was measured.
    time: String,
    at: Instant,
    used: u64,
    /// Billionths of a core.
    rate: Option<f64>,
}

impl Node {
    /// Adds what the document says.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn read(
        &mut self,
        document: &[u8],
        pods: &Pods,
        now: Instant,
        gathered: &mut Gathered,
    ) -> Result<(), serde_json::Error> {
        let summary: Summary = serde_json::from_slice(document)?;
        self.network.begin();
        let mut seen = HashMap::new();
        for stats in &summary.pods {
            let PodRef { name, namespace, uid } = &stats.pod_ref;
            let Some(known) = pods.named(namespace, name).filter(|known| known.uid == *uid) else {
                continue;
            };
            let Part::Component(owner) = &known.part else { continue };
            let labels = || Labels::from([(POD.to_owned(), name.clone())]);
            if let Some(processor) = self.processor(uid, stats, now) {
                if let Some(rate) = processor.rate {
                    gathered.gauge(owner, CPU, labels(), rate);
                }
                seen.insert(uid.clone(), processor);
            }
            if let Some(memory) = memory(stats) {
                gathered.gauge(owner, MEMORY, labels(), memory as f64);
            }
            if let Some(network) = &stats.network {
                let ends = [(RECEIVED, network.rx_bytes), (SENT, network.tx_bytes)];
                for (direction, bytes) in ends {
                    let Some(bytes) = bytes else { continue };
                    let grown = self.network.of(&format!("{direction} {uid}"), bytes as f64);
                    gathered.increase(owner, direction, labels(), grown);
                }
            }
        }
        self.network.end();
        self.processors = seen;
        Ok(())
    }

    fn processor(&mut self, uid: &str, stats: &Stats, now: Instant) -> Option<Processor> {
        let before = self.processors.remove(uid);
        let containers = || stats.containers.iter().filter_map(|container| container.cpu.as_ref());
        let (used, told, time) = match &stats.whole.cpu {
            Some(cpu) => (cpu.usage_core_nano_seconds?, cpu.usage_nano_cores, cpu.time.clone()),
            None => {
                let first = containers().next()?;
                let used = containers().filter_map(|cpu| cpu.usage_core_nano_seconds).sum();
                let told = containers().map(|cpu| cpu.usage_nano_cores).sum();
                (used, told, first.time.clone())
            }
        };
        let told = told.map(|told| told as f64);
        let Some(before) = before else {
            return Some(Processor { time, at: now, used, rate: told });
        };
        let passed = now.saturating_duration_since(before.at).as_secs_f64();
        if time == before.time || passed <= 0.0 {
            return Some(before);
        }
        let rate = match used.checked_sub(before.used) {
            Some(grown) => Some(grown as f64 / passed),
            // Set back: a container was started again.
            None => told,
        };
        Some(Processor { time, at: now, used, rate })
    }
}

fn memory(stats: &Stats) -> Option<u64> {
    let of = |used: &Used| used.memory.as_ref().and_then(|memory| memory.working_set_bytes);
    of(&stats.whole).or_else(|| {
        let mut all = stats.containers.iter().filter_map(of).peekable();
        all.peek()?;
        Some(all.sum())
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;

    fn pods() -> Pods {
        let pods = Pods::default();
        let pod = json!({"metadata": {"name": "cart-1", "namespace": "dp", "uid": "u",
            "labels": {"openchoreo.dev/component": "cart"}}, "spec": {"containers": []}});
        pods.apply(&serde_json::from_value(pod).expect("a Pod"));
        pods
    }

    fn document(time: &str, used: u64, received: u64) -> Vec<u8> {
        json!({"node": {"nodeName": "n"}, "pods": [
            {"podRef": {"name": "cart-1", "namespace": "dp", "uid": "u"},
             "containers": [{"name": "main", "memory": {"workingSetBytes": 7}}],
             "cpu": {"time": time, "usageCoreNanoSeconds": used, "usageNanoCores": 11},
             "network": {"rxBytes": received, "txBytes": 0}},
            {"podRef": {"name": "cart-1", "namespace": "dp", "uid": "former"}, "containers": [],
             "memory": {"workingSetBytes": 100}},
            {"podRef": {"name": "other", "namespace": "dp", "uid": "o"}}]})
        .to_string()
        .into_bytes()
    }

    fn values(gathered: Gathered) -> Value {
        let samples = gathered.batches((0, 0)).into_iter().flat_map(|batch| batch.parts);
        let samples = samples.flat_map(|part| part.samples);
        samples
            .map(|sample| (sample.name, json!(sample.value)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    #[test]
    fn usage_is_a_rate_between_what_the_node_measured() {
        let (mut node, pods, begin) = (Node::default(), pods(), Instant::now());
        let mut read = |seconds: u64, time: &str, used: u64, received: u64| {
            let mut gathered = Gathered::default();
            let now = begin + Duration::from_secs(seconds);
            node.read(&document(time, used, received), &pods, now, &mut gathered)
                .expect("a document");
            values(gathered)
        };
        assert_eq!(read(0, "a", 1000, 50), json!({"cpu": {"g": 11.0}, "memory": {"g": 7.0}}));
        assert_eq!(
            read(5, "b", 6000, 80),
            json!({"cpu": {"g": 1000.0}, "memory": {"g": 7.0}, "net_rx": {"i": 30.0}})
        );
        assert_eq!(
            read(10, "b", 6000, 80)["cpu"],
            json!({"g": 1000.0}),
            "nothing new was measured"
        );
        assert_eq!(read(15, "c", 26_000, 80)["cpu"], json!({"g": 2000.0}));
        assert_eq!(read(20, "d", 10, 5)["cpu"], json!({"g": 11.0}), "started again");
    }

    #[test]
    fn what_is_no_document_is_refused() {
        let mut gathered = Gathered::default();
        assert!(Node::default().read(b"{", &pods(), Instant::now(), &mut gathered).is_err());
    }
}
