//! One pod from its binding to its end.
//!
//! A loop: do what is due, write the status if it has changed, wait for news (the object, ends of containers, probes,
//! time). Nothing here decides by itself what a status means; see `runtime` and `status`.

mod adopt;
mod containers;
mod images;
mod report;
mod sandbox;
mod terminate;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, PodCondition, PodSpec};
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::build::Places;
use super::context::{Attempt, Context, Entry, Stage};
use super::ephemeral;
use super::fields::Fields;
use super::objects::Objects;
use super::probe::{News, Probing};
use super::pulling::Pulls;
use super::runtime::{Runtime, State};
use super::status::{self, Snapshot};
use super::storage::{Eviction, Order, Room, Terms};
use super::volumes::{Prepared, Tokens};
use crate::apiserver::PodRef;
use images::PullNews;
use report::Report;
use sandbox::Sandbox;
pub(super) use sandbox::{end_stray, remove_stray, with_files};
use terminate::Ending;

/// News of a pod's object.
pub(super) enum Message {
    /// It has changed.
    Update(Arc<Pod>),
    /// It is gone.
    Removed,
}

pub(super) struct Worker {
    ctx: Arc<Context>,
    pod: Arc<Pod>,
    spec: PodSpec,
    uid: String,
    places: Places,
    terms: Arc<Terms>,
    objects: Objects,
    inbox: mpsc::UnboundedReceiver<Message>,
    news: (mpsc::UnboundedSender<News>, mpsc::UnboundedReceiver<News>),
    orders: (mpsc::UnboundedSender<Order>, mpsc::UnboundedReceiver<Order>),
    pull_news: (mpsc::UnboundedSender<PullNews>, mpsc::UnboundedReceiver<PullNews>),
    /// By container name.
    pulls: BTreeMap<String, Pulls>,
    sandbox: Option<Sandbox>,
    /// The pod's own for as long as it can run, whatever becomes of its sandbox; EndpointSlices name it while no node runs.
    address: Option<Ipv4Addr>,
    runtimes: BTreeMap<String, Runtime>,
    probing: BTreeMap<String, Probing>,
    /// The attempts of containers before whose end something is done that has begun.
    hooked: BTreeMap<String, u32>,
    volumes: Option<Prepared>,
    tokens: Tokens,
    start_time: Timestamp,
    /// Conditions as written last.
    conditions: Vec<PodCondition>,
    report: Report,
    /// When the end of the pod is to be confirmed again, after that has failed.
    confirm_at: Option<Instant>,
    setback: Setback,
    /// The pod had ended for good when this worker began: it is kept, and not run or reported on again.
    ended_before: bool,
    /// The object is gone: nobody is to be asked or told.
    removed: bool,
    ending: Option<Ending>,
    /// `activeDeadlineSeconds` are over.
    expired: bool,
    /// It was ended because of what it takes of the node.
    evicted: Option<Eviction>,
    /// Whether its files are to go although its object stays.
    to_clear: bool,
    /// The removal of its files, which may be over.
    removing: Option<AbortHandle>,
}

/// A preparation that failed, and when it is tried again.
#[derive(Default)]
struct Setback {
    message: String,
    pause: Duration,
    until: Option<Instant>,
}

impl Setback {
    /// Whether this message is news.
    fn failed(&mut self, message: &str) -> bool {
        let new = self.message != message;
        message.clone_into(&mut self.message);
        self.pause = (self.pause * 2).clamp(Duration::from_millis(100), Duration::from_secs(5));
        self.until = Some(Instant::now() + self.pause);
        new
    }

    /// The earliest of `due`; while an attempt is pending, only that is.
    fn next(&self, due: impl Iterator<Item = Instant>) -> Option<Instant> {
        self.until.or_else(|| due.min())
    }
}

impl Worker {
    pub(super) fn new(
        ctx: Arc<Context>,
        pod: Arc<Pod>,
        inbox: mpsc::UnboundedReceiver<Message>,
    ) -> Self {
        let before = pod.status.clone().unwrap_or_default();
        let ended_before = matches!(before.phase.as_deref(), Some("Succeeded" | "Failed"));
        let on_host = pod.spec.as_ref().is_some_and(|spec| spec.host_network == Some(true));
        let address = before.pod_ip.as_deref().filter(|_| !ended_before && !on_host);
        let address = address.and_then(|ip| ip.parse().ok());
        let address = address.filter(|ip| ctx.addresses().keep(*ip));
        let namespace = pod.namespace().unwrap_or_default();
        Self {
            places: Places::of(&ctx.config, &pod),
            terms: Arc::new(pod.spec.as_ref().map(Terms::of).unwrap_or_default()),
            objects: Objects::new(ctx.client.clone(), &namespace),
            spec: pod.spec.clone().unwrap_or_default(),
            uid: pod.uid().unwrap_or_default(),
            inbox,
            news: mpsc::unbounded_channel(),
            orders: mpsc::unbounded_channel(),
            pull_news: mpsc::unbounded_channel(),
            pulls: BTreeMap::new(),
            sandbox: None,
            address,
            runtimes: BTreeMap::new(),
            probing: BTreeMap::new(),
            hooked: BTreeMap::new(),
            volumes: None,
            tokens: Tokens::default(),
            start_time: before.start_time.map_or_else(Timestamp::now, |time| time.0),
            conditions: before.conditions.unwrap_or_default(),
            report: Report::default(),
            confirm_at: None,
            setback: Setback::default(),
            ended_before,
            removed: false,
            ending: None,
            expired: false,
            evicted: None,
            to_clear: ended_before && before.reason.as_deref() == Some(status::EVICTED),
            removing: None,
            ctx,
            pod,
        }
    }

    /// Works until the pod is gone.
    pub(super) async fn run(mut self, left: Option<super::Left>) {
        // Connections may come as soon as the pod is attached again.
        let (shim, hold) = left.unzip();
        self.adopt(shim).await;
        drop(hold);
        loop {
            let done = self.advance().await;
            self.post();
            if done {
                self.ctx.board.remove(&self.uid);
                return;
            }
            self.publish().await;
            self.wait().await;
        }
    }

    /// Does what is due; `true` when nothing of the pod is left.
    async fn advance(&mut self) -> bool {
        if self.removed || self.pod.metadata.deletion_timestamp.is_some() {
            return self.terminate().await;
        }
        self.expire();
        if self.is_finished() {
            // Only sidecars can run still, and what was added to the pod.
            self.end_within(self.grace());
        }
        if self.ending.is_some() {
            self.end_due().await;
            if !self.runtimes.values().any(Runtime::is_running) {
                self.close_sandbox(Duration::ZERO).await;
                self.clear();
            }
            return false;
        }
        if self.setback.until.is_some_and(|until| Instant::now() < until) {
            return false;
        }
        if self.prepare().await {
            self.setback = Setback::default();
            self.start_due().await;
        }
        false
    }

    /// Whether all containers but sidecars have ended for good.
    fn is_finished(&self) -> bool {
        self.ended_before
            || self.cut_short().is_some()
            || matches!(status::phase(&self.pod, &self.runtimes), "Succeeded" | "Failed")
    }

    fn fields(&self) -> Fields<'_> {
        let machine = &self.ctx.machine;
        let disk = Room::of(&self.ctx.config.home).map_or(0, |room| room.allocatable());
        Fields {
            pod: &self.pod,
            pod_ip: self
                .sandbox
                .as_ref()
                .map_or(self.ctx.host_ip, |sandbox| sandbox.ip.unwrap_or(self.ctx.host_ip)),
            host_ip: self.ctx.host_ip,
            machine: (machine.cpus * 1000, machine.memory, disk),
        }
    }

    /// All containers: those that come first, the pod's own, and those that were added later.
    fn containers(&self) -> Vec<Container> {
        let own = self.spec.init_containers.iter().flatten().chain(&self.spec.containers);
        own.cloned().chain(ephemeral::containers(&self.spec)).collect()
    }

    fn find(&self, name: &str) -> Option<Container> {
        self.containers().into_iter().find(|one| one.name == name)
    }

    fn update(&mut self, pod: Arc<Pod>) {
        self.spec = pod.spec.clone().unwrap_or_default();
        self.pod = pod;
        let terms = Terms::of(&self.spec);
        if *self.terms != terms {
            self.terms = Arc::new(terms);
            // What was added may use another image, which is to stay.
            self.post();
        }
    }

    fn stage(&self) -> Stage {
        match (&self.ending, &self.sandbox) {
            (Some(ending), Some(_)) => Stage::Ending(ending.since),
            (Some(_), None) => Stage::Over,
            (None, None) if self.ended_before => Stage::Over,
            (None, _) => Stage::On,
        }
    }

    /// Tells readers which attempts there are.
    pub(super) fn post(&self) {
        let containers = self.runtimes.iter().filter_map(|(name, runtime)| {
            let started =
                runtime.is_running() || runtime.finished().is_some() || runtime.last.is_some();
            let since = match &runtime.state {
                State::Running { since } => since.parse().ok(),
                _ => None,
            };
            let (number, running) = (runtime.restarts(), runtime.is_running());
            started.then(|| (name.clone(), Attempt { number, running, since }))
        });
        let pod = PodRef {
            namespace: self.pod.namespace().unwrap_or_default(),
            name: self.pod.name_any(),
            uid: self.uid.clone(),
        };
        let entry = Entry {
            pod,
            started: self.start_time,
            stage: self.stage(),
            places: self.places.clone(),
            terms: self.terms.clone(),
            orders: self.orders.0.clone(),
            containers: containers.collect(),
            sandbox: self.sandbox.as_ref().map(|sandbox| (sandbox.link.clone(), sandbox.ip)),
        };
        self.ctx.board.put(&self.uid, entry);
    }

    /// Writes the status if it is not what was written last.
    async fn publish(&mut self) {
        let told = !(self.removed || self.ended_before);
        let status = told.then(|| self.status());
        let Some(status) = self.report.news(status) else { return };
        let api = self.api();
        let patch = json!({"metadata": {"uid": self.uid}, "status": status});
        let params = PatchParams::default();
        match api.patch_status(&self.pod.name_any(), &params, &Patch::Strategic(&patch)).await {
            Ok(answer) => {
                let conditions = answer.status.and_then(|status| status.conditions);
                self.conditions = conditions.unwrap_or_default();
                self.report.told(status);
            }
            // Gone, or another pod of that name: the watch tells, too.
            Err(kube::Error::Api(error)) if matches!(error.code, 404 | 409) => {
                self.report.told(status);
            }
            Err(error) => {
                tracing::warn!(pod = self.pod.name_any(), %error, "the pod's status was not written");
                self.report.failed();
            }
        }
    }

    fn status(&self) -> Value {
        status::status(&Snapshot {
            pod: &self.pod,
            pod_ip: self.sandbox.as_ref().map(|sandbox| sandbox.ip.unwrap_or(self.ctx.host_ip)),
            host_ip: self.ctx.host_ip,
            start_time: self.start_time,
            runtimes: &self.runtimes,
            sandbox: self.sandbox.is_some(),
            cut_short: self.cut_short(),
            disrupted: self.evicted.as_ref().filter(|one| one.by_node).map(|one| &*one.message),
            gone: self.is_gone(),
            before: &self.conditions,
        })
    }

    fn api(&self) -> Api<Pod> {
        let namespace = self.pod.namespace().unwrap_or_default();
        Api::namespaced(self.ctx.client.clone(), &namespace)
    }

    /// Waits for the next thing to do.
    async fn wait(&mut self) {
        let wake = self.wake_at();
        let sleep = async {
            match wake {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        let ended = async {
            match &mut self.sandbox {
                Some(sandbox) => sandbox.ended.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            message = self.inbox.recv() => match message {
                Some(Message::Update(pod)) => self.update(pod),
                Some(Message::Removed) => self.removed = true,
                // The agent is going: the pod stays as it is for the next one.
                None => std::future::pending().await,
            },
            ended = ended => self.ended(ended).await,
            news = self.news.1.recv() => {
                if let Some(news) = news {
                    self.probed(news).await;
                }
            }
            order = self.orders.1.recv() => match order {
                Some(Order::Evict(eviction)) => self.evict(eviction),
                // It is done when nothing of it runs.
                Some(Order::Clear) => self.to_clear |= self.is_finished(),
                None => {}
            },
            news = self.pull_news.1.recv() => {
                if let Some(news) = news {
                    self.pulled(news);
                }
            }
            () = sleep => {}
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        let starts = self.runtimes.values().filter_map(|runtime| runtime.start_at);
        let volumes = self.volumes.as_ref().and_then(|volumes| volumes.again_at);
        let active = self.ending.is_none() && !self.is_finished();
        let due = self.setback.next(starts.chain(volumes)).filter(|_| active);
        let deadline = self.deadline().filter(|_| active);
        let others = [self.report.due(), self.confirm_at, deadline, self.ending_due()];
        due.into_iter().chain(others.into_iter().flatten()).min()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{agent, pod, uses};
    use super::*;

    #[tokio::test]
    async fn what_is_added_to_a_pod_is_known_to_be_used() {
        let (_cluster, agent) = agent("added");
        let (_agent, inbox) = mpsc::unbounded_channel();
        let mut worker = Worker::new(agent.ctx.clone(), Arc::new(pod(json!([]))), inbox);
        worker.post();
        assert!(!uses(&agent, "added:1"));
        worker.update(Arc::new(pod(json!([{"name": "debug", "image": "added:1"}]))));
        assert!(uses(&agent, "added:1") && uses(&agent, "own:1"));
    }

    #[test]
    fn after_a_setback_nothing_is_due_before_the_next_attempt() {
        let now = Instant::now();
        let mut setback = Setback::default();
        assert_eq!(setback.next([now].into_iter()), Some(now));
        assert!(setback.failed("no volume"));
        // What is due already cannot be done now: it must not wake the worker again and again.
        let next = setback.next([now].into_iter());
        assert!(next.is_some_and(|at| at >= now + Duration::from_millis(100)), "{next:?}");
        assert!(!setback.failed("no volume"));
    }
}
