//! CronJobs that are due all the time.

use k8s_openapi::api::batch::v1::{CronJob, Job};

use super::*;

fn cron(ends: Option<&str>, spec: Value) -> Value {
    let labels = ends.map(|ends| json!({ "ends": ends }));
    let mut cron = json!({"metadata":{"name":"tick"},"spec":{"schedule":"@every 1s","timeZone":"Etc/UTC",
        "jobTemplate":{"spec":{"template":{"metadata":{"labels":labels},
            "spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}}}}}});
    let spec = spec.as_object().cloned().expect("an object");
    cron["spec"].as_object_mut().expect("an object").extend(spec);
    cron
}

#[tokio::test]
async fn a_job_is_made_when_it_is_time_and_kept_for_a_while() {
    let world = World::new().await;
    let (crons, jobs): (Api<CronJob>, Api<Job>) = (world.api(), world.api());
    world.create::<CronJob>(cron(Some("Succeeded"), json!({}))).await;
    let seen = until(&crons, "a success", |crons| {
        crons[0].status.as_ref().is_some_and(|status| {
            status.last_schedule_time.is_some() && status.last_successful_time.is_some()
        })
    })
    .await;
    let made = jobs.list(&Default::default()).await.expect("lists").items;
    assert!(made.iter().all(|job| job.owner_references()[0].uid == seen[0].uid().expect("a uid")));
    said(&world, "SuccessfulCreate", "Created job tick-").await;
    said(&world, "SawCompletedJob", "Saw completed job: tick-").await;

    let params = PatchParams::default();
    let stop = Patch::Merge(json!({"spec":{"suspend":true,"successfulJobsHistoryLimit":0}}));
    crons.patch("tick", &params, &stop).await.expect("patches");
    until(&jobs, "no Jobs", |jobs| jobs.is_empty()).await;
    said(&world, "SuccessfulDelete", "Deleted job tick-").await;
    world.stop().await;
}

#[tokio::test]
async fn a_job_that_still_runs_forbids_the_next() {
    let world = World::new().await;
    let crons: Api<CronJob> = world.api();
    world.create::<CronJob>(cron(None, json!({"concurrencyPolicy":"Forbid"}))).await;
    until(&crons, "a running Job", |crons| {
        crons[0].status.as_ref().is_some_and(|s| s.active.iter().flatten().count() == 1)
    })
    .await;
    said(&world, "JobAlreadyActive", "Not starting job because prior execution is running").await;
    let jobs: Api<Job> = world.api();
    assert_eq!(jobs.list(&Default::default()).await.expect("lists").items.len(), 1);
    crons.delete("tick", &DeleteParams::background()).await.expect("deletes");
    until(&jobs, "no Jobs", |jobs| jobs.is_empty()).await;
    world.stop().await;
}
