//! What pods use, and how many there are for it, in the embedded cluster with kubectl: `top`, what else reads
//! `metrics.k8s.io`, and autoscalers.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use curtain_e2e::{Clients, Instance, Output, Space, eventually};

const IMAGE: &str = "docker.io/library/shelf:1";
const PATIENCE: Duration = Duration::from_secs(120);

/// A pod that does nothing but that next to a container that does nothing, one that does nothing at all, and one that
/// waits for a node.
fn pods() -> String {
    let container = |name: &str, script: &str| {
        format!(
            "{{name: {name}, image: {IMAGE}, command: [/bin/sh, -c, '{script}'], resources: {{limits: {{cpu: 200m}}}}}}"
        )
    };
    let pod = |name: &str, rest: &str| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: {name}}}}}\nspec: {{terminationGracePeriodSeconds: 1, {rest}}}\n"
        )
    };
    let (busy, idle) = ("while :; do :; done", "while :; do sleep 5; done");
    let both = format!("containers: [{}, {}]", container("main", busy), container("side", idle));
    let alone = format!("containers: [{}]", container("main", idle));
    let waits = format!("nodeSelector: {{is: nowhere}}, {alone}");
    [pod("busy", &both), pod("idle", &alone), pod("waits", &waits)].concat()
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// What `kubectl top` prints, once there is a line for each that runs; the heading is checked.
fn top(space: &Space<'_>, args: &[&str], heading: &[&str], expected: usize) -> Vec<Vec<String>> {
    let text = eventually(&format!("kubectl {args:?}"), PATIENCE, || {
        let output = space.kubectl(args);
        match output.code == 0 && output.stdout.lines().count() == expected + 1 {
            true => Ok(output.stdout),
            false => Err(format!("{output:?}")),
        }
    });
    let mut lines = text.lines();
    assert_eq!(words(lines.next().unwrap()), heading);
    lines.map(|line| words(line).into_iter().map(Into::into).collect()).collect()
}

fn millis(text: &str) -> u64 {
    let number = text.strip_suffix('m').unwrap_or_else(|| panic!("{text} is no amount of a CPU"));
    number.parse().unwrap()
}

#[track_caller]
fn refused(output: Output, words: &str) {
    assert_ne!(output.code, 0, "{output:?}");
    assert!(output.stderr.contains(words), "{output:?}");
}

#[test]
fn kubectl_sees_what_pods_and_nodes_use() {
    let instance = Instance::up();
    instance.load_busybox(IMAGE, "from the shelf");
    for release in Clients::KUBECTLS {
        let space = instance.space(release);
        let kubectl = |args: &[&str]| space.kubectl(args);
        space.apply(&pods());
        for pod in ["pod/busy", "pod/idle"] {
            kubectl(&["wait", "--timeout=90s", "--for=condition=Ready", pod]).success();
        }

        // Of pods, of their containers, of one pod, and of the node; what a loop takes comes first.
        let (name, cpu, memory) = ("NAME", "CPU(cores)", "MEMORY(bytes)");
        for form in ["--use-protocol-buffers=true", "--use-protocol-buffers=false"] {
            let args = ["top", "pods", "--sort-by=cpu", form];
            let pods = eventually("the loop to be seen", PATIENCE, || {
                let pods = top(&space, &args, &[name, cpu, memory], 2);
                if pods[0][0] == "busy" && millis(&pods[0][1]) > millis(&pods[1][1]) {
                    return Ok(pods);
                }
                Err(format!("{pods:?}"))
            });
            assert!(pods.iter().all(|pod| pod[2].ends_with("Mi")), "{pods:?}");
        }
        let heading = ["POD", name, cpu, memory];
        let containers = ["top", "pod", "--containers", "-l", "app=busy"];
        let containers = top(&space, &containers, &heading, 2);
        let used = |name: &str| {
            let line = containers.iter().find(|line| line[..2] == ["busy", name]);
            millis(&line.unwrap_or_else(|| panic!("no {name} in {containers:?}"))[2])
        };
        assert!(used("main") > used("side"), "{containers:?}");
        top(&space, &["top", "pod", "idle"], &[name, cpu, memory], 1);
        let heading = [name, cpu, "CPU(%)", memory, "MEMORY(%)"];
        let nodes = top(&space, &["top", "nodes"], &heading, 1);
        let node = kubectl(&["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"]).success();
        assert_eq!(nodes[0][0], node);
        assert!(millis(&nodes[0][1]) > 0 && nodes[0][2].ends_with('%'), "{nodes:?}");

        // What nothing is known of, and what is not there.
        let unknown = format!("podmetrics.metrics.k8s.io \"{}/waits\" not found", space.name());
        refused(kubectl(&["top", "pod", "waits"]), &format!("(NotFound): {unknown}"));
        refused(kubectl(&["top", "pod", "none"]), "(NotFound): pods \"none\" not found");
        refused(kubectl(&["top", "pod", "-l", "app=waits"]), "metrics not available yet");
        refused(kubectl(&["top", "node", "none"]), "(NotFound): nodes \"none\" not found");

        // It is an API like others, for those who may view, and nobody writes it.
        let served = kubectl(&["api-versions"]).success();
        assert!(served.lines().any(|line| line == "metrics.k8s.io/v1beta1"), "{served}");
        let group = ["api-resources", "--api-group=metrics.k8s.io", "-o", "wide", "--no-headers"];
        for line in kubectl(&group).success().lines() {
            assert!(words(line).contains(&"get,list"), "{line}");
        }
        let table = kubectl(&["get", "pods.metrics.k8s.io"]).success();
        assert_eq!(words(table.lines().next().unwrap()), ["NAME", "CPU", "MEMORY", "WINDOW"]);
        let list = ["get", "pods.metrics.k8s.io", "--as=eve"];
        refused(kubectl(&list), "cannot list resource \"pods\" in API group \"metrics.k8s.io\"");
        kubectl(&["create", "rolebinding", "eve", "--clusterrole=view", "--user=eve"]).success();
        assert_eq!(kubectl(&list).success().lines().count(), 3);
        refused(kubectl(&["delete", "pods.metrics.k8s.io", "idle"]), "MethodNotAllowed");
        instance
            .kubectl(release, &["delete", "namespace", space.name(), "--timeout=60s"])
            .success();
    }
    instance.down();
}

/// One pod that is as busy as it is let be, which is more than it requests.
fn busy() -> String {
    format!(
        r#"
apiVersion: apps/v1
kind: Deployment
metadata: {{name: busy}}
spec:
  selector: {{matchLabels: {{app: busy}}}}
  template:
    metadata: {{labels: {{app: busy}}}}
    spec:
      terminationGracePeriodSeconds: 1     # busybox has no handler for SIGTERM
      containers:
      - name: main
        image: {IMAGE}
        command: [/bin/sh, -c, 'while :; do :; done']
        resources: {{requests: {{cpu: 10m}}, limits: {{cpu: 200m}}}}
"#
    )
}

/// Waits for a field of the autoscaler.
fn until(space: &Space<'_>, path: &str, value: &str) {
    let path = format!("jsonpath={path}");
    eventually(&format!("{path} to be {value}"), PATIENCE, || {
        let seen = space.kubectl(&["get", "hpa", "busy", "-o", &path]);
        if seen.stdout == value {
            return Ok(());
        }
        let told = space.kubectl(&["describe", "hpa", "busy"]);
        Err(format!("{seen:?} {}", told.stdout))
    });
}

#[test]
fn autoscalers_made_with_kubectl_have_as_many_pods_as_it_takes() {
    let instance = Instance::up();
    instance.load_busybox(IMAGE, "from the shelf");
    for release in Clients::KUBECTLS {
        let space = instance.space(release);
        let kubectl = |args: &[&str]| space.kubectl(args);
        space.apply(&busy());
        kubectl(&["rollout", "status", "deployment/busy", "--timeout=90s"]).success();

        // Up, as far as it is let go.
        let share = if release == Clients::KUBECTLS[0] { "--cpu-percent=50" } else { "--cpu=50%" };
        kubectl(&["autoscale", "deployment", "busy", share, "--min=1", "--max=2"]).success();
        let quick = r#"{"spec":{"behavior":{"scaleDown":{"stabilizationWindowSeconds":0}}}}"#;
        kubectl(&["patch", "hpa", "busy", "--type=merge", "-p", quick]).success();
        let older = ["get", "horizontalpodautoscalers.v1.autoscaling", "busy", "-o", "json"];
        let older = kubectl(&older).success();
        assert!(older.contains("\"targetCPUUtilizationPercentage\": 50"), "{older}");
        until(&space, "{.status.desiredReplicas}", "2");
        until(&space, "{.status.currentReplicas}", "2");
        kubectl(&["rollout", "status", "deployment/busy", "--timeout=90s"]).success();
        let told = |kind: &str| format!("{{.status.conditions[?(@.type==\"{kind}\")].reason}}");
        until(&space, &told("ScalingLimited"), "TooManyReplicas");
        until(&space, &told("ScalingActive"), "ValidMetricFound");
        let listed = kubectl(&["get", "hpa"]).success();
        let lines: Vec<Vec<&str>> = listed.lines().map(words).collect();
        let heading = ["NAME", "REFERENCE", "TARGETS", "MINPODS", "MAXPODS", "REPLICAS", "AGE"];
        assert_eq!(lines[0], heading);
        assert_eq!(lines[1][..3], ["busy", "Deployment/busy", "cpu:"], "{listed}");
        assert!(lines[1][3].ends_with("%/50%"), "{listed}");
        assert_eq!(lines[1][4..7], ["1", "2", "2"], "{listed}");
        let described = kubectl(&["describe", "hpa", "busy"]).success();
        let words = "cpu resource utilization (percentage of request) above target";
        for words in ["SuccessfulRescale", "New size: 2; reason: ", words, "% ("] {
            assert!(described.contains(words), "{words} is not in {described}");
        }

        // And down again, once there is nothing to do.
        let idle = r#"[{"op":"replace","path":"/spec/template/spec/containers/0/command","value":["/bin/sh","-c","while :; do sleep 5; done"]}]"#;
        kubectl(&["patch", "deployment", "busy", "--type=json", "-p", idle]).success();
        until(&space, "{.status.desiredReplicas}", "1");
        until(&space, "{.status.currentReplicas}", "1");
        let described = kubectl(&["describe", "hpa", "busy"]).success();
        let words = "New size: 1; reason: All metrics below target";
        assert!(described.contains(words), "{described}");

        // Of metrics that no API here has, it says so.
        let other = r#"{"spec":{"metrics":[{"type":"Pods","pods":{"metric":{"name":"q"},"target":{"type":"AverageValue","averageValue":"1"}}}]}}"#;
        kubectl(&["patch", "hpa", "busy", "--type=merge", "-p", other]).success();
        until(&space, &told("ScalingActive"), "FailedGetPodsMetric");
        let described = kubectl(&["describe", "hpa", "busy"]).success();
        let words = "no custom metrics API (custom.metrics.k8s.io) registered";
        assert!(described.contains(words), "{described}");
        instance
            .kubectl(release, &["delete", "namespace", space.name(), "--timeout=60s"])
            .success();
    }
    instance.down();
}
