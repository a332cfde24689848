//! A chart by Helm 3 and by Helm 4: installed, upgraded, rolled back and uninstalled.

#![allow(clippy::unwrap_used)]

use std::fs;

use curtain_e2e::{Clients, Instance};

const CHART: &str = "apiVersion: v2\nname: shelf\nversion: 0.1.0\n";
const VALUES: &str = "replicas: 1\n";
const TEMPLATE: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ .Release.Name }}"}
data: {replicas: "{{ .Values.replicas }}"}
---
apiVersion: v1
kind: Service
metadata: {name: "{{ .Release.Name }}"}
spec:
  selector: {app: "{{ .Release.Name }}"}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: "{{ .Release.Name }}"}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: "{{ .Release.Name }}"}}
  template:
    metadata: {labels: {app: "{{ .Release.Name }}"}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: docker.io/library/shelf:1
        readinessProbe: {httpGet: {path: /, port: 8080}}
"#;

#[test]
fn helm_installs_upgrades_rolls_back_and_uninstalls() {
    let instance = Instance::up();
    instance.load_busybox("docker.io/library/shelf:1", "from a chart");
    let chart = instance.scratch().join("shelf");
    fs::create_dir_all(chart.join("templates")).unwrap();
    for (name, text) in
        [("Chart.yaml", CHART), ("values.yaml", VALUES), ("templates/all.yaml", TEMPLATE)]
    {
        fs::write(chart.join(name), text).unwrap();
    }
    let chart = chart.to_str().unwrap();

    for release in Clients::HELMS {
        let helm = |args: &[&str]| instance.helm(release, args).success();
        let replicas = || {
            let path = "jsonpath={.status.readyReplicas} {.spec.replicas}";
            instance
                .kubectl(Clients::KUBECTLS[1], &["get", "deployment", release, "-o", path])
                .success()
        };
        let wait = ["--wait", "--timeout", "30s"];
        helm(&[&["install", release, chart][..], &wait].concat());
        assert_eq!(replicas(), "1 1");
        helm(&[&["upgrade", release, chart, "--set", "replicas=2"][..], &wait].concat());
        assert_eq!(replicas(), "2 2");
        helm(&[&["rollback", release, "1"][..], &wait].concat());
        assert_eq!(replicas(), "1 1");
        let listed = helm(&["list", "-o", "json"]);
        assert!(listed.contains("\"revision\":\"3\"") && listed.contains("deployed"), "{listed}");
        helm(&[&["uninstall", release][..], &wait].concat());
        let selector = ["get", "deployments,services,configmaps", "-o", "name"];
        let left = instance.kubectl(Clients::KUBECTLS[1], &selector).success();
        assert!(!left.contains(release), "{left}");
    }
    instance.down();
}
