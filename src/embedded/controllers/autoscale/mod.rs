//! HorizontalPodAutoscalers: how many pods a target has, by what they use.
//!
//! Each is looked at when it changes, and from time to time: metrics are no objects that could be watched. What is decided
//! is in `replicas` (how many pods it takes) and `bounds` (how many there may be now); what has been recommended and done
//! before is remembered here, and lost with a restart, after which nothing goes down for a whole window.

mod bounds;
mod measure;
mod propose;
mod replicas;
mod status;
mod target;
mod uses;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler as Scaler;
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt};

use super::cache::{Cache, Change};
use super::events::{Recorder, Severity};
use super::key::Key;
use super::queue::Queue;
use super::registry::Registry;
use bounds::{Memory, Range};
use status::Draft;
use target::Found;

/// How often autoscalers look at what pods use, as real ones do.
pub const METRICS_PERIOD: Duration = Duration::from_secs(15);

/// The controller's state: the autoscalers, what is remembered of each by uid, the queue of those to look at.
struct Controller {
    client: Client,
    scalers: Arc<Cache<Scaler>>,
    remembered: Mutex<HashMap<String, Remembered>>,
    recorder: Recorder,
    period: Duration,
    queue: Queue<Key>,
}

#[derive(Default)]
struct Remembered {
    memory: Memory,
    /// When it is looked at again.
    due: Option<Instant>,
}

/// Makes the controller.
pub(super) fn register(registry: &mut Registry) {
    let controller = Arc::new(Controller {
        client: registry.client.clone(),
        scalers: registry.cache(),
        remembered: Mutex::default(),
        recorder: Recorder::new(registry.client.clone(), "horizontal-pod-autoscaler"),
        period: registry.config.metrics_period,
        queue: Queue::new(),
    });
    registry.tell(&controller, Controller::scaler_changed);
    registry.work(async move { controller.work().await });
}

impl Controller {
    /// Its own writes of the status are no reason to look again.
    fn scaler_changed(&self, change: &Change<Scaler>) {
        let generation = |it: &Option<Arc<Scaler>>| it.as_ref().map(|it| it.metadata.generation);
        match &change.new {
            Some(new) if generation(&change.old) != generation(&change.new) => {
                self.queue.add(Key::of(new.as_ref()));
            }
            Some(_) => {}
            None => {
                if let Some(old) = &change.old {
                    self.queue.add(Key::of(old.as_ref()));
                }
            }
        }
    }

    fn remembered(&self) -> MutexGuard<'_, HashMap<String, Remembered>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works for ever.
    async fn work(&self) {
        let what = "the HorizontalPodAutoscaler";
        self.queue.work(what, |key| async move { self.reconcile(&key).await }).await;
    }

    /// Forgets what is remembered of those that are gone.
    fn forget(&self) {
        let all: HashSet<String> = self.scalers.all().iter().filter_map(|it| it.uid()).collect();
        self.remembered().retain(|uid, _| all.contains(uid));
    }

    /// Does something with what is remembered of an autoscaler.
    fn with_memory<T>(&self, scaler: &Scaler, f: impl FnOnce(&mut Memory) -> T) -> T {
        let uid = scaler.uid().unwrap_or_default();
        f(&mut self.remembered().entry(uid).or_default().memory)
    }

    /// Sees to it that it is looked at again; once, however often it is looked at meanwhile.
    fn again(&self, key: &Key, scaler: &Scaler) {
        let uid = scaler.uid().unwrap_or_default();
        let mut all = self.remembered();
        let due = &mut all.entry(uid).or_default().due;
        let now = Instant::now();
        if due.is_none_or(|due| due <= now) {
            *due = Some(now + self.period);
            self.queue.add_after(key.clone(), self.period);
        }
    }

    async fn reconcile(&self, key: &Key) -> Result<(), kube::Error> {
        let Some(scaler) = self.scalers.get(key) else {
            self.forget();
            return Ok(());
        };
        self.again(key, &scaler);
        let mut draft = Draft::new(&scaler);
        match target::find(&self.client, &key.namespace, &scaler.spec.scale_target_ref).await? {
            Ok(found) => self.look(&scaler, &found, &mut draft).await?,
            Err(why) => {
                let text = format!(
                    "the HPA controller was unable to get the target's current scale: {why}"
                );
                draft.say("AbleToScale", false, "FailedGetScale", &text);
                self.complain(&scaler, "FailedGetScale", &why).await;
            }
        }
        self.write(&scaler, draft).await
    }

    /// Decides on the target that was found, and scales it.
    async fn look(
        &self,
        scaler: &Scaler,
        found: &Found,
        draft: &mut Draft,
    ) -> Result<(), kube::Error> {
        let able = "the HPA controller was able to get the target's current scale";
        draft.say("AbleToScale", true, "SucceededGetScale", able);
        let (min, max) = (scaler.spec.min_replicas.unwrap_or(1), scaler.spec.max_replicas);
        let current = found.replicas;
        draft.status.current_replicas = Some(current);
        let now = Instant::now();
        self.with_memory(scaler, |memory| memory.begin(current, now));
        let (desired, why) = if current == 0 && min != 0 {
            let text = "scaling is disabled since the replica count of the target is zero";
            draft.say("ScalingActive", false, "ScalingDisabled", text);
            (0, String::new())
        } else if current > max {
            (max, "Current number of replicas above Spec.MaxReplicas".to_owned())
        } else if current < min {
            (min, "Current number of replicas below Spec.MinReplicas".to_owned())
        } else {
            let proposed = self.propose(scaler, found, draft).await?;
            let Some((proposed, metric)) = proposed else { return Ok(()) };
            let why = if proposed > current {
                format!("{metric} above target")
            } else {
                "All metrics below target".to_owned()
            };
            let (range, rules) = (Range { min, max, current }, scaler.spec.behavior.as_ref());
            let bounded =
                self.with_memory(scaler, |memory| memory.bound(proposed, range, rules, now));
            draft.say("AbleToScale", true, bounded.able.0, bounded.able.1);
            let (limited, (reason, text)) = bounded.limited;
            draft.say("ScalingLimited", limited, reason, text);
            (bounded.replicas, why)
        };
        draft.status.desired_replicas = desired;
        if desired == current {
            return Ok(());
        }
        match found.scale(desired).await {
            Ok(()) => {
                let text =
                    format!("the HPA controller was able to update the target scale to {desired}");
                draft.say("AbleToScale", true, "SucceededRescale", &text);
                draft.scaled();
                let text = format!("New size: {desired}; reason: {why}");
                self.recorder.record(scaler, Severity::Normal, "SuccessfulRescale", &text).await;
                self.with_memory(scaler, |memory| memory.changed(desired - current, now));
            }
            Err(error) => {
                draft.status.desired_replicas = current;
                let text =
                    format!("the HPA controller was unable to update the target scale: {error}");
                draft.say("AbleToScale", false, "FailedUpdateScale", &text);
                let text = format!("New size: {desired}; reason: {why}; error: {error}");
                self.complain(scaler, "FailedRescale", &text).await;
            }
        }
        Ok(())
    }

    async fn complain(&self, scaler: &Scaler, reason: &str, text: &str) {
        self.recorder.record(scaler, Severity::Warning, reason, text).await;
    }

    async fn write(&self, scaler: &Scaler, draft: Draft) -> Result<(), kube::Error> {
        let status = draft.finish();
        if scaler.status.as_ref() == Some(&status) {
            return Ok(());
        }
        let mut updated = scaler.clone();
        updated.status = Some(status);
        let namespace = scaler.namespace().unwrap_or_default();
        let api: Api<Scaler> = Api::namespaced(self.client.clone(), &namespace);
        match api.replace_status(&scaler.name_any(), &PostParams::default(), &updated).await {
            Ok(answer) => {
                self.scalers.put(answer);
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(error),
        }
    }
}
