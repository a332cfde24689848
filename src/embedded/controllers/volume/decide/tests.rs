use serde_json::{Value, json};

use super::*;
use crate::controllers::volume::samples::{claim, volume, with};

fn class(mode: &str, provisioner: &str) -> StorageClass {
    serde_json::from_value(json!({"metadata": {"name": "c"}, "provisioner": provisioner,
        "volumeBindingMode": mode}))
    .expect("a StorageClass")
}

fn free(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"capacity": {"storage": "1Gi"}, "storageClassName": "c",
        "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/srv"}}, "status": {"phase": "Available"}})
}

fn taken(uid: &str) -> Value {
    let reference = json!({"namespace": "default", "name": "data", "uid": uid});
    with(free("one"), "/spec/claimRef", reference)
}

fn wanting(spec: Value) -> PersistentVolumeClaim {
    let mut fields = json!({"storageClassName": "c"});
    fields.as_object_mut().expect("an object").extend(spec.as_object().cloned().expect("one"));
    claim(fields)
}

fn bound(name: &str) -> PersistentVolumeClaim {
    let mut claim = wanting(json!({"volumeName": name}));
    claim.annotations_mut().insert(BOUND.into(), "yes".into());
    claim
}

/// The step, and what it is about.
fn step(
    claim: &PersistentVolumeClaim,
    volumes: &[Value],
    class: Option<&StorageClass>,
    placed: bool,
) -> String {
    let node: Node = serde_json::from_value(json!({"metadata": {"name": "n"}})).expect("a Node");
    let volumes = volumes.iter().map(|v| Arc::new(volume(v.clone()))).collect::<Vec<_>>();
    let view = View { claim, volumes: &volumes, class, node: placed.then_some(&node) };
    match of_claim(&view) {
        Step::Wait(None) => "wait".into(),
        Step::Wait(Some(notice)) => format!("wait {}", notice.reason),
        Step::Bind(volume) => format!("bind {}", volume.name_any()),
        Step::Provision => "provision".into(),
        Step::Await(who) => format!("await {who}"),
        Step::Lose(notice) => format!("lose {}", notice.reason),
    }
}

#[test]
fn a_claim_takes_what_there_is_or_has_it_made() {
    let now = class("Immediate", PROVISIONER);
    let late = class("WaitForFirstConsumer", PROVISIONER);
    let wanted = wanting(json!({}));
    let one = [free("one")];
    assert_eq!(step(&wanted, &one, Some(&now), false), "bind one");
    assert_eq!(step(&wanted, &[], Some(&now), false), "provision");
    assert_eq!(step(&wanted, &one, Some(&late), false), "wait WaitForFirstConsumer");
    assert_eq!(step(&wanted, &one, Some(&late), true), "bind one");
    assert_eq!(step(&wanted, &[], Some(&late), true), "provision");
    assert_eq!(step(&wanted, &[taken("u1")], Some(&late), false), "bind one", "it is kept for it");
    assert_eq!(step(&wanted, &[taken("u2")], Some(&now), false), "provision", "of a former claim");
    assert_eq!(step(&wanted, &[], None, false), "wait ProvisioningFailed", "there is no class c");
    let other = class("Immediate", "example.com/disk");
    assert_eq!(step(&wanted, &[], Some(&other), false), "await example.com/disk");
    let nobody = class("Immediate", "kubernetes.io/no-provisioner");
    assert_eq!(step(&wanted, &[], Some(&nobody), false), "wait ProvisioningFailed");
    let none = wanting(json!({"storageClassName": ""}));
    assert_eq!(step(&none, &one, None, false), "wait FailedBinding");
    for unlike in [json!({"volumeMode": "Block"}), json!({"selector": {"matchLabels": {"a": "b"}}})]
    {
        assert_eq!(step(&wanting(unlike), &[], Some(&now), false), "wait ProvisioningFailed");
    }
}

#[test]
fn a_claim_that_names_its_volume_gets_that_or_none() {
    let named = wanting(json!({"volumeName": "one"}));
    assert_eq!(step(&named, &[free("two")], None, false), "wait");
    assert_eq!(step(&named, &[free("one")], None, false), "bind one");
    assert_eq!(step(&named, &[taken("u1")], None, false), "bind one");
    assert_eq!(step(&named, &[taken("u2")], None, false), "wait FailedBinding");
    let small = with(free("one"), "/spec/capacity", json!({"storage": "1Mi"}));
    assert_eq!(step(&named, &[small], None, false), "wait VolumeMismatch");
}

#[test]
fn a_bound_claim_keeps_its_volume_or_is_lost() {
    assert_eq!(step(&bound("one"), &[taken("u1")], None, false), "bind one");
    assert_eq!(step(&bound("one"), &[free("one")], None, false), "bind one", "again");
    assert_eq!(step(&bound("one"), &[taken("u2")], None, false), "lose ClaimMisbound");
    assert_eq!(step(&bound("one"), &[], None, false), "lose ClaimLost");
    assert_eq!(step(&bound(""), &[taken("u1")], None, false), "lose ClaimLost");
}

#[test]
fn a_volume_follows_its_claim() {
    let turn = |v: Value, claim: Option<&PersistentVolumeClaim>| of_volume(&volume(v), claim);
    let (unbound, here, elsewhere) = (wanting(json!({})), bound("one"), bound("two"));
    assert_eq!(turn(free("one"), None), Turn::Offer);
    assert_eq!(turn(taken(""), None), Turn::Offer, "it is kept for a claim to come");
    assert_eq!(turn(taken("u1"), None), Turn::Release);
    assert_eq!(turn(taken("u2"), Some(&here)), Turn::Release, "another claim of that name");
    assert_eq!(turn(taken("u1"), Some(&unbound)), Turn::Claim);
    assert_eq!(turn(taken("u1"), Some(&here)), Turn::Keep);
    assert_eq!(turn(taken("u1"), Some(&elsewhere)), Turn::Leave);
    let by_us = with(taken("u1"), "/metadata/annotations", json!({BY_CONTROLLER: "yes"}));
    assert_eq!(turn(by_us, Some(&elsewhere)), Turn::Unbind);
    let made = with(taken("u1"), "/metadata/annotations", json!({PROVISIONED_BY: PROVISIONER}));
    let made = with(made, "/spec/persistentVolumeReclaimPolicy", json!("Delete"));
    assert_eq!(turn(made, Some(&elsewhere)), Turn::Release);
}

#[test]
fn only_directories_that_were_made_here_are_removed() {
    let directory = Path::new("/home/volumes/one");
    let reclaimed = |policy: &str, by: Option<&str>, path: &str| {
        let mut v = with(free("one"), "/spec/persistentVolumeReclaimPolicy", json!(policy));
        v["spec"]["hostPath"]["path"] = path.into();
        if let Some(by) = by {
            v["metadata"]["annotations"] = json!({PROVISIONED_BY: by});
        }
        reclaim(&volume(v), Some(directory))
    };
    let ours = "/home/volumes/one";
    assert_eq!(reclaimed("Delete", Some(PROVISIONER), ours), Reclaim::Remove);
    assert_eq!(reclaimed("Retain", Some(PROVISIONER), ours), Reclaim::Retain);
    assert_eq!(reclaimed("Delete", Some("example.com/disk"), ours), Reclaim::Others);
    for (policy, by, path) in [
        ("Delete", None, ours),
        ("Delete", Some(PROVISIONER), "/etc"),
        ("Delete", Some(PROVISIONER), "/home/volumes/one/.."),
        ("Recycle", None, "/srv"),
    ] {
        let found = reclaimed(policy, by, path);
        assert!(matches!(found, Reclaim::Fail(..)), "{policy} {path}: {found:?}");
    }
}
