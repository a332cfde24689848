//! Ordered and parallel sets, updates, and what becomes of claims.

use kube::ResourceExt;
use serde_json::{Value, json};

use super::super::identity::{claim_owner, claims, corrected_owners, pod};
use super::super::status::status;
use super::*;

fn set(spec: Value) -> StatefulSet {
    let mut set = json!({"metadata":{"name":"db","namespace":"ns","uid":"s","generation":2},"spec":{"replicas":3,
        "serviceName":"db","selector":{"matchLabels":{"a":"b"}},"updateStrategy":{"type":"RollingUpdate","rollingUpdate":{"partition":0}},
        "template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c"}]}}}});
    let spec = spec.as_object().cloned().expect("an object");
    set["spec"].as_object_mut().expect("an object").extend(spec);
    serde_json::from_value(set).expect("a StatefulSet")
}

fn now() -> Timestamp {
    "2026-01-01T00:01:00Z".parse().expect("a time")
}

/// `ORDINAL[old]` followed by `+` ready since long, `'` ready since now, `-` not ready, `!` failed; `~` going.
fn pods(text: &str) -> Vec<Arc<Pod>> {
    let one = |text: &str| {
        let going = text.contains('~');
        let number: String = text.chars().filter(char::is_ascii_digit).collect();
        let revision = if text.contains("old") { "old" } else { "new" };
        let phase = if text.contains('!') { "Failed" } else { "Running" };
        let since = match () {
            () if text.contains('+') => Some("2026-01-01T00:00:00Z"),
            () if text.contains('\'') => Some("2026-01-01T00:00:55Z"),
            () => None,
        };
        let ready =
            since.map(|since| json!([{"type":"Ready","status":"True","lastTransitionTime":since}]));
        let name = format!("db-{number}");
        let going = going.then_some("2026-01-01T00:00:59Z");
        Arc::new(serde_json::from_value(json!({"metadata":{"name":name,"deletionTimestamp":going,"uid":name,
            "labels":{"controller-revision-hash":revision,"statefulset.kubernetes.io/pod-name":name,"apps.kubernetes.io/pod-index":number}},
            "status":{"phase":phase,"conditions":ready}})).expect("a Pod"))
    };
    text.split_whitespace().map(one).collect()
}

fn decided(set: &StatefulSet, text: &str) -> String {
    let steps = decide(set, &pods(text), "new", now());
    let say = |step: &Step| match step {
        Step::Create { ordinal, updated: true } => format!("create {ordinal}"),
        Step::Create { ordinal, updated: false } => format!("create {ordinal} old"),
        Step::Recreate(pod) => format!("recreate {}", pod.name_any()),
        Step::Label(pod, _) => format!("label {}", pod.name_any()),
        Step::Condemn(pod) => format!("condemn {}", pod.name_any()),
        Step::Update(pod) => format!("update {}", pod.name_any()),
    };
    steps.iter().map(say).collect::<Vec<_>>().join(", ")
}

#[test]
fn ordered_sets_do_one_thing_at_a_time() {
    let set = set(json!({}));
    for (pods, expected) in [
        ("", "create 0"),
        ("0-", ""),
        ("0+", "create 1"),
        ("0+ 2+", "create 1"),
        ("0+ 1+ 2-", ""),
        ("0+ 1+ 2+", ""),
        ("0~+ 1+ 2+", ""),
        ("0+ 1! 2+", "recreate db-1"),
        ("0+ 1!~ 2+", ""),
        // One too many goes when all others are there, from the highest on.
        ("0+ 1+ 2- 3+", ""),
        ("0+ 1+ 2+ 3+ 4+", "condemn db-4"),
        ("0+ 1+ 2+ 3+ 4~+", ""),
        ("0+ 1+ 2+ 3- 4-", ""),
        ("0+ 1+ 2+ 3+ 4-", "condemn db-4"),
        // An update begins at the highest and waits for each.
        ("0old+ 1old+ 2old+", "update db-2"),
        ("0old+ 1old+ 2-", ""),
        ("0old+ 1old+ 2+", "update db-1"),
        ("0old+ 1old+", "create 2"),
    ] {
        assert_eq!(decided(&set, pods), expected, "{pods}");
    }
}

#[test]
fn parallel_sets_do_everything_at_once() {
    let set = set(json!({"podManagementPolicy":"Parallel"}));
    for (pods, expected) in [
        ("", "create 0, create 1, create 2"),
        ("0- 2-", "create 1"),
        ("0- 1- 2- 3- 4~-", "condemn db-3"),
        ("0! 1- 2-", "recreate db-0"),
        ("0old+ 1old+ 2old+", "update db-2"),
        // One that does not come up is replaced whatever else is missing.
        ("0old+ 1old+ 2old-", "update db-2"),
        ("0old+ 1old+ 2-", ""),
    ] {
        assert_eq!(decided(&set, pods), expected, "{pods}");
    }
}

#[test]
fn a_set_of_a_billion_is_made_little_by_little() {
    let steps = |policy: &str, replicas: i32, pods: &[Arc<Pod>]| {
        let set = set(json!({"podManagementPolicy":policy,"replicas":replicas}));
        decide(&set, pods, "new", now())
    };
    let made = steps("Parallel", 1_000_000_000, &pods("1- 700-"));
    assert_eq!(made.len(), 500);
    assert_eq!(made[1], Step::Create { ordinal: 2, updated: true });
    let all: Vec<String> = (0..600).map(|ordinal| format!("{ordinal}+")).collect();
    let all = pods(&all.join(" "));
    assert_eq!(steps("Parallel", 0, &all).len(), 500);
    assert_eq!(
        steps("OrderedReady", 1_000_000_000, &all),
        [Step::Create { ordinal: 600, updated: true }]
    );
}

#[test]
fn strategies_and_ordinals_are_respected() {
    let rolling =
        |more: Value| set(json!({"updateStrategy":{"type":"RollingUpdate","rollingUpdate":more}}));
    let all = "0old+ 1old+ 2old+";
    assert_eq!(decided(&rolling(json!({"partition":2})), all), "update db-2");
    assert_eq!(decided(&rolling(json!({"partition":2})), "0old+ 1old+ 2+"), "");
    assert_eq!(decided(&rolling(json!({"partition":2})), "0old+ 2+"), "create 1 old");
    assert_eq!(decided(&rolling(json!({"partition":9})), all), "");
    assert_eq!(decided(&rolling(json!({"maxUnavailable":2})), all), "update db-2, update db-1");
    assert_eq!(decided(&rolling(json!({"maxUnavailable":"10%"})), all), "update db-2");
    assert_eq!(decided(&set(json!({"updateStrategy":{"type":"OnDelete"}})), all), "");
    assert_eq!(
        decided(&set(json!({"updateStrategy":{"type":"OnDelete"}})), "0old+ 1old+"),
        "create 2"
    );
    assert_eq!(decided(&set(json!({"ordinals":{"start":5}})), "5+ 6+"), "create 7");
    assert_eq!(decided(&set(json!({"ordinals":{"start":1}})), "0+ 1+ 2+ 3+"), "condemn db-0");
    assert_eq!(decided(&set(json!({"minReadySeconds":10})), "0'"), "");
    assert_eq!(decided(&set(json!({"minReadySeconds":3})), "0'"), "create 1");
}

#[test]
fn lost_labels_come_back() {
    let mut pods = pods("0+");
    Arc::make_mut(&mut pods[0]).labels_mut().remove("apps.kubernetes.io/pod-index");
    let steps = decide(&set(json!({"replicas":1})), &pods, "new", now());
    assert_eq!(steps, [Step::Label(pods[0].clone(), 0)]);
}

#[test]
fn a_complete_update_is_what_is_current() {
    let set = set(json!({"minReadySeconds":10}));
    let at = |text: &str| status(&set, &pods(text), "old", "new", now());
    let half = at("0old+ 1+ 2'");
    assert_eq!(
        (half.replicas, half.ready_replicas, half.available_replicas),
        (3, Some(3), Some(2))
    );
    assert_eq!((half.current_replicas, half.updated_replicas), (Some(1), Some(2)));
    assert_eq!(half.current_revision.as_deref(), Some("old"));
    let whole = at("0+ 1+ 2'");
    assert_eq!((whole.current_replicas, whole.current_revision.as_deref()), (Some(3), Some("new")));
    assert_eq!(at("0+ 1+ 2~+").current_revision.as_deref(), Some("old"));
}

#[test]
fn pods_have_names_and_claims_of_their_own() {
    let set = set(json!({"volumeClaimTemplates":[{"metadata":{"name":"data"},"spec":{}}]}));
    let mut template = set.spec.template.clone();
    let spec = template.spec.as_mut().expect("a spec");
    spec.volumes =
        serde_json::from_value(json!([{"name":"data","emptyDir":{}},{"name":"x","emptyDir":{}}]))
            .ok();
    let pod = pod(&set, &template, "db-1", 4).expect("a pod");
    assert_eq!((pod.name_any().as_str(), pod.metadata.generate_name.as_deref()), ("db-4", None));
    let spec = pod.spec.as_ref().expect("a spec");
    assert_eq!((spec.hostname.as_deref(), spec.subdomain.as_deref()), (Some("db-4"), Some("db")));
    assert_eq!(pod.labels()["apps.kubernetes.io/pod-index"], "4");
    let volumes = serde_json::to_value(&spec.volumes).expect("JSON");
    assert_eq!(
        volumes,
        json!([{"name":"x","emptyDir":{}},{"name":"data","persistentVolumeClaim":{"claimName":"data-db-4"}}])
    );
    assert_eq!(claims(&set, 4)[0].1.labels()["a"], "b");
}

#[test]
fn claims_go_with_the_set_or_with_the_pod_or_stay() {
    let pod = &pods("3+")[0];
    for (deleted, scaled, of_living, of_condemned) in [
        ("Retain", "Retain", None, None),
        ("Delete", "Retain", Some("s"), Some("s")),
        ("Retain", "Delete", None, Some("db-3")),
        ("Delete", "Delete", Some("s"), Some("db-3")),
    ] {
        let policy = json!({"whenDeleted":deleted,"whenScaled":scaled});
        let set = set(
            json!({"persistentVolumeClaimRetentionPolicy":policy,"volumeClaimTemplates":[{"metadata":{"name":"data"}}]}),
        );
        for (condemned, expected) in [(None, of_living), (Some(pod.as_ref()), of_condemned)] {
            let wanted = claim_owner(&set, condemned);
            assert_eq!(wanted.as_ref().map(|o| o.uid.as_str()), expected, "{deleted} {scaled}");
            let mut claim = claims(&set, 3)[0].1.clone();
            claim.metadata.owner_references =
                corrected_owners(&set, "db-3", &claim, wanted.clone());
            assert_eq!(corrected_owners(&set, "db-3", &claim, wanted), None, "once is enough");
        }
    }
}
