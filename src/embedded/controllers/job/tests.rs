//! A Job's decisions, without a server.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::*;

const T0: i64 = 1_767_225_600;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(T0 + seconds).expect("a time")
}

fn job(spec: Value, status: Value) -> Job {
    let mut job = json!({"metadata":{"name":"work","namespace":"ns","uid":"j"},"status":status,"spec":{
        "parallelism":1,"template":{"metadata":{"labels":{"a":"b"}},
            "spec":{"restartPolicy":"Never","initContainers":[{"name":"i"}],"containers":[{"name":"c"}]}}}});
    let spec = spec.as_object().cloned().expect("an object");
    job["spec"].as_object_mut().expect("an object").extend(spec);
    serde_json::from_value(job).expect("a Job")
}

fn asked(job: &mut Job) -> &mut k8s_openapi::api::batch::v1::JobSpec {
    job.spec.as_mut().expect("a spec")
}

/// `NAME[#INDEX][!]:PHASE[@SECOND][~][*N]`: `!` is not tracked any more, `~` on its way out, `*N` failed before.
fn pod(text: &str) -> Arc<Pod> {
    let (text, failures) = text.split_once('*').unwrap_or((text, "0"));
    let (text, deleted) = text.strip_suffix('~').map_or((text, false), |text| (text, true));
    let (name, rest) = text.split_once(':').expect("a name");
    let (phase, second) = rest.split_once('@').unwrap_or((rest, "0"));
    let (name, free) = name.strip_suffix('!').map_or((name, false), |name| (name, true));
    let (name, index) =
        name.split_once('#').map_or((name, None), |(name, index)| (name, Some(index)));
    let second: i64 = second.parse().expect("a number");
    let ended = matches!(phase, "Failed" | "Succeeded");
    let state = if ended {
        json!({"terminated":{"exitCode":i32::from(phase == "Failed"),"finishedAt":at(second).to_string()}})
    } else {
        json!({"running":{}})
    };
    let finalizers = if free { json!([]) } else { json!([TRACKING]) };
    let deletion = deleted.then(|| at(second).to_string());
    Arc::new(serde_json::from_value(json!({"metadata":{"name":name,"namespace":"ns","uid":name,"finalizers":finalizers,
        "deletionTimestamp":deletion,
        "annotations":{pods::INDEX:index.unwrap_or("none"),pods::FAILURES:failures}},
        "status":{"phase":phase,"containerStatuses":[{"name":"c","ready":false,"restartCount":0,"image":"","imageID":"","state":state}]}}))
    .expect("a Pod"))
}

fn all(text: &str) -> Vec<Arc<Pod>> {
    text.split_whitespace().map(pod).collect()
}

fn planned(job: &Job, pods: &str, now: i64) -> String {
    let pods = all(pods);
    match plan(job, &pods, &tally(job, &pods), at(now)) {
        Plan::Nothing => "nothing".into(),
        Plan::Wait(left) => format!("wait {}", left.as_secs()),
        Plan::Remove(pods) => {
            let mut names: Vec<String> = pods.iter().map(|pod| pod.name_any()).collect();
            names.sort();
            format!("remove {}", names.join(" "))
        }
        Plan::Create(pods) => {
            let index =
                |pod: &Pod| pod.annotations().get(pods::INDEX).map(|index| format!(" #{index}"));
            let indexes: String = pods.iter().filter_map(index).collect();
            format!("create {}{indexes}", pods.len())
        }
    }
}

#[test]
fn pods_are_as_many_as_are_of_use() {
    let fixed = |completions: i32, parallelism: i32| {
        job(json!({"completions":completions,"parallelism":parallelism}), json!({}))
    };
    for (job, pods, expected) in [
        (fixed(5, 2), "", "create 2"),
        (fixed(5, 2), "a:Running", "create 1"),
        (fixed(5, 2), "a:Running b:Pending", "nothing"),
        (fixed(5, 1), "a:Running b:Pending", "remove b"),
        (fixed(2, 2), "a:Succeeded b:Running", "nothing"),
        (fixed(2, 2), "a:Succeeded b:Succeeded c:Running", "remove c"),
        (fixed(1, 0), "", "nothing"),
        (fixed(2, 2), "a:Running~ b:Running", "wait 10"),
        (job(json!({"parallelism":3}), json!({})), "a:Running", "create 2"),
        (job(json!({"parallelism":3}), json!({})), "a:Succeeded b:Running", "nothing"),
        (job(json!({"suspend":true}), json!({})), "a:Running", "remove a"),
        (
            job(json!({"completions":1,"podReplacementPolicy":"Failed"}), json!({})),
            "a:Running~",
            "nothing",
        ),
    ] {
        assert_eq!(planned(&job, pods, 0), expected, "{pods}");
    }
}

#[test]
fn failed_pods_are_replaced_later_and_later() {
    let job = job(json!({"completions":1}), json!({}));
    assert_eq!(planned(&job, "a:Failed@0", 3), "wait 7");
    assert_eq!(planned(&job, "a:Failed@0", 10), "create 1");
    assert_eq!(planned(&job, "a:Failed@0 b:Failed@12", 12), "wait 20");
}

#[test]
fn every_index_has_one_pod() {
    let spec = json!({"completionMode":"Indexed","completions":4,"parallelism":3});
    let fresh = job(spec.clone(), json!({}));
    assert_eq!(planned(&fresh, "", 0), "create 3 #0 #1 #2");
    assert_eq!(planned(&fresh, "a#0:Succeeded b#2:Running", 0), "create 2 #1 #3");
    assert_eq!(planned(&fresh, "a#0:Running b#0:Pending c#9:Running", 0), "remove b c");
    let counted = job(spec, json!({"completedIndexes":"0,2"}));
    assert_eq!(planned(&counted, "", 0), "create 2 #1 #3");

    let Plan::Create(pods) = plan(&fresh, &[], &tally(&fresh, &[]), at(0)) else {
        panic!("new pods")
    };
    let spec = pods[1].spec.as_ref().expect("a spec");
    assert_eq!(pods[1].metadata.generate_name.as_deref(), Some("work-1-"));
    assert_eq!(
        (spec.hostname.as_deref(), pods[1].labels()[pods::INDEX].as_str()),
        (Some("work-1"), "1")
    );
    assert_eq!(pods[1].finalizers(), [TRACKING]);
    let told = spec.init_containers.iter().flatten().chain(&spec.containers);
    for container in told {
        assert_eq!(
            container.env.as_ref().map(|env| env[0].name.as_str()),
            Some("JOB_COMPLETION_INDEX")
        );
    }
}

#[test]
fn indexes_have_limits_of_their_own() {
    let spec = json!({"completionMode":"Indexed","completions":3,"parallelism":3,"backoffLimitPerIndex":1,"backoffLimit":2_147_483_647});
    let job = job(spec, json!({}));
    // The first failure of an index is waited for by itself, and taken over by the next pod.
    assert_eq!(planned(&job, "a#0:Failed@0 b#1:Running c#2:Running", 4), "wait 6");
    assert_eq!(planned(&job, "a#0:Failed@0 b#1:Running", 4), "create 1 #2");
    let pods = all("a#0:Failed@0 b#1:Running c#2:Running");
    let Plan::Create(made) = plan(&job, &pods, &tally(&job, &pods), at(10)) else {
        panic!("a pod")
    };
    assert_eq!(made[0].annotations()[pods::FAILURES], "1");
    let held = account(&job, &pods, &tally(&job, &pods), None, at(10));
    assert!(held.release.is_empty(), "its successor has to read it");
    // The second failure is one too many.
    let pods = all("a#0:Failed@0*1 b#1:Running c#2:Succeeded");
    let counted = account(&job, &pods, &tally(&job, &pods), None, at(10));
    assert_eq!(counted.status.failed_indexes.as_deref(), Some("0"));
    assert_eq!(counted.status.completed_indexes.as_deref(), Some("2"));
    assert_eq!(planned(&job, "a#0:Failed@0*1 b#1:Running c#2:Succeeded", 99), "nothing");
}

#[test]
fn jobs_end_for_the_reasons_that_there_are() {
    let indexed = |more: Value| {
        let mut spec = json!({"completionMode":"Indexed","completions":3,"backoffLimitPerIndex":0,"backoffLimit":99});
        spec.as_object_mut().expect("a spec").extend(more.as_object().cloned().expect("a spec"));
        job(spec, json!({}))
    };
    let started = json!({"startTime":at(0).to_string()});
    let rule = json!({"rules":[{"action":"FailJob","onExitCodes":{"operator":"In","values":[1]}}]});
    let ignore =
        json!({"rules":[{"action":"Ignore","onExitCodes":{"operator":"In","values":[1]}}]});
    for (job, pods, expected) in [
        (job(json!({"completions":1}), json!({})), "a:Running", ""),
        (job(json!({"completions":1}), json!({})), "a:Succeeded", "CompletionsReached"),
        (job(json!({"completions":1}), json!({})), "a:Succeeded b:Running", ""),
        (job(json!({}), json!({})), "a:Succeeded", "CompletionsReached"),
        (
            job(json!({"completions":3}), json!({"succeeded":2})),
            "a!:Succeeded b:Succeeded",
            "CompletionsReached",
        ),
        (
            job(json!({"completions":1,"backoffLimit":0}), json!({})),
            "a:Failed",
            "BackoffLimitExceeded",
        ),
        (job(json!({"completions":1,"backoffLimit":1}), json!({})), "a:Failed", ""),
        (
            job(json!({"completions":1,"backoffLimit":1}), json!({"failed":1})),
            "a!:Failed b:Failed",
            "BackoffLimitExceeded",
        ),
        (
            job(json!({"completions":1,"backoffLimit":0,"podFailurePolicy":ignore}), json!({})),
            "a:Failed",
            "",
        ),
        (
            job(json!({"completions":1,"activeDeadlineSeconds":50}), started.clone()),
            "a:Running",
            "DeadlineExceeded",
        ),
        (
            job(json!({"completions":1,"activeDeadlineSeconds":200}), started.clone()),
            "a:Running",
            "",
        ),
        (job(json!({"completions":1,"activeDeadlineSeconds":50,"suspend":true}), started), "", ""),
        (
            job(json!({"completions":1,"podFailurePolicy":rule}), json!({})),
            "a:Failed",
            "PodFailurePolicy",
        ),
        (indexed(json!({"maxFailedIndexes":0})), "a#0:Failed", "MaxFailedIndexesExceeded"),
        (indexed(json!({"maxFailedIndexes":1})), "a#0:Failed", ""),
        (indexed(json!({})), "a#0:Failed b#1:Succeeded c#2:Succeeded", "FailedIndexes"),
        (
            indexed(json!({"successPolicy":{"rules":[{"succeededCount":1}]}})),
            "a#1:Succeeded b#0:Running",
            "SuccessPolicy",
        ),
    ] {
        let pods_before = pods;
        let pods = all(pods);
        let found = verdict(&job, &pods, &tally(&job, &pods), at(100));
        let reason = found.map(|verdict| verdict.reason).unwrap_or_default();
        assert_eq!(reason, expected, "{pods_before}");
    }
}

#[test]
fn restarts_in_place_count_against_the_limit() {
    let mut job = job(json!({"completions":1,"backoffLimit":2}), json!({}));
    asked(&mut job).template.spec.as_mut().expect("a spec").restart_policy =
        Some("OnFailure".into());
    for (restarts, fails) in [(1, false), (2, true)] {
        let mut pod = Pod::clone(&pod("a:Running"));
        let status = pod.status.as_mut().expect("a status");
        status.container_statuses.as_mut().expect("containers")[0].restart_count = restarts;
        let pods = [Arc::new(pod)];
        let found = verdict(&job, &pods, &tally(&job, &pods), at(0));
        assert_eq!(found.is_some(), fails, "{restarts}");
    }
}

#[test]
fn every_pod_is_counted_once_whenever_the_work_is_interrupted() {
    let mut job = job(json!({"completions":3,"parallelism":3}), json!({"succeeded":1}));
    let pods = all("a!:Succeeded b:Succeeded c:Failed d:Running");
    let count = |job: &Job, pods: &[Arc<Pod>]| account(job, pods, &tally(job, pods), None, at(0));
    let first = count(&job, &pods);
    let uncounted = first.status.uncounted_terminated_pods.clone().expect("a list");
    assert_eq!(
        (uncounted.succeeded, uncounted.failed),
        (Some(vec!["b".into()]), Some(vec!["c".into()]))
    );
    assert_eq!(
        (first.status.succeeded, first.status.failed, first.status.active),
        (Some(1), None, Some(1))
    );
    let names: Vec<String> = first.release.iter().map(|pod| pod.name_any()).collect();
    assert_eq!(names, ["b", "c"]);
    // The status is written, and nothing else happened.
    job.status = Some(first.status);
    assert_eq!(Some(count(&job, &pods).status), job.status);
    let sum = tally(&job, &pods);
    assert_eq!((sum.succeeded, sum.failed), (2, 1));
    // One finalizer went.
    let pods = all("a!:Succeeded b!:Succeeded c:Failed d:Running");
    let second = count(&job, &pods);
    let uncounted = second.status.uncounted_terminated_pods.clone().expect("a list");
    assert_eq!((uncounted.succeeded, uncounted.failed), (None, Some(vec!["c".into()])));
    assert_eq!((second.status.succeeded, second.status.failed), (Some(2), None));
    job.status = Some(second.status);
    let sum = tally(&job, &pods);
    assert_eq!((sum.succeeded, sum.failed), (2, 1));
}

#[test]
fn the_end_is_announced_and_comes_when_everything_is_counted_and_gone() {
    let mut job = job(json!({"completions":1,"backoffLimit":0}), json!({}));
    let pods = all("a:Failed b:Running~");
    let decided = verdict(&job, &pods, &tally(&job, &pods), at(0)).expect("an end");
    let first = account(&job, &pods, &tally(&job, &pods), Some(&decided), at(0));
    assert_eq!(first.release.len(), 2, "all are let go");
    job.status = Some(first.status);
    assert!(verdict::condition(&job, "FailureTarget").is_some() && verdict::end(&job).is_none());
    // What was decided stays, whatever the pods say.
    assert_eq!(verdict(&job, &[], &tally(&job, &[]), at(0)), Some(decided.clone()));
    let pods = all("a!:Failed b!:Running~");
    let mut later = account(&job, &pods, &tally(&job, &pods), Some(&decided), at(0)).status;
    assert_eq!((later.failed, later.terminating), (Some(2), Some(1)));
    assert!(!account::finish(&mut later, &decided, at(0)), "one is not gone");
    let mut last =
        account(&job, &all("a!:Failed"), &tally(&job, &all("a!:Failed")), Some(&decided), at(0))
            .status;
    assert!(account::finish(&mut last, &decided, at(0)));
    job.status = Some(last);
    let end = verdict::end(&job).expect("an end");
    assert_eq!(
        (end.type_.as_str(), end.reason.as_deref()),
        ("Failed", Some("BackoffLimitExceeded"))
    );
    asked(&mut job).ttl_seconds_after_finished = Some(30);
    assert_eq!(verdict::expiry(&job), Some(at(30)));
}

#[test]
fn pods_that_a_successful_job_does_not_need_have_not_failed() {
    let spec = json!({"completionMode":"Indexed","completions":3,"successPolicy":{"rules":[{"succeededCount":1}]}});
    let job = job(spec, json!({}));
    let pods = all("a#0:Succeeded b#1:Running~");
    let decided = verdict(&job, &pods, &tally(&job, &pods), at(0)).expect("an end");
    let status = account(&job, &pods, &tally(&job, &pods), Some(&decided), at(0)).status;
    assert_eq!(status.completed_indexes.as_deref(), Some("0"));
    assert_eq!(status.uncounted_terminated_pods.and_then(|u| u.failed), None);
}

#[test]
fn suspending_and_resuming_are_said_once() {
    let mut job = job(json!({"suspend":true}), json!({"startTime":at(0).to_string()}));
    let mut status = job.status.clone().expect("a status");
    assert!(
        account::suspend(&job, &mut status, at(0)) && !account::suspend(&job, &mut status, at(1))
    );
    assert_eq!(status.start_time, None);
    asked(&mut job).suspend = Some(false);
    assert!(
        account::suspend(&job, &mut status, at(5)) && !account::suspend(&job, &mut status, at(6))
    );
    let mut never = JobStatus::default();
    assert!(!account::suspend(&job, &mut never, at(0)) && never.conditions.is_none());
}

#[test]
fn the_deadline_counts_from_when_the_job_goes_on() {
    let begun = |conditions: Value, suspend: bool| {
        let spec = json!({"completions":1,"activeDeadlineSeconds":50,"suspend":suspend});
        let mut job = job(spec, json!({"startTime":at(0).to_string(),"conditions":conditions}));
        account::start(&mut job, at(100));
        let reason = verdict(&job, &[], &tally(&job, &[]), at(100)).map(|verdict| verdict.reason);
        (job.status.and_then(|status| status.start_time), reason)
    };
    let suspended = |status: &str| json!([{"type":"Suspended","status":status}]);
    let late = Some("DeadlineExceeded".to_owned());
    assert_eq!(begun(json!([]), false), (Some(Time(at(0))), late.clone()));
    assert_eq!(begun(suspended("False"), false), (Some(Time(at(0))), late));
    assert_eq!(begun(suspended("True"), true), (Some(Time(at(0))), None));
    assert_eq!(begun(suspended("True"), false), (Some(Time(at(100))), None));
}

#[test]
fn a_deadline_after_the_end_of_time_is_none() {
    let spec = json!({"activeDeadlineSeconds":i64::MAX});
    let job = job(spec, json!({"startTime":at(0).to_string()}));
    assert_eq!(verdict::deadline(&job), None);
}
