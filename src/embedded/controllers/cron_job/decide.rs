//! What a CronJob does about its Jobs.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use k8s_openapi::api::batch::v1::{CronJob, CronJobStatus, Job};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::{Resource, ResourceExt};

use super::schedule::Due;
use crate::controllers::events::Severity::{self, Normal, Warning};
use crate::controllers::job::end;
use crate::controllers::selector::owner_reference;

const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/// An Event to record.
pub(super) type Word = (Severity, &'static str, String);

/// Brings the status up to what `jobs`, all that it controls, say.
pub(super) fn observe(cron: &CronJob, jobs: &[Arc<Job>]) -> (CronJobStatus, Vec<Word>) {
    let mut status = cron.status.clone().unwrap_or_default();
    let mut active = status.active.take().unwrap_or_default();
    let mut words = Vec::new();
    for job in jobs {
        let known = active.iter().position(|known| known.uid == job.metadata.uid);
        match (end(job), known) {
            (None, None) => {
                let name = job.name_any();
                let text =
                    format!("Saw a job that the controller did not create or forgot: {name}");
                words.push((Warning, "UnexpectedJob", text));
            }
            (Some(end), Some(known)) => {
                active.remove(known);
                let (name, kind) = (job.name_any(), &end.type_);
                let text = format!("Saw completed job: {name}, condition: {kind}");
                words.push((Normal, "SawCompletedJob", text));
            }
            _ => {}
        }
        let completed = end(job).filter(|end| end.type_ == "Complete");
        if let Some(at) = completed.and(completion_time(job)) {
            let last = status.last_successful_time.as_ref().map(|time| time.0);
            status.last_successful_time = last.max(Some(at)).map(Time);
        }
    }
    active.retain(|known| {
        let exists = jobs.iter().any(|job| job.metadata.uid == known.uid);
        if !exists {
            let name = known.name.clone().unwrap_or_default();
            words.push((Normal, "MissingJob", format!("Active job went missing: {name}")));
        }
        exists
    });
    status.active = Some(active).filter(|active| !active.is_empty());
    (status, words)
}

fn completion_time(job: &Job) -> Option<Timestamp> {
    Some(job.status.as_ref()?.completion_time.as_ref()?.0)
}

/// What happens at a time that is due.
#[derive(Debug, PartialEq)]
pub(super) enum Start {
    /// A Job is made for this time. The former ones go first when they are to be replaced.
    Yes {
        at: Timestamp,
        replaces: bool,
    },
    No(Option<Word>),
}

/// Decides whether a Job is started. `status` is what [`observe`] gave.
pub(super) fn start(cron: &CronJob, status: &CronJobStatus, due: &Due) -> Start {
    let Some(at) = due.at else { return Start::No(None) };
    let active = status.active.as_ref().is_some_and(|active| !active.is_empty());
    match cron.spec.concurrency_policy.as_deref() {
        Some("Forbid") if active => {
            let text = "Not starting job because prior execution is running and concurrency policy is Forbid";
            Start::No(Some((Normal, "JobAlreadyActive", text.into())))
        }
        Some("Replace") => Start::Yes { at, replaces: active },
        _ => Start::Yes { at, replaces: false },
    }
}

/// Deletes the active Jobs. Those that are left after a failure stay in the status, because they run on.
pub(super) async fn replace<F, E>(
    status: &mut CronJobStatus,
    delete: impl Fn(ObjectReference) -> F,
) -> Result<(), E>
where
    F: Future<Output = Result<(), E>>,
{
    while let Some(first) = status.active.as_ref().and_then(|active| active.first()) {
        delete(first.clone()).await?;
        status.active.as_mut().map(|active| active.remove(0));
    }
    status.active = None;
    Ok(())
}

/// The Job for a time. There is one of its name only, so that none is started twice.
pub(super) fn job(cron: &CronJob, at: Timestamp, zone: &TimeZone) -> Option<Job> {
    let template = &cron.spec.job_template;
    let meta = template.metadata.as_ref();
    let mut annotations = meta.and_then(|meta| meta.annotations.clone()).unwrap_or_default();
    let shown = match zone.to_offset(at).seconds() {
        0 => at.to_string(),
        _ => at.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
    };
    annotations.insert(SCHEDULED.into(), shown);
    let metadata = ObjectMeta {
        name: Some(format!("{}-{}", cron.name_any(), at.as_second() / 60)),
        namespace: cron.namespace(),
        labels: meta.and_then(|meta| meta.labels.clone()),
        annotations: Some(annotations),
        owner_references: Some(vec![owner_reference(cron)?]),
        ..ObjectMeta::default()
    };
    Some(Job { metadata, spec: template.spec.clone(), status: None })
}

/// How the status names a Job.
pub(super) fn reference(job: &Job) -> ObjectReference {
    ObjectReference {
        api_version: Some(Job::api_version(&()).into_owned()),
        kind: Some(Job::kind(&()).into_owned()),
        name: job.metadata.name.clone(),
        namespace: job.namespace(),
        uid: job.uid(),
        resource_version: job.resource_version(),
        field_path: None,
    }
}

/// The oldest Jobs that have ended, above what is kept of each kind.
pub(super) fn expired(cron: &CronJob, jobs: &[Arc<Job>]) -> Vec<Arc<Job>> {
    let limits = [
        ("Complete", cron.spec.successful_jobs_history_limit.unwrap_or(3)),
        ("Failed", cron.spec.failed_jobs_history_limit.unwrap_or(1)),
    ];
    let begun = |job: &Job| job.status.as_ref().and_then(|s| s.start_time.as_ref()).map(|t| t.0);
    let mut expired = Vec::new();
    for (kind, limit) in limits {
        let mut ended: Vec<_> = jobs
            .iter()
            .filter(|job| end(job).is_some_and(|end| end.type_ == kind))
            .filter(|job| job.metadata.deletion_timestamp.is_none())
            .cloned()
            .collect();
        ended.sort_by_key(|job| (begun(job), job.name_any()));
        let surplus = ended.len().saturating_sub(usize::try_from(limit).unwrap_or_default());
        expired.extend(ended.into_iter().take(surplus));
    }
    expired
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + minute * 60).expect("a time")
    }

    fn cron(spec: Value, active: &[&str]) -> CronJob {
        let active: Vec<_> = active.iter().map(|name| json!({"name":name,"uid":name})).collect();
        let mut cron = json!({"metadata":{"name":"tick","namespace":"ns","uid":"c"},"status":{"active":active},
            "spec":{"schedule":"* * * * *","jobTemplate":{"metadata":{"labels":{"a":"b"},"annotations":{"c":"d"}},
                "spec":{"template":{}}}}});
        let spec = spec.as_object().cloned().expect("an object");
        cron["spec"].as_object_mut().expect("an object").extend(spec);
        serde_json::from_value(cron).expect("a CronJob")
    }

    fn ended(name: &str, kind: &str, minute: i64) -> Arc<Job> {
        let conditions = json!([{"type":kind,"status":"True"}]);
        Arc::new(
            serde_json::from_value(json!({"metadata":{"name":name,"uid":name},"spec":{"template":{}},
                "status":{"startTime":at(minute).to_string(),"completionTime":at(minute).to_string(),"conditions":conditions}}))
            .expect("a Job"),
        )
    }

    #[test]
    fn what_became_of_the_jobs_is_seen() {
        let cron = cron(json!({}), &["done", "runs", "gone"]);
        let jobs = [
            ended("done", "Complete", 2),
            ended("runs", "Suspended", 3),
            ended("odd", "Suspended", 3),
            ended("old", "Complete", 1),
        ];
        let (status, words) = observe(&cron, &jobs);
        let active: Vec<_> =
            status.active.iter().flatten().filter_map(|a| a.name.as_deref()).collect();
        assert_eq!(active, ["runs"]);
        assert_eq!(status.last_successful_time, Some(Time(at(2))));
        let said: Vec<_> = words.iter().map(|(_, reason, text)| (*reason, text.as_str())).collect();
        assert_eq!(
            said,
            [
                ("SawCompletedJob", "Saw completed job: done, condition: Complete"),
                ("UnexpectedJob", "Saw a job that the controller did not create or forgot: odd"),
                ("MissingJob", "Active job went missing: gone"),
            ]
        );
    }

    #[test]
    fn policies_say_what_comes_of_two_at_a_time() {
        let due = Due { at: Some(at(1)), many: false, next: None };
        for (policy, active, expected) in [
            ("Allow", &["x"][..], Some(false)),
            ("Forbid", &["x"], None),
            ("Forbid", &[], Some(false)),
            ("Replace", &["x"], Some(true)),
            ("Replace", &[], Some(false)),
        ] {
            let cron = cron(json!({"concurrencyPolicy":policy}), active);
            let status = cron.status.clone().expect("a status");
            match (start(&cron, &status, &due), expected) {
                (Start::Yes { replaces, .. }, Some(expected)) => assert_eq!(replaces, expected),
                (Start::No(Some((_, "JobAlreadyActive", _))), None) => {}
                (other, _) => panic!("{policy} {active:?}: {other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn jobs_that_cannot_be_deleted_are_not_forgotten() {
        let named = |name: &str| ObjectReference { name: Some(name.into()), ..Default::default() };
        let mut status = CronJobStatus {
            active: Some(vec![named("a"), named("b"), named("c")]),
            ..CronJobStatus::default()
        };
        let fails = |job: ObjectReference| async move {
            if job.name.as_deref() == Some("b") { Err("no") } else { Ok(()) }
        };
        assert_eq!(replace(&mut status, fails).await, Err("no"));
        assert_eq!(status.active, Some(vec![named("b"), named("c")]));
        assert_eq!(replace(&mut status, |_| async { Ok::<(), ()>(()) }).await, Ok(()));
        assert_eq!(status.active, None);
    }

    #[test]
    fn jobs_are_named_by_the_minute() {
        let cron = cron(json!({}), &[]);
        let made = job(&cron, at(0), &TimeZone::UTC).expect("a Job");
        assert_eq!(made.name_any(), "tick-29453760");
        assert_eq!(made.annotations()[SCHEDULED], "2026-01-01T00:00:00Z");
        assert_eq!((made.labels()["a"].as_str(), made.annotations()["c"].as_str()), ("b", "d"));
        let zone = TimeZone::get("Europe/Berlin").expect("a zone");
        let made = job(&cron, at(0), &zone).expect("a Job");
        assert_eq!(made.annotations()[SCHEDULED], "2026-01-01T01:00:00+01:00");
    }

    #[test]
    fn so_many_are_kept_of_each_kind() {
        let jobs = [
            ended("c3", "Complete", 3),
            ended("c1", "Complete", 1),
            ended("c2", "Complete", 2),
            ended("f1", "Failed", 1),
            ended("f2", "Failed", 2),
            ended("r", "Suspended", 0),
        ];
        let names = |spec: Value| {
            let gone = expired(&cron(spec, &[]), &jobs);
            gone.iter().map(|job| job.name_any()).collect::<Vec<_>>()
        };
        assert_eq!(names(json!({})), ["f1"]);
        assert_eq!(
            names(json!({"successfulJobsHistoryLimit":1,"failedJobsHistoryLimit":0})),
            ["c1", "c2", "f1", "f2"]
        );
    }
}
