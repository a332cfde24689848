//! The roles and bindings that every cluster has.

use serde_json::{Value, json};

const RBAC: &str = "rbac.authorization.k8s.io/v1";
const READ: [&str; 3] = ["get", "list", "watch"];
const WRITE: [&str; 5] = ["create", "delete", "deletecollection", "patch", "update"];
const AGGREGATE: &str = "rbac.authorization.k8s.io/aggregate-to-";

fn rule(verbs: &[&str], groups: &[&str], resources: &[&str]) -> Value {
    json!({"verbs": verbs, "apiGroups": groups, "resources": resources})
}

fn role(name: &str, rules: Vec<Value>) -> Value {
    json!({
        "apiVersion": RBAC, "kind": "ClusterRole",
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
            "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
        },
        "rules": rules,
    })
}

fn aggregated(name: &str, into: &[&str]) -> Value {
    let mut role = role(name, Vec::new());
    let selector = json!({"matchLabels": {format!("{AGGREGATE}{name}"): "true"}});
    role["aggregationRule"] = json!({"clusterRoleSelectors": [selector]});
    for target in into {
        role["metadata"]["labels"][format!("{AGGREGATE}{target}")] = "true".into();
    }
    role
}

fn part(target: &str, rules: Vec<Value>) -> Value {
    let mut role = role(&format!("system:aggregate-to-{target}"), rules);
    role["metadata"]["labels"][format!("{AGGREGATE}{target}")] = "true".into();
    role
}

/// What whoever may view may read of `metrics.k8s.io`.
fn metrics() -> Value {
    let rules = vec![rule(&READ, &["metrics.k8s.io"], &["pods", "nodes"])];
    let mut role = role("system:aggregated-metrics-reader", rules);
    for target in ["admin", "edit", "view"] {
        role["metadata"]["labels"][format!("{AGGREGATE}{target}")] = "true".into();
    }
    role
}

fn urls(urls: &[&str]) -> Value {
    json!({"verbs": ["get"], "nonResourceURLs": urls})
}

/// All ClusterRoles.
pub fn roles() -> Vec<Value> {
    let everything =
        || vec![rule(&["*"], &["*"], &["*"]), json!({"verbs": ["*"], "nonResourceURLs": ["*"]})];
    let workloads = [
        "daemonsets",
        "deployments",
        "deployments/scale",
        "replicasets",
        "replicasets/scale",
        "statefulsets",
        "statefulsets/scale",
    ];
    let workloads_view = [
        "controllerrevisions",
        "daemonsets/status",
        "deployments/status",
        "replicasets/status",
        "statefulsets/status",
    ];
    let core_view = [
        "configmaps",
        "endpoints",
        "persistentvolumeclaims",
        "persistentvolumeclaims/status",
        "serviceaccounts",
        "services",
        "pods",
        "pods/log",
        "pods/status",
        "services/status",
        "events",
        "namespaces",
        "namespaces/status",
        "limitranges",
        "resourcequotas",
        "resourcequotas/status",
    ];
    vec![
        role("cluster-admin", everything()),
        aggregated("admin", &[]),
        aggregated("edit", &["admin"]),
        aggregated("view", &["edit"]),
        part(
            "admin",
            vec![
                rule(&["create"], &["authorization.k8s.io"], &["localsubjectaccessreviews"]),
                rule(
                    &[&READ[..], &WRITE].concat(),
                    &["rbac.authorization.k8s.io"],
                    &["roles", "rolebindings"],
                ),
            ],
        ),
        part(
            "edit",
            vec![
                rule(
                    &READ,
                    &[""],
                    &[
                        "pods/attach",
                        "pods/exec",
                        "pods/portforward",
                        "pods/proxy",
                        "secrets",
                        "services/proxy",
                    ],
                ),
                rule(&["impersonate"], &[""], &["serviceaccounts"]),
                rule(
                    &WRITE,
                    &[""],
                    &["pods", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy"],
                ),
                rule(&["create"], &[""], &["pods/eviction", "serviceaccounts/token"]),
                rule(
                    &WRITE,
                    &[""],
                    &[
                        "configmaps",
                        "events",
                        "persistentvolumeclaims",
                        "secrets",
                        "serviceaccounts",
                        "services",
                        "services/proxy",
                    ],
                ),
                rule(&WRITE, &["apps"], &[&workloads[..], &["deployments/rollback"]].concat()),
                rule(&WRITE, &["autoscaling"], &["horizontalpodautoscalers"]),
                rule(&WRITE, &["batch"], &["cronjobs", "jobs"]),
                rule(&WRITE, &["networking.k8s.io"], &["ingresses", "networkpolicies"]),
                rule(&WRITE, &["policy"], &["poddisruptionbudgets"]),
                rule(&[&READ[..], &WRITE].concat(), &["coordination.k8s.io"], &["leases"]),
            ],
        ),
        part(
            "view",
            vec![
                rule(&READ, &[""], &core_view),
                rule(&READ, &["apps"], &[&workloads[..], &workloads_view].concat()),
                rule(
                    &READ,
                    &["autoscaling"],
                    &["horizontalpodautoscalers", "horizontalpodautoscalers/status"],
                ),
                rule(&READ, &["batch"], &["cronjobs", "cronjobs/status", "jobs", "jobs/status"]),
                rule(&READ, &["discovery.k8s.io"], &["endpointslices"]),
                rule(
                    &READ,
                    &["networking.k8s.io"],
                    &["ingresses", "ingresses/status", "networkpolicies"],
                ),
                rule(&READ, &["policy"], &["poddisruptionbudgets", "poddisruptionbudgets/status"]),
            ],
        ),
        metrics(),
        role(
            "system:discovery",
            vec![urls(&[
                "/api",
                "/api/*",
                "/apis",
                "/apis/*",
                "/healthz",
                "/livez",
                "/openapi",
                "/openapi/*",
                "/readyz",
                "/version",
                "/version/",
            ])],
        ),
        role(
            "system:public-info-viewer",
            vec![urls(&["/healthz", "/livez", "/readyz", "/version", "/version/"])],
        ),
        role(
            "system:service-account-issuer-discovery",
            vec![urls(&["/.well-known/openid-configuration", "/openid/v1/jwks"])],
        ),
        role(
            "system:basic-user",
            vec![
                rule(
                    &["create"],
                    &["authorization.k8s.io"],
                    &["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
                ),
                rule(&["create"], &["authentication.k8s.io"], &["selfsubjectreviews"]),
            ],
        ),
        role(
            "system:auth-delegator",
            vec![
                rule(&["create"], &["authentication.k8s.io"], &["tokenreviews"]),
                rule(&["create"], &["authorization.k8s.io"], &["subjectaccessreviews"]),
            ],
        ),
        role(
            "system:kube-controller-manager",
            vec![rule(&[&READ[..], &WRITE].concat(), &["*"], &["*"]), urls(&["*"])],
        ),
        role(
            "system:kube-scheduler",
            vec![
                rule(&READ, &[""], &["pods", "nodes", "namespaces"]),
                rule(&READ, &["policy"], &["poddisruptionbudgets"]),
                rule(&["create"], &[""], &["pods/binding"]),
                // Who makes way for a more important one.
                rule(&["delete"], &[""], &["pods"]),
                rule(&["patch"], &[""], &["pods/status"]),
                rule(&["create", "patch"], &[""], &["events"]),
            ],
        ),
        role(
            "system:volume-scheduler",
            vec![
                rule(
                    &[&READ[..], &["patch", "update"]].concat(),
                    &[""],
                    &["persistentvolumes", "persistentvolumeclaims"],
                ),
                rule(&READ, &["storage.k8s.io"], &["storageclasses"]),
            ],
        ),
        role(
            "system:node",
            vec![
                rule(
                    &READ,
                    &[""],
                    &[
                        "services",
                        "endpoints",
                        "configmaps",
                        "secrets",
                        "namespaces",
                        "serviceaccounts",
                    ],
                ),
                rule(
                    &[&READ[..], &WRITE].concat(),
                    &[""],
                    &["nodes", "nodes/status", "pods", "pods/status", "events"],
                ),
                rule(&["create"], &[""], &["serviceaccounts/token"]),
                rule(&["get"], &[""], &["persistentvolumeclaims", "persistentvolumes"]),
                rule(&[&READ[..], &WRITE].concat(), &["coordination.k8s.io"], &["leases"]),
                rule(&READ, &["discovery.k8s.io"], &["endpointslices"]),
                rule(&READ, &["networking.k8s.io"], &["networkpolicies"]),
                rule(&["create"], &["authentication.k8s.io"], &["tokenreviews"]),
                rule(&["create"], &["authorization.k8s.io"], &["subjectaccessreviews"]),
            ],
        ),
    ]
}

/// All ClusterRoleBindings.
pub fn bindings() -> Vec<Value> {
    let bind = |role: &str, subjects: &[(&str, &str)]| {
        let subject = |(kind, name): &(&str, &str)| json!({"kind": kind, "apiGroup": "rbac.authorization.k8s.io", "name": name});
        json!({
            "apiVersion": RBAC, "kind": "ClusterRoleBinding",
            "metadata": {
                "name": role,
                "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
                "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
            },
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": subjects.iter().map(subject).collect::<Vec<_>>(),
        })
    };
    let all = ("Group", "system:authenticated");
    vec![
        bind("cluster-admin", &[("Group", "system:masters")]),
        bind("system:discovery", &[all]),
        bind("system:basic-user", &[all]),
        bind("system:public-info-viewer", &[all, ("Group", "system:unauthenticated")]),
        bind("system:service-account-issuer-discovery", &[("Group", "system:serviceaccounts")]),
        bind("system:kube-controller-manager", &[("User", "system:kube-controller-manager")]),
        bind("system:kube-scheduler", &[("User", "system:kube-scheduler")]),
        bind("system:volume-scheduler", &[("User", "system:kube-scheduler")]),
        bind("system:node", &[("Group", "system:nodes")]),
    ]
}
