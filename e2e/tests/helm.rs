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
        resources: {requests: {cpu: 10m}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: "{{ .Release.Name }}-store"}
spec:
  serviceName: "{{ .Release.Name }}"
  selector: {matchLabels: {app: "{{ .Release.Name }}-store"}}
  template:
    metadata: {labels: {app: "{{ .Release.Name }}-store"}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: store, image: "docker.io/library/shelf:1"}]
---
apiVersion: batch/v1
kind: Job
metadata: {name: "{{ .Release.Name }}-{{ .Release.Revision }}"}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: seed, image: "docker.io/library/shelf:1", command: [sleep, "0"]}]
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: "{{ .Release.Name }}"}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: StatefulSet, name: "{{ .Release.Name }}-store"}
  maxReplicas: 1
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: "{{ .Release.Name }}"}
spec:
  maxUnavailable: 1
  selector: {matchLabels: {app: "{{ .Release.Name }}"}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: "{{ .Release.Name }}"}
spec:
  rules:
  - host: shelf.example
    http:
      paths: [{path: /, pathType: Prefix, backend: {service: {name: "{{ .Release.Name }}", port: {number: 80}}}}]
---
apiVersion: shelves.example/v1
kind: Shelf
metadata: {name: "{{ .Release.Name }}"}
spec: {boards: {{ .Values.replicas }}}
"#;
/// What the chart brings a kind for.
const KIND: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: shelves.shelves.example}
spec:
  group: shelves.example
  names: {kind: Shelf, plural: shelves}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties: {spec: {type: object, properties: {boards: {type: integer, minimum: 1}}}}
";
/// What runs after an installation, and for `helm test`.
const HOOKS: &str = r#"
{{- range list "post-install" "test" }}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: "{{ $.Release.Name }}-{{ . }}"
  annotations: {helm.sh/hook: {{ . }}, helm.sh/hook-delete-policy: before-hook-creation}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: ask
        image: docker.io/library/shelf:1
        command: [wget, -qO-, "http://{{ $.Release.Name }}"]
{{- end }}
"#;

/// Tables of what a release consists of, as the server makes them.
const SHOWN: [(&str, &str); 6] = [
    ("v1/Service", "NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE"),
    ("v1/Deployment", "NAME READY UP-TO-DATE AVAILABLE AGE"),
    ("v1/StatefulSet", "NAME READY AGE"),
    ("v1/Job", "NAME STATUS COMPLETIONS DURATION AGE"),
    ("v1/Pod(related)", "NAME READY STATUS RESTARTS AGE"),
    ("v1/Shelf", "NAME AGE"),
];

#[test]
fn helm_installs_upgrades_rolls_back_and_uninstalls() {
    let instance = Instance::up();
    instance.load_busybox("docker.io/library/shelf:1", "from a chart");
    let chart = instance.scratch().join("shelf");
    for folder in ["templates", "crds"] {
        fs::create_dir_all(chart.join(folder)).unwrap();
    }
    for (name, text) in [
        ("Chart.yaml", CHART),
        ("values.yaml", VALUES),
        ("crds/shelves.yaml", KIND),
        ("templates/all.yaml", TEMPLATE),
        ("templates/hooks.yaml", HOOKS),
    ] {
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
        let refused = instance.helm(release, &["install", release, chart]);
        assert!(refused.code != 0 && refused.stderr.contains("still in use"), "{refused:?}");
        let planned = helm(&["upgrade", release, chart, "--dry-run=server", "--set", "replicas=3"]);
        assert!(planned.contains("replicas: 3"), "{planned}");
        assert_eq!(replicas(), "1 1");
        let tested = helm(&["test", release, "--timeout", "30s"]);
        assert!(tested.contains("TEST SUITE:") && tested.contains("Succeeded"), "{tested}");
        // Helm 4 shows them always.
        let more = if release == Clients::HELMS[0] { &["--show-resources"][..] } else { &[] };
        let status = helm(&[&["status", release], more].concat());
        assert!(status.contains("STATUS: deployed"), "{status}");
        for (kind, columns) in SHOWN {
            let table = status.split(&format!("==> {kind}\n")).nth(1).unwrap_or_default();
            let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
            assert_eq!(lines.next().unwrap_or_default().join(" "), columns, "{status}");
            assert!(lines.next().is_some_and(|row| row[0].starts_with(release)), "{status}");
        }
        helm(&[&["upgrade", release, chart, "--set", "replicas=2"][..], &wait].concat());
        assert_eq!(replicas(), "2 2");
        helm(&[&["rollback", release, "1"][..], &wait].concat());
        assert_eq!(replicas(), "1 1");
        let listed = helm(&["list", "-o", "json"]);
        assert!(listed.contains("\"revision\":\"3\"") && listed.contains("deployed"), "{listed}");
        helm(&[&["uninstall", release][..], &wait].concat());
        let selector = [
            "get",
            "deployments,services,configmaps,statefulsets,hpa,pdb,ingresses,shelves",
            "-o",
            "name",
        ];
        let left = instance.kubectl(Clients::KUBECTLS[1], &selector).success();
        assert!(!left.contains(release), "{left}");
    }
    instance.down();
}
