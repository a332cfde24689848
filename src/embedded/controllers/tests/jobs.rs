//! Jobs, from their first pod to their last.

use k8s_openapi::api::batch::v1::Job;

use super::*;

/// Pods of the Job end as `ends` says, or run on.
fn job(spec: Value, ends: Option<&str>) -> Value {
    let labels = ends.map(|ends| json!({ "ends": ends }));
    let mut job = json!({"metadata":{"name":"work"},"spec":{"template":{"metadata":{"labels":labels},
        "spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}}}});
    let spec = spec.as_object().cloned().expect("an object");
    job["spec"].as_object_mut().expect("an object").extend(spec);
    job
}

fn condition<'j>(job: &'j Job, kind: &str) -> Option<&'j str> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|c| c.type_ == kind && c.status == "True")?.reason.as_deref()
}

fn count(jobs: &[Job], of: impl Fn(&k8s_openapi::api::batch::v1::JobStatus) -> Option<i32>) -> i32 {
    jobs[0].status.as_ref().and_then(of).unwrap_or_default()
}

#[tokio::test]
async fn a_job_completes_is_reported_and_goes_when_its_time_is_over() {
    let world = World::new().await;
    let jobs: Api<Job> = world.api();
    world.create::<Job>(job(json!({"completions":3,"parallelism":2}), Some("Succeeded"))).await;
    let seen = until(&jobs, "a complete Job", |j| condition(&j[0], "Complete").is_some()).await;
    assert_eq!(condition(&seen[0], "SuccessCriteriaMet"), Some("CompletionsReached"));
    let status = seen[0].status.as_ref().expect("a status");
    assert_eq!((status.succeeded, status.failed, status.active), (Some(3), None, None));
    assert!(status.start_time.is_some() && status.completion_time.is_some());
    let pods: Api<Pod> = world.api();
    let made = pods.list(&Default::default()).await.expect("lists").items;
    assert_eq!(made.len(), 3);
    assert!(made.iter().all(|pod| pod.finalizers().is_empty()), "all are counted");
    said(&world, "SuccessfulCreate", "Created pod: work-").await;
    said(&world, "Completed", "Job completed").await;

    let ttl = Patch::Merge(json!({"spec":{"ttlSecondsAfterFinished":0}}));
    jobs.patch("work", &PatchParams::default(), &ttl).await.expect("patches");
    until(&jobs, "no Job", |jobs| jobs.is_empty()).await;
    until(&pods, "no pods", |pods| pods.is_empty()).await;
    world.stop().await;
}

#[tokio::test]
async fn a_job_fails_when_its_pods_fail_too_often() {
    let world = World::new().await;
    let jobs: Api<Job> = world.api();
    world.create::<Job>(job(json!({"completions":1,"backoffLimit":1}), Some("Failed"))).await;
    let seen = until(&jobs, "a failed Job", |j| condition(&j[0], "Failed").is_some()).await;
    assert_eq!(condition(&seen[0], "Failed"), Some("BackoffLimitExceeded"));
    assert_eq!(condition(&seen[0], "FailureTarget"), Some("BackoffLimitExceeded"));
    assert_eq!(count(&seen, |status| status.failed), 2);
    said(&world, "BackoffLimitExceeded", "Job has reached the specified backoff limit").await;
    world.stop().await;
}

#[tokio::test]
async fn a_job_out_of_time_takes_its_pods_with_it() {
    let world = World::new().await;
    let jobs: Api<Job> = world.api();
    world.create::<Job>(job(json!({"activeDeadlineSeconds":1}), None)).await;
    let seen = until(&jobs, "a failed Job", |j| condition(&j[0], "Failed").is_some()).await;
    assert_eq!(condition(&seen[0], "Failed"), Some("DeadlineExceeded"));
    let pods: Api<Pod> = world.api();
    until(&pods, "no pods", |pods| pods.is_empty()).await;
    said(&world, "SuccessfulDelete", "Deleted pod: work-").await;
    world.stop().await;
}

#[tokio::test]
async fn every_index_succeeds_once() {
    let world = World::new().await;
    let jobs: Api<Job> = world.api();
    let spec = json!({"completions":4,"parallelism":3,"completionMode":"Indexed"});
    world.create::<Job>(job(spec, Some("Succeeded"))).await;
    let seen = until(&jobs, "a complete Job", |j| condition(&j[0], "Complete").is_some()).await;
    let indexes = seen[0].status.as_ref().and_then(|status| status.completed_indexes.as_deref());
    assert_eq!((indexes, count(&seen, |status| status.succeeded)), (Some("0-3"), 4));
    let pods: Api<Pod> = world.api();
    let made = pods.list(&Default::default()).await.expect("lists").items;
    let mut hosts: Vec<_> = made.iter().filter_map(|p| p.spec.as_ref()?.hostname.clone()).collect();
    hosts.sort();
    assert_eq!(hosts, ["work-0", "work-1", "work-2", "work-3"]);
    world.stop().await;
}

#[tokio::test]
async fn a_suspended_job_has_no_pods_and_goes_on_when_resumed() {
    let world = World::new().await;
    let (jobs, pods): (Api<Job>, Api<Pod>) = (world.api(), world.api());
    let suspend = |suspend: bool| Patch::Merge(json!({"spec":{"suspend":suspend}}));
    let params = PatchParams::default();
    world.create::<Job>(job(json!({"suspend":true,"parallelism":2,"completions":2}), None)).await;
    let seen = until(&jobs, "a suspended Job", |j| condition(&j[0], "Suspended").is_some()).await;
    assert_eq!(seen[0].status.as_ref().and_then(|s| s.start_time.clone()), None);
    assert!(pods.list(&Default::default()).await.expect("lists").items.is_empty());
    jobs.patch("work", &params, &suspend(false)).await.expect("patches");
    until(&jobs, "two active pods", |jobs| count(jobs, |status| status.active) == 2).await;
    jobs.patch("work", &params, &suspend(true)).await.expect("patches");
    until(&pods, "no pods", |pods| pods.is_empty()).await;
    let seen = until(&jobs, "no active pods", |jobs| count(jobs, |s| s.active) == 0).await;
    assert_eq!(count(&seen, |status| status.failed), 0, "nobody failed");
    said(&world, "Suspended", "Job suspended").await;
    said(&world, "Resumed", "Job resumed").await;
    world.stop().await;
}

#[tokio::test]
async fn pods_are_let_go_when_their_job_is_gone() {
    let world = World::new().await;
    let (jobs, pods): (Api<Job>, Api<Pod>) = (world.api(), world.api());
    world.create::<Job>(job(json!({"parallelism":2}), None)).await;
    until(&pods, "two pods", |pods| pods.len() == 2).await;
    jobs.delete("work", &DeleteParams::background()).await.expect("deletes");
    until(&pods, "no pods", |pods| pods.is_empty()).await;

    world.create::<Job>(job(json!({"parallelism":1}), None)).await;
    until(&pods, "a pod", |pods| pods.len() == 1).await;
    let orphan = DeleteParams {
        propagation_policy: Some(kube::api::PropagationPolicy::Orphan),
        ..DeleteParams::default()
    };
    jobs.delete("work", &orphan).await.expect("deletes");
    until(&jobs, "no Job", |jobs| jobs.is_empty()).await;
    until(&pods, "a pod that nobody counts", |pods| {
        pods.len() == 1 && pods[0].finalizers().is_empty() && pods[0].owner_references().is_empty()
    })
    .await;
    world.stop().await;
}

#[tokio::test]
async fn a_job_of_another_manager_goes_when_its_time_is_over() {
    let world = World::new().await;
    let jobs: Api<Job> = world.api();
    let spec = json!({"managedBy":"example.com/other","ttlSecondsAfterFinished":0});
    world.create::<Job>(job(spec, None)).await;
    let time = "2026-01-01T00:00:00Z";
    let done = |kind: &str| json!({"type":kind,"status":"True","reason":"CompletionsReached","lastTransitionTime":time});
    let status = json!({"status":{"succeeded":1,"startTime":time,"completionTime":time,
        "conditions":[done("SuccessCriteriaMet"),done("Complete")]}});
    let params = PatchParams::default();
    jobs.patch_status("work", &params, &Patch::Merge(status)).await.expect("patches");
    until(&jobs, "no Job", |jobs| jobs.is_empty()).await;
    world.stop().await;
}

#[tokio::test]
async fn a_pod_that_was_never_scheduled_is_counted_when_it_is_deleted() {
    let world = World::new().await;
    let (jobs, pods): (Api<Job>, Api<Pod>) = (world.api(), world.api());
    let mut work = job(json!({"podReplacementPolicy":"Failed"}), None);
    work["spec"]["template"]["spec"]["nodeSelector"] = json!({"disk":"none"});
    world.create::<Job>(work).await;
    let pod = until(&pods, "a pod", |pods| pods.len() == 1).await.remove(0);
    pods.delete(&pod.name_any(), &DeleteParams::default()).await.expect("deletes");
    until(&pods, "that it is gone", |pods| pods.iter().all(|other| other.uid() != pod.uid())).await;
    until(&jobs, "a failed pod", |jobs| count(jobs, |status| status.failed) == 1).await;
    world.stop().await;
}
