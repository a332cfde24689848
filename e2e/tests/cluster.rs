//! The embedded cluster, seen by kubectl: workloads, Services, logs and what is left afterwards.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use curtain_e2e::{Clients, Instance, eventually, get};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(30);
const IMAGE: &str = "docker.io/library/shelf:1";

fn shelf(namespace: &str) -> String {
    format!(
        r#"
apiVersion: apps/v1
kind: Deployment
metadata: {{name: shelf, namespace: {namespace}, labels: {{app: shelf}}}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: shelf}}}}
  template:
    metadata: {{labels: {{app: shelf}}}}
    spec:
      terminationGracePeriodSeconds: 1     # busybox has no handler for SIGTERM
      containers:
      - name: web
        image: {IMAGE}
        ports: [{{name: web, containerPort: 8080}}]
        readinessProbe: {{httpGet: {{path: /, port: web}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: shelf, namespace: {namespace}}}
spec:
  type: NodePort
  selector: {{app: shelf}}
  ports: [{{port: 80, targetPort: web}}]
"#
    )
}

fn caller(namespace: &str) -> String {
    format!(
        r#"
apiVersion: v1
kind: Pod
metadata: {{name: caller, namespace: {namespace}}}
spec:
  restartPolicy: Never
  containers:
  - name: caller
    image: {IMAGE}
    command: [/bin/sh, -c, "wget -q -O - http://shelf/ && wget -q -O - http://shelf.{namespace}.svc.cluster.local/"]
"#
    )
}

#[test]
fn kubectl_runs_a_loaded_image_and_everybody_reaches_it() {
    let instance = Instance::up();
    instance.load_busybox(IMAGE, "from the shelf");

    for release in Clients::KUBECTLS {
        let namespace = release.replace('.', "-");
        let namespace = namespace.as_str();
        let kubectl =
            |args: &[&str]| instance.kubectl(release, &[&["-n", namespace], args].concat());
        let manifest = format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}\n---{}",
            shelf(namespace)
        );
        let apply = |how: &[&str]| instance.kubectl_file(release, how, &manifest).success();
        let said = apply(&["apply"]);
        assert!(said.contains("deployment.apps/shelf created"), "{said}");
        let again = apply(&["apply"]);
        assert!(again.contains("deployment.apps/shelf unchanged"), "{again}");
        // The same by the server: nobody's values differ, so nobody is in conflict.
        let by_server = apply(&["apply", "--server-side"]);
        assert!(by_server.contains("deployment.apps/shelf serverside-applied"), "{by_server}");
        kubectl(&["wait", "--timeout=30s", "--for=condition=Available", "deployment/shelf"])
            .success();

        // From another pod, by the Service's short and full name.
        instance.kubectl_file(release, &["apply"], &caller(namespace)).success();
        let done = "--for=jsonpath={.status.phase}=Succeeded";
        kubectl(&["wait", "--timeout=30s", done, "pod/caller"]).success();
        assert_eq!(kubectl(&["logs", "caller"]).success(), "from the shelf\nfrom the shelf\n");

        // From the host, through the node port.
        let path = "jsonpath={.spec.ports[0].nodePort}";
        let port = kubectl(&["get", "service", "shelf", "-o", path]).success();
        eventually("the node port to answer", LIMIT, || {
            let answer = get(&format!("http://127.0.0.1:{port}/"))?;
            (answer.body == "from the shelf\n").then_some(()).ok_or(format!("{answer:?}"))
        });

        let table = kubectl(&["get", "pods", "-l", "app=shelf"]).success();
        assert!(table.starts_with("NAME"), "{table}");
        assert_eq!(table.matches("1/1").count(), 2, "{table}");

        // What a kubelet tells of its pods, and what the node's proxy has seen of them.
        let path = "jsonpath={.items[0].metadata.name}";
        let node = kubectl(&["get", "nodes", "-o", path]).success();
        let raw = |page: &str| {
            let page = format!("/api/v1/nodes/{node}/proxy/{page}");
            kubectl(&["get", "--raw", &page]).success()
        };
        let summary: Value = serde_json::from_str(&raw("stats/summary")).unwrap();
        let pods = summary["pods"].as_array().unwrap();
        let ours = |pod: &&Value| pod["podRef"]["namespace"] == namespace;
        let shelves: Vec<&Value> = pods.iter().filter(ours).collect();
        assert_eq!(shelves.len(), 2, "{summary}");
        for shelf in shelves {
            let used = shelf["containers"][0]["memory"]["workingSetBytes"].as_u64();
            assert!(used.is_some_and(|bytes| bytes > 0), "{shelf}");
        }
        let called = format!(
            "curtain_http_requests_total{{source_namespace=\"{namespace}\",source_pod=\"caller\""
        );
        let metrics = raw("metrics/traffic");
        assert!(metrics.contains(&called), "{metrics}");
        let flows: Value = serde_json::from_str(&raw("flows?since=0")).unwrap();
        assert!(!flows["flows"].as_array().unwrap().is_empty());

        kubectl(&["delete", "namespace", namespace, "--timeout=30s"]).success();
        let gone = kubectl(&["get", "namespace", namespace]);
        assert_eq!(gone.code, 1);
        let missing = format!("namespaces \"{namespace}\" not found");
        assert!(gone.stderr.contains(&missing), "{gone:?}");
    }
    instance.down();
}
