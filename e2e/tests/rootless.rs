//! An ordinary user's instance on the embedded cluster: what works as root's does, and what does not.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::time::Duration;

use curtain_e2e::{Clients, Instance, eventually, get};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(30);
const IMAGE: &str = "docker.io/library/shelf:1";
/// Nobody's.
const USER: u32 = 60_997;

const SHELF: &str = r#"
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shelf}
spec:
  replicas: 1
  strategy: {type: Recreate}
  selector: {matchLabels: {app: shelf}}
  template:
    metadata: {labels: {app: shelf}}
    spec:
      terminationGracePeriodSeconds: 1     # busybox has no handler for SIGTERM
      securityContext: {runAsUser: 1000, runAsGroup: 1000, runAsNonRoot: true, fsGroup: 2000}
      containers:
      - name: web
        image: docker.io/library/shelf:1
        ports: [{name: web, containerPort: 8080}]
        readinessProbe: {httpGet: {path: /, port: web}}
        resources: {limits: {memory: 64Mi, cpu: 500m}}
        volumeMounts: [{name: data, mountPath: /data}, {name: scratch, mountPath: /scratch}]
      volumes:
      - {name: data, persistentVolumeClaim: {claimName: data}}
      - {name: scratch, emptyDir: {}}
---
apiVersion: v1
kind: Service
metadata: {name: shelf}
spec:
  type: NodePort
  selector: {app: shelf}
  ports: [{port: 80, targetPort: web}]
"#;

#[test]
fn an_ordinary_user_has_a_platform_and_pods_and_is_told_what_differs() {
    let mut instance = Instance::prepare();
    instance.set_user(USER);
    instance.start();
    instance.load_busybox(IMAGE, "from the shelf");
    let release = Clients::KUBECTLS[1];
    let kubectl = |args: &[&str]| instance.kubectl(release, args);
    instance.kubectl_file(release, &["apply"], SHELF).success();
    kubectl(&["rollout", "status", "deployment/shelf", "--timeout=60s"]).success();

    let port = kubectl(&["get", "service", "shelf", "-o", "jsonpath={.spec.ports[0].nodePort}"]);
    let url = format!("http://127.0.0.1:{}/", port.success());
    eventually("the node port to answer", LIMIT, || {
        let answer = get(&url)?;
        (answer.body == "from the shelf\n").then_some(()).ok_or(format!("{answer:?}"))
    });

    // Programs in the container are who it is, and what they keep outlives it.
    let exec = |line: &str| kubectl(&["exec", "deployment/shelf", "--", "/bin/sh", "-c", line]);
    assert_eq!(exec("id -u; id -g").success(), "1000\n1000\n");
    exec("echo kept > /data/file && echo lost > /scratch/file").success();
    kubectl(&["rollout", "restart", "deployment/shelf"]).success();
    kubectl(&["rollout", "status", "deployment/shelf", "--timeout=60s"]).success();
    assert_eq!(exec("cat /data/file; ls /scratch").success(), "kept\n");

    // Its memory is all processes' together, whoever they are called inside.
    let status = instance.curtain(&["status", "--memory", "-o", "json"]).success();
    let status: Value = serde_json::from_str(&status).unwrap();
    for role in ["node run", "observer"] {
        let is = |process: &&Value| process["role"] == role && process["pss"].as_u64() > Some(0);
        assert!(status["memory"].as_array().unwrap().iter().any(|one| is(&one)), "{status}");
    }

    let limits = "jsonpath={.items[0].status.conditions[?(@.type==\"LimitsUnenforced\")].message}";
    let limits = kubectl(&["get", "nodes", "-o", limits]).success();
    assert!(limits.contains("limits of pods have no effect"), "{limits}");
    let saved = instance.curtain(&["snapshot", "save", "one"]);
    assert!(saved.code != 0 && saved.stderr.contains("an ordinary user's instance"), "{saved:?}");
    let doctor = instance.curtain(&["doctor"]).stdout;
    assert!(doctor.contains(&format!("running as user {USER}")), "{doctor}");
    println!("an ordinary user's differs from root's:\n{limits}\n{}\n{doctor}", saved.stderr);

    // Pauses and wakes as any other.
    instance.curtain(&["pause"]).success();
    instance.curtain(&["resume"]).success();
    kubectl(&["rollout", "status", "deployment/shelf", "--timeout=60s"]).success();
    eventually("what was kept to be there", LIMIT, || {
        let said = exec("cat /data/file");
        (said.code == 0 && said.stdout == "kept\n").then_some(()).ok_or(format!("{said:?}"))
    });
    instance.down();
}
