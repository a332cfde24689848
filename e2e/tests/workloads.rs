//! Jobs, CronJobs, StatefulSets and DaemonSets in the embedded cluster, made and watched by kubectl.

#![allow(clippy::unwrap_used)]

use curtain_e2e::{Clients, Instance};

const IMAGE: &str = "docker.io/library/shelf:1";

fn db() -> String {
    format!(
        r#"
apiVersion: v1
kind: Service
metadata: {{name: db}}
spec: {{clusterIP: None, selector: {{app: db}}, ports: [{{port: 8080}}]}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: db}}
spec:
  serviceName: db
  replicas: 2
  selector: {{matchLabels: {{app: db}}}}
  template:
    metadata: {{labels: {{app: db}}}}
    spec:
      terminationGracePeriodSeconds: 1     # busybox has no handler for SIGTERM
      containers:
      - name: web
        image: {IMAGE}
        readinessProbe: {{httpGet: {{path: /, port: 8080}}, periodSeconds: 1}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: agent}}
spec:
  selector: {{matchLabels: {{app: agent}}}}
  template:
    metadata: {{labels: {{app: agent}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{{name: web, image: {IMAGE}}}]
"#
    )
}

/// A pod for each of three indexes; the second fails and is given up, the others succeed.
fn indexed() -> String {
    format!(
        r#"
apiVersion: batch/v1
kind: Job
metadata: {{name: thirds}}
spec:
  completions: 3
  parallelism: 3
  completionMode: Indexed
  backoffLimitPerIndex: 0
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: main
        image: {IMAGE}
        command: [/bin/sh, -c, 'test "$JOB_COMPLETION_INDEX" != 1']
"#
    )
}

/// Due all the time; its zone is not the machine's, and the node's root has no file for it.
const BERLIN: &str = r#"
apiVersion: batch/v1
kind: CronJob
metadata: {name: berlin}
spec:
  schedule: "@every 1s"
  timeZone: Europe/Berlin
  concurrencyPolicy: Forbid
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          containers:
          - name: main
            image: docker.io/library/shelf:1
            command: [/bin/echo, Berlin]
"#;

#[test]
fn kubectl_runs_jobs_and_rolls_sets_out_and_back() {
    let instance = Instance::up();
    instance.load_busybox(IMAGE, "from the shelf");
    for release in Clients::KUBECTLS {
        let space = instance.space(release);
        let kubectl = |args: &[&str]| space.kubectl(args);
        let apply = |manifest: &str| space.apply(manifest);
        let image = format!("--image={IMAGE}");

        // One that is made by hand, and one that is made from a CronJob that is not due.
        kubectl(&["create", "job", "hello", &image, "--", "/bin/echo", "hello"]).success();
        let yearly = "--schedule=0 0 1 1 *";
        kubectl(&["create", "cronjob", "tick", &image, yearly, "--", "/bin/echo", "tick"])
            .success();
        kubectl(&["create", "job", "now", "--from=cronjob/tick"]).success();
        for (job, words) in [("job/hello", "hello\n"), ("job/now", "tick\n")] {
            kubectl(&["wait", "--timeout=60s", "--for=condition=Complete", job]).success();
            assert_eq!(kubectl(&["logs", job]).success(), words);
        }
        apply(BERLIN);
        let due = "--for=jsonpath={.status.lastSuccessfulTime}";
        kubectl(&["wait", "--timeout=60s", due, "cronjob/berlin"]).success();
        let path = "jsonpath={.items[?(@.metadata.ownerReferences[0].name==\"berlin\")].metadata.annotations.batch\\.kubernetes\\.io/cronjob-scheduled-timestamp}";
        let scheduled = kubectl(&["get", "jobs", "-o", path]).success();
        let offset = |time: &str| time.ends_with("+01:00") || time.ends_with("+02:00");
        assert!(scheduled.split_whitespace().all(offset) && !scheduled.is_empty(), "{scheduled}");
        kubectl(&["delete", "cronjob", "berlin"]).success();
        apply(&indexed());
        kubectl(&["wait", "--timeout=60s", "--for=condition=Failed", "job/thirds"]).success();
        let path = "jsonpath={.status.completedIndexes} {.status.failedIndexes} {.status.conditions[?(@.type==\"Failed\")].reason}";
        let ends = kubectl(&["get", "job", "thirds", "-o", path]).success();
        assert_eq!(ends, "0,2 1 FailedIndexes");

        // Sets of pods: made, changed, and changed back.
        apply(&db());
        let rolled = |what: &str| {
            kubectl(&["rollout", "status", what, "--timeout=90s"]).success();
        };
        rolled("statefulset/db");
        rolled("daemonset/agent");
        let call = "wget -q -O - http://db-1.db:8080/";
        kubectl(&["create", "job", "call", &image, "--", "/bin/sh", "-c", call]).success();
        kubectl(&["wait", "--timeout=60s", "--for=condition=Complete", "job/call"]).success();
        assert_eq!(kubectl(&["logs", "job/call"]).success(), "from the shelf\n");
        for set in ["statefulset/db", "daemonset/agent"] {
            kubectl(&["set", "env", set, "TURN=two"]).success();
            rolled(set);
            let history = kubectl(&["rollout", "history", set]).success();
            assert!(history.contains("\n2 "), "{history}");
            kubectl(&["rollout", "undo", set]).success();
            rolled(set);
            let path = "jsonpath={.spec.template.spec.containers[0].env}";
            assert_eq!(kubectl(&["get", set, "-o", path]).success(), "");
        }
        kubectl(&["scale", "statefulset/db", "--replicas=1"]).success();
        kubectl(&["wait", "--timeout=60s", "--for=delete", "pod/db-1"]).success();
        instance
            .kubectl(release, &["delete", "namespace", space.name(), "--timeout=60s"])
            .success();
    }
    instance.down();
}
