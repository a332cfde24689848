//! Claims in the embedded cluster: what a StatefulSet keeps, and what becomes of it.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use curtain_e2e::{Clients, Instance};

const IMAGE: &str = "docker.io/library/shelf:1";

/// A pod that counts in its volume how often it was started.
fn counter() -> String {
    format!(
        r#"
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: counter}}
spec:
  serviceName: counter
  replicas: 1
  selector: {{matchLabels: {{app: counter}}}}
  template:
    metadata: {{labels: {{app: counter}}}}
    spec:
      terminationGracePeriodSeconds: 1     # the shell has no handler for SIGTERM
      securityContext: {{runAsUser: 1000, fsGroup: 2000}}
      containers:
      - name: main
        image: {IMAGE}
        command: [/bin/sh, -c, 'echo started >> /data/log; sleep 600']
        readinessProbe: {{exec: {{command: [/bin/sh, -c, 'test -s /data/log']}}, periodSeconds: 1}}
        volumeMounts: [{{name: data, mountPath: /data}}]
  volumeClaimTemplates:
  - metadata: {{name: data}}
    spec:
      accessModes: [ReadWriteOnce]
      resources: {{requests: {{storage: 1Gi}}}}
"#
    )
}

/// The words of a line, by any number of spaces.
fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

#[test]
fn what_a_claim_has_stays_until_the_claim_goes() {
    let instance = Instance::up();
    instance.load_busybox(IMAGE, "from the shelf");
    for release in Clients::KUBECTLS {
        let space = instance.space(release);
        let kubectl = |args: &[&str]| space.kubectl(args);
        space.apply(&counter());
        kubectl(&["rollout", "status", "statefulset/counter", "--timeout=90s"]).success();

        // As a real cluster prints them.
        let classes = kubectl(&["get", "sc", "--no-headers"]).success();
        let expected = [
            "standard",
            "(default)",
            "curtain.dev/host-path",
            "Delete",
            "WaitForFirstConsumer",
            "true",
        ];
        assert_eq!(words(&classes)[..6], expected);
        let volume =
            kubectl(&["get", "pvc", "data-counter-0", "-o", "jsonpath={.spec.volumeName}"])
                .success();
        let all = kubectl(&["get", "pvc,pv", "--no-headers"]).success();
        let line = |start: &str| words(all.lines().find(|line| line.starts_with(start)).unwrap());
        assert_eq!(
            line("persistentvolumeclaim/")[..7],
            [
                "persistentvolumeclaim/data-counter-0",
                "Bound",
                &volume,
                "1Gi",
                "RWO",
                "standard",
                "<unset>"
            ]
        );
        assert_eq!(
            line(&format!("persistentvolume/{volume}"))[1..8],
            [
                "1Gi",
                "RWO",
                "Delete",
                "Bound",
                &format!("{}/data-counter-0", space.name()),
                "standard",
                "<unset>"
            ]
        );

        // Another pod of that name finds what the first has left.
        let log = || kubectl(&["exec", "counter-0", "--", "/bin/cat", "/data/log"]).success();
        assert_eq!(log(), "started\n");
        kubectl(&["delete", "pod", "counter-0", "--timeout=60s"]).success();
        kubectl(&["rollout", "status", "statefulset/counter", "--timeout=90s"]).success();
        assert_eq!(log(), "started\nstarted\n");

        // The claim stays while a pod names it, and takes the directory along when it goes.
        let path =
            kubectl(&["get", "pv", &volume, "-o", "jsonpath={.spec.hostPath.path}"]).success();
        assert!(Path::new(&path).join("log").exists(), "{path}");
        kubectl(&["delete", "pvc", "data-counter-0", "--wait=false"]).success();
        let claim = kubectl(&["get", "pvc", "data-counter-0", "--no-headers"]).success();
        assert_eq!(words(&claim)[1], "Terminating");
        kubectl(&["delete", "statefulset", "counter", "--timeout=60s"]).success();
        for gone in ["pvc/data-counter-0", &format!("pv/{volume}")] {
            kubectl(&["wait", "--timeout=60s", "--for=delete", gone]).success();
        }
        assert!(!Path::new(&path).exists(), "{path}");
        instance
            .kubectl(release, &["delete", "namespace", space.name(), "--timeout=60s"])
            .success();
    }
    instance.down();
}
