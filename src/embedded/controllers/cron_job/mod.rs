//! CronJobs: a Job whenever it is time.

mod decide;
mod schedule;

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use k8s_openapi::api::batch::v1::{CronJob, CronJobStatus, Job};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{DeleteParams, PostParams, Preconditions};
use kube::{Api, Client, ResourceExt};

use super::cache::{Cache, Change};
use super::events::{Recorder, Severity};
use super::key::Key;
use super::pod_control::{is_terminating, reason};
use super::queue::Queue;
use super::registry::Registry;
use super::selector::{controlled_by, controller};
use decide::{Start, Word};

/// The controller's state: caches it reads, the queue of CronJobs to look at.
struct Controller {
    client: Client,
    crons: Arc<Cache<CronJob>>,
    jobs: Arc<Cache<Job>>,
    recorder: Recorder,
    queue: Queue<Key>,
}

/// Makes the controller.
pub(super) fn register(registry: &mut Registry) {
    let controller = Arc::new(Controller {
        client: registry.client.clone(),
        crons: registry.cache(),
        jobs: registry.cache(),
        recorder: Recorder::new(registry.client.clone(), "cronjob-controller"),
        queue: Queue::new(),
    });
    registry.tell(&controller, Controller::cron_changed);
    registry.tell(&controller, Controller::job_changed);
    registry.work(async move { controller.work().await });
}

impl Controller {
    fn cron_changed(&self, change: &Change<CronJob>) {
        if let Some(cron) = change.latest() {
            self.queue.add(Key::of(cron.as_ref()));
        }
    }

    fn job_changed(&self, change: &Change<Job>) {
        for job in change.old.iter().chain(&change.new) {
            let owner = controller(&job.metadata).filter(|owner| owner.kind == "CronJob");
            if let Some(owner) = owner {
                self.queue.add(Key::new(&job.namespace().unwrap_or_default(), &owner.name));
            }
        }
    }

    /// Works for ever.
    async fn work(&self) {
        self.queue.work("the CronJob", |key| async move { self.reconcile(&key).await }).await;
    }

    fn owned(&self, cron: &CronJob) -> Vec<Arc<Job>> {
        let mut jobs = self.jobs.in_namespace(&cron.namespace().unwrap_or_default());
        jobs.retain(|job| controlled_by(&job.metadata, cron.metadata.uid.as_deref()));
        jobs
    }

    async fn reconcile(&self, key: &Key) -> Result<(), kube::Error> {
        let Some(cron) = self.crons.get(key) else { return Ok(()) };
        let cron = cron.as_ref();
        let jobs = self.owned(cron);
        let (mut status, words) = decide::observe(cron, &jobs);
        for word in words {
            self.say(cron, word).await;
        }
        let started = self.keep_time(cron, &mut status).await;
        self.write(cron, status).await?;
        for job in decide::expired(cron, &jobs) {
            self.delete(cron, &job.name_any(), job.uid()).await?;
        }
        started
    }

    /// Starts a Job if it is time, and comes back when it is time again.
    async fn keep_time(
        &self,
        cron: &CronJob,
        status: &mut CronJobStatus,
    ) -> Result<(), kube::Error> {
        if cron.metadata.deletion_timestamp.is_some() || cron.spec.suspend == Some(true) {
            return Ok(());
        }
        let (schedule, zone) = match schedule::read(cron) {
            Ok(read) => read,
            Err((reason, text)) => {
                self.say(cron, (Severity::Warning, reason, text)).await;
                return Ok(());
            }
        };
        let due = schedule::due(cron, &schedule, &zone, Timestamp::now());
        if let Some(next) = due.next {
            self.queue.add_at(Key::of(cron), next);
        }
        if due.many {
            let text = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
            self.say(cron, (Severity::Warning, "TooManyMissedTimes", text.into())).await;
        }
        match decide::start(cron, status, &due) {
            Start::No(word) => {
                if let Some(word) = word {
                    self.say(cron, word).await;
                }
                Ok(())
            }
            Start::Yes { at, replaces } => {
                if replaces {
                    decide::replace(status, |job| async {
                        self.delete(cron, &job.name.unwrap_or_default(), job.uid).await
                    })
                    .await?;
                }
                self.create(cron, status, at, &zone).await
            }
        }
    }

    async fn create(
        &self,
        cron: &CronJob,
        status: &mut CronJobStatus,
        at: Timestamp,
        zone: &TimeZone,
    ) -> Result<(), kube::Error> {
        let Some(job) = decide::job(cron, at, zone) else { return Ok(()) };
        match self.api(cron).create(&PostParams::default(), &job).await {
            Ok(created) => {
                let text = format!("Created job {}", created.name_any());
                self.say(cron, (Severity::Normal, "SuccessfulCreate", text)).await;
                status.active.get_or_insert_default().push(decide::reference(&created));
                self.jobs.put(created);
            }
            // It was started before, and the status was not written.
            Err(kube::Error::Api(answer)) if answer.is_already_exists() => {
                let existing = self.api(cron).get(&job.name_any()).await?;
                if !controlled_by(&existing.metadata, cron.metadata.uid.as_deref()) {
                    let text = format!("Error creating job: {}", answer.message);
                    self.say(cron, (Severity::Warning, "FailedCreate", text)).await;
                    return Err(kube::Error::Api(answer));
                }
                let mut active = status.active.take().unwrap_or_default();
                let known = active.iter().any(|known| known.uid == existing.metadata.uid);
                if !known && super::job::end(&existing).is_none() {
                    active.push(decide::reference(&existing));
                }
                status.active = Some(active).filter(|active| !active.is_empty());
            }
            Err(error) if is_terminating(&error) => return Ok(()),
            Err(error) => {
                let text = format!("Error creating job: {}", reason(&error));
                self.say(cron, (Severity::Warning, "FailedCreate", text)).await;
                return Err(error);
            }
        }
        status.last_schedule_time = Some(Time(at));
        Ok(())
    }

    fn api(&self, cron: &CronJob) -> Api<Job> {
        Api::namespaced(self.client.clone(), &cron.namespace().unwrap_or_default())
    }

    async fn delete(
        &self,
        cron: &CronJob,
        name: &str,
        uid: Option<String>,
    ) -> Result<(), kube::Error> {
        let preconditions = Preconditions { uid, resource_version: None };
        let params =
            DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
        match self.api(cron).delete(name, &params).await {
            Ok(_) => {
                let text = format!("Deleted job {name}");
                self.say(cron, (Severity::Normal, "SuccessfulDelete", text)).await;
                Ok(())
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
            Err(error) => {
                let text = format!("Deleted job: {}", reason(&error));
                self.say(cron, (Severity::Warning, "FailedDelete", text)).await;
                Err(error)
            }
        }
    }

    async fn say(&self, cron: &CronJob, (severity, reason, text): Word) {
        self.recorder.record(cron, severity, reason, &text).await;
    }

    async fn write(&self, cron: &CronJob, status: CronJobStatus) -> Result<(), kube::Error> {
        if *cron.status.as_ref().unwrap_or(&CronJobStatus::default()) == status {
            return Ok(());
        }
        let mut updated = cron.clone();
        updated.status = Some(status);
        let namespace = cron.namespace().unwrap_or_default();
        let api: Api<CronJob> = Api::namespaced(self.client.clone(), &namespace);
        match api.replace_status(&cron.name_any(), &PostParams::default(), &updated).await {
            Ok(answer) => {
                self.crons.put(answer);
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(error),
        }
    }
}
