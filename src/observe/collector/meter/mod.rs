//! Measuring: every few seconds what nodes and programs say becomes samples of components.
//!
//! | asked | for what |
//! |---|---|
//! | `stats/summary` of each node, through the API server | what its pods use |
//! | `metrics/traffic` of each node | who was seen to talk to whom; only Curtain's own nodes know |
//! | gateways, where no node knows | who came in through them |
//! | pods with the annotation `prometheus.io/scrape: "true"` | what programs measure of themselves |
//!
//! Only nodes are asked that have pods of components. A moment is a multiple of [`INTERVAL`]; one that would come late is
//! left out. What the observer does not take at once waits, up to some moments, and is posted again.

mod exposition;
mod fetch;
mod gathered;
mod growth;
mod nodes;
mod scrape;
mod summary;
mod traffic;
mod waiting;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use curtain_role::{Backoff, Shutdown};
use futures::{StreamExt, stream};
use http::Method;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt};

use super::door::Door;
use super::known::{self, Known, Part, Pods};
use crate::metrics::names::{
    CPU_LIMIT, CPU_REQUEST, MEMORY_LIMIT, MEMORY_REQUEST, POD, READY, RESTARTS,
};
use crate::metrics::wire::{INTERVAL, Labels, SAMPLES_PATH};
use fetch::Fetch;
use gathered::Gathered;
use nodes::{Asked, Node};
use scrape::Programs;
use traffic::Traffic;
use waiting::Waiting;

/// Time for all questions of a moment.
const PATIENCE: Duration = Duration::from_millis(4500);
/// Nodes and pods that are asked at the same time.
const AT_ONCE: usize = 4;

/// Measures.
pub(super) struct Meter {
    client: Client,
    fetch: Fetch,
    pods: Pods,
    door: Door,
    nodes: HashMap<String, Node>,
    gateways: HashMap<String, Traffic>,
    programs: Programs,
    /// Last counts of restarts, by uid.
    restarts: HashMap<String, i32>,
    waiting: Waiting,
    /// The moment that was measured last.
    before: Option<i64>,
}

impl Meter {
    pub(super) fn new(client: Client, pods: Pods, door: Door) -> Meter {
        Meter {
            fetch: Fetch::new(client.clone()),
            client,
            pods,
            door,
            nodes: HashMap::new(),
            gateways: HashMap::new(),
            programs: Programs::default(),
            restarts: HashMap::new(),
            waiting: Waiting::default(),
            before: None,
        }
    }

    /// Measures until `shutdown`.
    pub(super) async fn run(mut self, shutdown: Shutdown) {
        let gateways = watch_gateways(self.client.clone(), self.pods.clone());
        let measuring = async {
            loop {
                let now = jiff::Timestamp::now().as_millisecond();
                let next = (now / 1000).div_euclid(INTERVAL) * INTERVAL + INTERVAL;
                let pause = u64::try_from(next * 1000 - now).unwrap_or(0);
                tokio::time::sleep(Duration::from_millis(pause)).await;
                self.measure(next).await;
            }
        };
        tokio::select! {
            () = measuring => {}
            () = gateways => {}
            () = shutdown.wait() => {}
        }
    }

    /// Measures one moment, and posts it.
    pub(super) async fn measure(&mut self, time: i64) {
        let pods = self.pods.alive();
        let mut gathered = Gathered::default();
        let components = pods.iter().filter(|pod| matches!(pod.part, Part::Component(_)));
        let nodes: HashSet<String> =
            components.map(|pod| pod.node.clone()).filter(|node| !node.is_empty()).collect();
        self.nodes.retain(|name, _| nodes.contains(name));
        let deadline = tokio::time::Instant::now() + PATIENCE;
        // Who answers late is left out, and counts from there on the next time.
        let asked = tokio::time::timeout_at(deadline, self.ask_nodes(nodes, &mut gathered)).await;
        let asked = asked.unwrap_or(Asked { seeing: false, whole: false });
        let work = self.ask_pods(&pods, !asked.seeing, &mut gathered);
        let in_time = tokio::time::timeout_at(deadline, work).await.is_ok();
        self.say_what_is_known(&pods, &mut gathered);
        if gathered.dropped > 0 {
            tracing::warn!(dropped = gathered.dropped, "there are too many series");
        }
        let whole = asked.whole && in_time && gathered.dropped == 0 && !self.door.is_behind();
        let since = self.before.replace(time).filter(|_| whole).unwrap_or(time);
        self.waiting.put(&gathered.batches((since, time)));
        let _ = tokio::time::timeout_at(deadline, self.post()).await;
    }

    /// Reads the pages of pods; those of gateways, too, if they are asked for traffic.
    async fn ask_pods(&mut self, pods: &[Arc<Known>], gateways: bool, gathered: &mut Gathered) {
        let asked = pods.iter().filter(|pod| {
            pod.page.is_some() && (gateways || matches!(pod.part, Part::Component(_)))
        });
        let asked: Vec<Arc<Known>> = asked.cloned().collect();
        let uids: Vec<&str> = asked.iter().map(|pod| pod.uid.as_str()).collect();
        self.programs.keep(&uids);
        self.gateways.retain(|uid, _| uids.contains(&uid.as_str()));
        let fetch = &self.fetch;
        let mut answers = stream::iter(asked.iter().cloned())
            .map(|pod| async move {
                let url = pod.page.as_ref().map(|page| page.url.clone()).unwrap_or_default();
                (fetch.page(&url).await, pod)
            })
            .buffer_unordered(AT_ONCE);
        while let Some((answer, pod)) = answers.next().await {
            if let Err(error) = &answer {
                tracing::debug!(pod = pod.name, %error, "a pod does not say what it measures");
            }
            if let Part::Gateway(_) = &pod.part {
                if let Ok(text) = &answer {
                    let traffic = self.gateways.entry(pod.uid.clone()).or_default();
                    read_traffic(traffic, text, (&self.pods, Some(&pod.part)), gathered);
                }
                continue;
            }
            let text = answer.ok();
            let text = text.as_deref().and_then(|text| std::str::from_utf8(text).ok());
            self.programs.read(&pod, text, gathered);
        }
    }

    /// What the pods' objects say.
    fn say_what_is_known(&mut self, pods: &[Arc<Known>], gathered: &mut Gathered) {
        let mut restarts = HashMap::new();
        for pod in pods {
            let Part::Component(owner) = &pod.part else { continue };
            let labels = || Labels::from([(POD.to_owned(), pod.name.clone())]);
            gathered.gauge(owner, READY, labels(), f64::from(u8::from(pod.ready)));
            let bounds = [
                (CPU_REQUEST, pod.cpu.request.map(|cores| cores * 1e9)),
                (CPU_LIMIT, pod.cpu.limit.map(|cores| cores * 1e9)),
                (MEMORY_REQUEST, pod.memory.request),
                (MEMORY_LIMIT, pod.memory.limit),
            ];
            for (name, value) in bounds {
                if let Some(value) = value {
                    gathered.gauge(owner, name, labels(), value.round());
                }
            }
            let before = self.restarts.get(&pod.uid).copied().unwrap_or(pod.restarts);
            gathered.increase(owner, RESTARTS, labels(), f64::from(pod.restarts - before));
            restarts.insert(pod.uid.clone(), pod.restarts);
        }
        self.restarts = restarts;
    }

    /// Posts what waits, in its order, until the observer does not take it.
    async fn post(&mut self) {
        while let Some(body) = self.waiting.next() {
            match self.door.request(Method::POST, SAMPLES_PATH, body).await {
                Ok(_) => self.waiting.arrived(),
                Err(error) if error.is_final() => {
                    tracing::error!(%error, "samples are lost: the observer does not take them");
                    self.waiting.lost();
                }
                Err(error) => {
                    tracing::info!(%error, waiting = self.waiting.posts(), "samples wait");
                    return;
                }
            }
        }
    }
}

fn read_traffic(
    traffic: &mut Traffic,
    text: &[u8],
    (pods, reader): (&Pods, Option<&Part>),
    gathered: &mut Gathered,
) {
    traffic.begin();
    for line in text.split(|byte| *byte == b'\n') {
        if let Ok(line) = std::str::from_utf8(line) {
            traffic.line(line);
        }
    }
    traffic.end(pods, reader, gathered);
}

/// Keeps the pods of gateways known.
async fn watch_gateways(client: Client, pods: Pods) {
    let selected = format!("{}=gateway", known::SYSTEM);
    let selected = watcher::Config::default().labels(&selected).streaming_lists();
    let events = watcher(Api::<Pod>::all(client), selected).backoff(Backoff::default());
    let mut events = std::pin::pin!(events);
    let mut listed = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            Err(error) => tracing::warn!(%error, "the watch of gateways was interrupted"),
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(pod)) => {
                listed.extend(pod.uid());
                pods.apply(&pod);
            }
            Ok(Event::InitDone) => pods.keep(&listed, false),
            Ok(Event::Apply(pod)) => pods.apply(&pod),
            Ok(Event::Delete(pod)) => pods.remove(&pod),
        }
    }
}

#[cfg(test)]
mod tests;
