//! Jobs: pods until enough of them have succeeded, or too many have failed.
//!
//! A reconciliation decides whether the Job has come to its end (`verdict.rs`), makes or takes away pods (`plan.rs`),
//! and then counts those that have ended (`account.rs`). What it decides on are the Job and its pods alone, so
//! whoever starts anew goes on where they stand.

mod account;
mod backoff;
mod indexes;
mod orphans;
mod plan;
mod pods;
mod policy;
mod tally;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use futures::future::{join_all, try_join_all};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobStatus};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, PostParams, Preconditions};
use kube::{Api, Client, ResourceExt};

use super::cache::{Cache, Change};
use super::events::Severity::{self, Normal, Warning};
use super::key::Key;
use super::owners::concerned;
use super::pod_control::PodControl;
use super::queue::Queue;
use super::registry::Registry;
use account::account;
use plan::{Plan, plan};
use pods::{TRACKING, is_suspended, spec};
use tally::tally;
use verdict::{Verdict, verdict};

pub(super) use verdict::end;

/// Jobs that name another manager are left to it, until they have ended.
const MANAGER: &str = "kubernetes.io/job-controller";

/// The controller's state: caches it reads, the queue of Jobs to look at and that of pods to let go.
struct Controller {
    client: Client,
    jobs: Arc<Cache<Job>>,
    pods: Arc<Cache<Pod>>,
    control: PodControl,
    queue: Queue<Key>,
    orphans: Queue<Key>,
}

/// Makes the controller.
pub(super) fn register(registry: &mut Registry) {
    let controller = Arc::new(Controller {
        client: registry.client.clone(),
        jobs: registry.cache(),
        pods: registry.cache(),
        control: PodControl::new(registry, "job-controller"),
        queue: Queue::new(),
        orphans: Queue::new(),
    });
    registry.tell(&controller, Controller::job_changed);
    registry.tell(&controller, Controller::pod_changed);
    let orphans = controller.clone();
    registry.work(async move { controller.work().await });
    registry.work(async move { orphans.let_go().await });
}

impl Controller {
    fn job_changed(&self, change: &Change<Job>) {
        if let Some(job) = change.latest() {
            self.queue.add(Key::of(job.as_ref()));
        }
        self.see_orphans(change);
    }

    fn pod_changed(&self, change: &Change<Pod>) {
        let concerned = concerned(change, &self.jobs, |job| spec(job).selector.as_ref());
        concerned.into_iter().for_each(|key| self.queue.add(key));
        if let Some(pod) = &change.new {
            self.see_orphan(pod);
        }
    }

    /// Works for ever.
    async fn work(&self) {
        self.queue.work("the Job", |key| async move { self.reconcile(&key).await }).await;
    }

    async fn reconcile(&self, key: &Key) -> Result<(), kube::Error> {
        let Some(job) = self.jobs.get(key) else { return Ok(()) };
        if verdict::end(&job).is_some() {
            return self.expire(&job).await;
        }
        if spec(&job).managed_by.as_ref().is_some_and(|manager| manager != MANAGER) {
            return Ok(());
        }
        let Some(selector) = &spec(&job).selector else { return Ok(()) };
        let pods = self.control.claim(job.as_ref(), selector, |_| true, Some(TRACKING)).await?;
        let (mut job, now) = (Job::clone(&job), Timestamp::now());
        account::start(&mut job, now);
        let tally = tally(&job, &pods);
        let verdict = verdict(&job, &pods, &tally, now);
        let mut managed = false;
        let done = match &verdict {
            Some(_) => self.control.delete(&job, &tally.active).await,
            None if job.metadata.deletion_timestamp.is_some() => Ok(()),
            None => {
                managed = true;
                match plan(&job, &pods, &tally, now) {
                    Plan::Nothing => Ok(()),
                    Plan::Remove(pods) => self.remove(&job, &pods).await,
                    Plan::Create(pods) => self.control.create(&job, &pods).await,
                    Plan::Wait(left) => {
                        self.come_back(key, left);
                        Ok(())
                    }
                }
            }
        };
        if let Some(until) = verdict::deadline(&job).filter(|_| verdict.is_none()) {
            self.queue.add_at(key.clone(), until);
        }
        self.settle(job, verdict, managed, now).await?;
        done
    }

    fn come_back(&self, key: &Key, after: Duration) {
        // What is due after the end of time is never due.
        if let Ok(at) = Timestamp::now().checked_add(after) {
            self.queue.add_at(key.clone(), at);
        }
    }

    /// Takes away pods that have neither failed nor succeeded: nobody counts them.
    async fn remove(&self, job: &Job, pods: &[Arc<Pod>]) -> Result<(), kube::Error> {
        try_join_all(pods.iter().map(|pod| self.control.drop_finalizer(pod, TRACKING))).await?;
        self.control.delete(job, pods).await
    }

    /// Counts the pods that have ended and writes the status, the end of the Job included.
    async fn settle(
        &self,
        job: Job,
        verdict: Option<Verdict>,
        managed: bool,
        now: Timestamp,
    ) -> Result<(), kube::Error> {
        let pods = self.control.owned(&job);
        let tally = tally(&job, &pods);
        let verdict = verdict.filter(|_| tally.active.is_empty());
        let mut account = account(&job, &pods, &tally, verdict.as_ref(), now);
        let switched = managed && account::suspend(&job, &mut account.status, now);
        let job = self.write(job, account.status).await?;
        if switched {
            let (reason, message) = match is_suspended(&job) {
                true => ("Suspended", "Job suspended"),
                false => ("Resumed", "Job resumed"),
            };
            self.say(&job, Normal, reason, message).await;
        }
        let released = account.release.iter();
        let released = released.map(|pod| self.control.drop_finalizer(pod, TRACKING));
        let outcome: Result<(), _> = join_all(released).await.into_iter().collect();

        let mut status = job.status.clone().unwrap_or_default();
        account::clear(&mut status, &self.control.owned(&job));
        let complete = outcome.is_ok() && !account.more;
        let ended =
            verdict.filter(|verdict| complete && account::finish(&mut status, verdict, now));
        let job = self.write(job, status).await?;
        if let Some(verdict) = ended {
            self.report(&job, &verdict).await;
        }
        if account.more {
            self.queue.add(Key::of(&job));
        }
        outcome
    }

    async fn report(&self, job: &Job, verdict: &Verdict) {
        if !verdict.success {
            return self.say(job, Warning, &verdict.reason, &verdict.message).await;
        }
        let succeeded = job.status.as_ref().and_then(|s| s.succeeded);
        if spec(job).completions.is_some_and(|wanted| succeeded.is_some_and(|n| n > wanted)) {
            let message = "Too many succeeded pods running after completion count reached";
            self.say(job, Warning, "TooManySucceededPods", message).await;
        }
        self.say(job, Normal, "Completed", "Job completed").await;
    }

    async fn say(&self, job: &Job, severity: Severity, reason: &str, message: &str) {
        self.control.recorder.record(job, severity, reason, message).await;
    }

    fn api(&self, job: &Job) -> Api<Job> {
        Api::namespaced(self.client.clone(), &job.namespace().unwrap_or_default())
    }

    /// Writes a status that is not the one that is stored, over exactly the version that was read: what is counted
    /// is counted once.
    async fn write(&self, mut job: Job, status: JobStatus) -> Result<Job, kube::Error> {
        job.status = Some(status);
        let stored = self.jobs.get(&Key::of(&job));
        if stored.is_some_and(|stored| stored.status == job.status) {
            return Ok(job);
        }
        let name = job.name_any();
        let answer = self.api(&job).replace_status(&name, &PostParams::default(), &job).await;
        match answer {
            Ok(mut answer) => {
                self.jobs.put(answer.clone());
                answer.metadata.managed_fields = None;
                Ok(answer)
            }
            // Its pods are orphans then.
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(job),
            Err(error) => Err(error),
        }
    }

    /// Deletes a Job that has ended, when its time is over.
    async fn expire(&self, job: &Job) -> Result<(), kube::Error> {
        let Some(until) = verdict::expiry(job) else { return Ok(()) };
        if until > Timestamp::now() {
            self.queue.add_at(Key::of(job), until);
            return Ok(());
        }
        let preconditions = Preconditions { uid: job.uid(), resource_version: None };
        let params =
            DeleteParams { preconditions: Some(preconditions), ..DeleteParams::foreground() };
        match self.api(job).delete(&job.name_any(), &params).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
