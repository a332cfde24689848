//! Images that nobody needs any more, removed.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use curtain_e2e::{Clients, Instance, busybox_archive, eventually};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(60);
const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  terminationGracePeriodSeconds: 1     # busybox has no handler for SIGTERM
  containers:
  - name: web
    image: team/web:v1
    readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
";

#[test]
fn what_no_pod_uses_is_removed_and_what_one_uses_is_not() {
    let instance = Instance::up();
    let kubectl = |args: &[&str]| instance.kubectl(Clients::KUBECTLS[1], args);
    for name in ["web", "idle", "spare"] {
        let archive = instance.scratch().join(format!("{name}.tar"));
        busybox_archive(&archive, &format!("docker.io/team/{name}:v1"), name).unwrap();
        instance.curtain(&["image", "load", archive.to_str().unwrap()]).success();
    }
    let file = instance.scratch().join("web.yaml");
    std::fs::write(&file, POD).unwrap();
    kubectl(&["apply", "-f", file.to_str().unwrap()]).success();
    kubectl(&["wait", "--for=condition=Ready", "pod/web", "--timeout=60s"]).success();

    let listed = instance.curtain(&["image", "list", "-o", "json"]).success();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let pods = |name: &str| {
        let named =
            |image: &&Value| image["references"] == json!([format!("docker.io/team/{name}:v1")]);
        listed.as_array().unwrap().iter().find(named).unwrap()["pods"].clone()
    };
    assert_eq!([pods("web"), pods("idle")], [json!(1), json!(0)], "{listed}");
    let text = instance.curtain(&["image", "list"]).success();
    assert!(text.starts_with("IMAGE") && text.lines().next().unwrap().ends_with("PODS"), "{text}");

    let remove = |names: &[&str]| instance.curtain(&[&["image", "remove"], names].concat());
    let refused = remove(&["team/idle:v1", "team/web:v1"]);
    assert!(refused.stderr.contains("pod default/web makes use of it"), "{refused:?}");
    let absent = remove(&["team/none:v1"]);
    assert_eq!((refused.code, absent.code), (1, 3), "{absent:?}");
    let removed = remove(&["team/idle:v1"]).success();
    assert!(removed.starts_with("removed docker.io/team/idle:v1\nfreed "), "{removed}");
    assert!(!removed.contains("freed 0.0 MB"), "{removed}");

    let prune = |more: &[&str]| {
        let told = instance.curtain(&[&["image", "prune", "-o", "json"], more].concat()).success();
        serde_json::from_str::<Value>(&told).unwrap()
    };
    let spare = json!(["docker.io/team/spare:v1"]);
    let (dry, done) = (prune(&["--dry-run"]), prune(&[]));
    assert_eq!([&dry["removed"], &done["removed"]], [&spare, &spare]);
    assert_eq!([&dry["dryRun"], &done["dryRun"]], [&json!(true), &json!(false)]);
    assert_eq!(prune(&[])["removed"], json!([]), "nothing is left of it");

    // The pod runs on, and again after the end of its container.
    let page = ["exec", "web", "--", "wget", "-qO-", "http://127.0.0.1:8080/"];
    assert_eq!(kubectl(&page).success(), "web\n");
    kubectl(&["delete", "pod", "web"]).success();
    assert!(prune(&[])["bytes"].as_u64().unwrap() > 100_000, "it is idle now");
    kubectl(&["apply", "-f", file.to_str().unwrap()]).success();
    let waits = "jsonpath={.status.containerStatuses[0].state.waiting.reason}";
    eventually("the pod to miss its image", LIMIT, || {
        let seen = kubectl(&["get", "pod", "web", "-o", waits]).success();
        if seen.contains("ImagePull") { Ok(()) } else { Err(seen) }
    });
    instance.down();
}
