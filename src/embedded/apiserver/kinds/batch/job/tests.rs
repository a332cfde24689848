//! Jobs as real servers default, refuse and print them.

use super::*;

fn job(spec: Value) -> Value {
    let mut job = json!({"metadata": {"name": "once", "uid": "u-1"}, "spec": spec});
    let spec = &mut job["spec"];
    let template = json!({"metadata": {"labels": {"app": "x"}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i:1"}]}});
    spec.default_to("template", template);
    default(&mut job);
    prepare(&mut job, None);
    job
}

fn errors(job: &Value, old: Option<&Value>) -> Vec<String> {
    let mut errors = Vec::new();
    validate(job, old, &mut errors);
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_left_out_is_what_real_servers_fill_in() {
    let once = job(json!({}));
    assert_eq!(errors(&once, None), Vec::<String>::new());
    assert_eq!(once["metadata"]["labels"], json!({"app": "x"}), "as the pods'");
    let mut spec = once["spec"].clone();
    spec["template"]["spec"] = Value::Null;
    insta::assert_json_snapshot!("defaults", spec);
    let queue = job(json!({"parallelism": 3}));
    assert!(queue.at(&["spec", "completions"]).is_none(), "a work queue counts none");
    let indexed = json!({"completionMode": "Indexed", "completions": 2, "backoffLimitPerIndex": 1});
    assert_eq!(job(indexed)["spec"]["backoffLimit"], i32::MAX);
}

#[test]
fn what_is_wrong_is_named_where_it_is() {
    let pods = |policy: &str| {
        let container = json!({"name": "c", "image": "i:1"});
        json!({"template": {"spec": {"restartPolicy": policy, "containers": [container]}}})
    };
    let indexed = |extra: Value| {
        let mut spec = json!({"completionMode": "Indexed"});
        curtain_json::merge_patch(&mut spec, &extra);
        spec
    };
    for (spec, expected) in [
        (
            pods("Always"),
            "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
        ),
        (
            json!({"backoffLimit": -1}),
            "spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            json!({"completionMode": "Odd"}),
            "spec.completionMode: Unsupported value: \"Odd\": supported values: \"NonIndexed\", \"Indexed\"",
        ),
        (
            json!({"maxFailedIndexes": 1}),
            "spec.maxFailedIndexes: Invalid value: 1: requires indexed completion mode",
        ),
        (
            indexed(json!({"parallelism": 2})),
            "spec.completions: Required value: when completion mode is Indexed",
        ),
        (
            indexed(json!({"completions": 1, "parallelism": 100_001})),
            "spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode is Indexed",
        ),
        (
            json!({"podReplacementPolicy": "Never"}),
            "spec.podReplacementPolicy: Unsupported value: \"Never\": supported values: \"Failed\", \"TerminatingOrFailed\"",
        ),
        (
            json!({"managedBy": "me"}),
            "spec.managedBy: Invalid value: \"me\": must be a domain-prefixed path (such as \"acme.io/foo\")",
        ),
        (
            json!({"selector": {"matchLabels": {"app": "x"}}}),
            "spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"x\",\"batch.kubernetes.io/controller-uid\":\"u-1\"}}: `selector` not auto-generated",
        ),
    ] {
        let mut wrong = job(spec.clone());
        wrong["metadata"]["name"] = "once".into();
        assert_eq!(errors(&wrong, None), [expected], "{spec}");
    }
    let mut own = job(json!({"manualSelector": true, "selector": {"matchLabels": {"app": "x"}}}));
    assert_eq!(errors(&own, None), Vec::<String>::new());
    own["spec"].drop_field("selector");
    assert_eq!(errors(&own, None), ["spec.selector: Required value"]);
    let mut taken = job(json!({}));
    taken["spec"]["template"]["metadata"]["labels"]["job-name"] = "other".into();
    let found = errors(&taken, None);
    assert!(
        found.len() == 1
            && found[0].starts_with("spec.template.metadata.labels[job-name]: Invalid"),
        "{found:?}"
    );
}

#[test]
fn a_job_that_has_begun_stays_what_it_is() {
    let old = job(json!({"completions": 2}));
    let changed = |path: &str, value: Value| {
        let mut new = old.clone();
        *new.pointer_mut(path).unwrap() = value;
        errors(&new, Some(&old))
    };
    for (path, value) in [
        ("/spec/parallelism", json!(4)),
        ("/spec/suspend", json!(true)),
        ("/spec/backoffLimit", json!(0)),
    ] {
        assert_eq!(changed(path, value), Vec::<String>::new(), "{path}");
    }
    for (path, value, place) in [
        ("/spec/completions", json!(3), "spec.completions"),
        ("/spec/template/spec/containers/0/image", json!("i:2"), "spec.template"),
        ("/spec/template/metadata/labels/app", json!("y"), "spec.template"),
    ] {
        let found = changed(path, value);
        assert!(
            found.len() == 1
                && found[0].starts_with(&format!("{place}: Invalid value"))
                && found[0].ends_with("field is immutable"),
            "{found:?}"
        );
    }
    let mut waiting = old.clone();
    waiting["spec"]["suspend"] = true.into();
    let mut placed = waiting.clone();
    placed["spec"]["template"]["spec"]["nodeSelector"] = json!({"disk": "ssd"});
    assert_eq!(errors(&placed, Some(&waiting)), Vec::<String>::new(), "before it starts");
    waiting["status"] = json!({"startTime": "2026-01-01T00:00:00Z"});
    assert_eq!(errors(&placed, Some(&waiting)).len(), 1, "it has started");
}

#[test]
fn jobs_print_as_kubectl_prints_them() {
    let now: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
    let cells = |spec: Value, status: Value| {
        let job = json!({"metadata": {"name": "j", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": spec, "status": status});
        json!((COLUMNS.1)(&job, now)[1..4])
    };
    let start = "2026-01-01T00:00:20Z";
    let done = json!([{"type": "Complete", "status": "True"}]);
    for (spec, status, expected) in [
        (json!({"completions": 3}), json!({}), json!(["Running", "0/3", ""])),
        (
            json!({"parallelism": 2}),
            json!({"startTime": start}),
            json!(["Running", "0/1 of 2", "40s"]),
        ),
        (json!({"parallelism": 1}), json!({"succeeded": 1}), json!(["Running", "1/1", ""])),
        (
            json!({"completions": 1}),
            json!({"succeeded": 1, "startTime": start, "completionTime": "2026-01-01T00:00:25Z", "conditions": done}),
            json!(["Complete", "1/1", "5s"]),
        ),
    ] {
        assert_eq!(cells(spec, status), expected);
    }
}
