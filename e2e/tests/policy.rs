//! What ranks, protects and bounds pods in the embedded cluster, with kubectl: priority classes, disruption budgets,
//! limit ranges and quotas.

#![allow(clippy::unwrap_used)]

use curtain_e2e::{Clients, Instance};

const IMAGE: &str = "docker.io/library/shelf:1";

fn web(class: &str) -> String {
    format!(
        r#"
apiVersion: v1
kind: LimitRange
metadata: {{name: small}}
spec:
  limits:
  - type: Container
    defaultRequest: {{cpu: 10m, memory: 16Mi}}
    default: {{memory: 64Mi}}
    max: {{memory: 128Mi}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      priorityClassName: {class}
      terminationGracePeriodSeconds: 1     # busybox has no handler for SIGTERM
      containers: [{{name: web, image: {IMAGE}}}]
"#
    )
}

#[test]
fn kubectl_drains_as_far_as_budgets_let_it_and_is_told_of_bounds() {
    let instance = Instance::up();
    instance.load_busybox(IMAGE, "from the shelf");
    for release in Clients::KUBECTLS {
        let space = instance.space(release);
        let kubectl = |args: &[&str]| space.kubectl(args);
        let refused = |args: &[&str], words: &str| {
            let output = kubectl(args);
            assert_ne!(output.code, 0, "{output:?}");
            assert!(output.stderr.contains(words), "{output:?}");
        };

        // A class, and the pods that get its priority and what the range gives them.
        let class = format!("high-{}", space.name());
        kubectl(&["create", "priorityclass", &class, "--value=1000"]).success();
        let listed = kubectl(&["get", "priorityclass"]).success();
        let words: Vec<&str> = listed.lines().next().unwrap().split_whitespace().collect();
        assert_eq!(words, ["NAME", "VALUE", "GLOBAL-DEFAULT", "AGE", "PREEMPTIONPOLICY"]);
        let system = listed.lines().find(|line| line.starts_with("system-node-critical")).unwrap();
        let words: Vec<&str> = system.split_whitespace().collect();
        assert_eq!(words[1..3], ["2000001000", "false"], "{system}");
        space.apply(&web(&class));
        kubectl(&["rollout", "status", "deployment/web", "--timeout=90s"]).success();
        let path = "jsonpath={.items[0].spec.priority} {.items[0].spec.containers[0].resources}";
        let seen = kubectl(&["get", "pods", "-l", "app=web", "-o", path]).success();
        let resources = r#"{"limits":{"memory":"64Mi"},"requests":{"cpu":"10m","memory":"16Mi"}}"#;
        assert_eq!(seen, format!("1000 {resources}"));
        let image = format!("--image={IMAGE}");
        let large = r#"--overrides={"spec":{"containers":[{"name":"large","image":"i","resources":{"limits":{"memory":"1Gi"}}}]}}"#;
        let words = "maximum memory usage per Container is 128Mi, but limit is 1Gi";
        refused(&["run", "large", &image, large], words);

        // A budget that wants both pods, and one that can do without.
        let budget = ["create", "pdb", "web", "--selector=app=web", "--min-available=2"];
        kubectl(&budget).success();
        let counted = "--for=jsonpath={.status.currentHealthy}=2";
        kubectl(&["wait", "--timeout=60s", counted, "pdb/web"]).success();
        let node = kubectl(&["get", "nodes", "-o", "name"]).success().trim().to_owned();
        let drain = |timeout: &str| {
            kubectl(&["drain", &node, "--pod-selector=app=web", "--force", timeout])
        };
        let output = drain("--timeout=3s");
        assert_ne!(output.code, 0, "{output:?}");
        let words = "Cannot evict pod as it would violate the pod's disruption budget.";
        assert!(output.stderr.contains(words), "{output:?}");
        let patch = r#"{"spec":{"minAvailable":0}}"#;
        kubectl(&["patch", "pdb", "web", "--type=merge", "-p", patch]).success();
        let allowed = "--for=jsonpath={.status.disruptionsAllowed}=2";
        kubectl(&["wait", "--timeout=60s", allowed, "pdb/web"]).success();
        drain("--timeout=90s").success();
        kubectl(&["uncordon", &node]).success();
        kubectl(&["rollout", "status", "deployment/web", "--timeout=90s"]).success();

        // A quota: beside two maps there is the one that every namespace has.
        kubectl(&["create", "quota", "few", "--hard=configmaps=3,requests.memory=40Mi"]).success();
        let counted = "--for=jsonpath={.status.used.requests\\.memory}=32Mi";
        kubectl(&["wait", "--timeout=60s", counted, "quota/few"]).success();
        kubectl(&["create", "configmap", "a"]).success();
        kubectl(&["create", "configmap", "b"]).success();
        let words = "exceeded quota: few, requested: configmaps=1, used: configmaps=3, limited: configmaps=3";
        refused(&["create", "configmap", "c"], words);
        let words = "exceeded quota: few, requested: requests.memory=16Mi, used: requests.memory=32Mi, limited: requests.memory=40Mi";
        refused(&["run", "more", &image], words);
        let described = kubectl(&["describe", "quota", "few"]).success();
        let counts: Vec<Vec<&str>> =
            described.lines().map(|line| line.split_whitespace().collect()).collect();
        assert!(counts.contains(&vec!["configmaps", "3", "3"]), "{described}");
        kubectl(&["delete", "configmap", "a"]).success();
        let listed = kubectl(&["get", "quota", "few"]).success();
        assert!(listed.contains("configmaps: 2/3, requests.memory: 32Mi/40Mi"), "{listed}");
        instance
            .kubectl(release, &["delete", "namespace", space.name(), "--timeout=60s"])
            .success();
    }
    instance.down();
}
