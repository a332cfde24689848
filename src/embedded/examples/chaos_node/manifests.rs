//! The workloads: a Deployment that serves, one that visits it, a StatefulSet that counts, and a Job in each round.

use serde_json::{Value, json};

use crate::bare::IMAGE;

/// Pods of the Deployment `web`.
pub(crate) const WEBS: i32 = 2;
/// Pods of a Job that have to succeed.
pub(crate) const COMPLETIONS: i32 = 3;

fn template(name: &str, args: &Value, mounts: &Value) -> Value {
    json!({
        "metadata": {"labels": {"app": name}},
        "spec": {
            "terminationGracePeriodSeconds": 5,
            "containers": [{
                "name": "main", "image": IMAGE, "args": args, "volumeMounts": mounts,
                "readinessProbe": {"httpGet": {"port": 8080, "path": "/"}, "periodSeconds": 1},
            }],
        },
    })
}

fn deployment(name: &str, replicas: i32, args: &Value) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": template(name, args, &json!([])),
        },
    })
}

pub(crate) fn deployments() -> [Value; 2] {
    let visit = json!(["program", "visit", "8080", "web.default.svc.cluster.local:80"]);
    [
        deployment("web", WEBS, &json!(["program", "serve", "8080", "web"])),
        deployment("visitor", 1, &visit),
    ]
}

pub(crate) fn service(name: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]},
    })
}

pub(crate) fn stateful_set() -> Value {
    let args = json!(["program", "count", "8080", "/data/number"]);
    let claim = json!({
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Mi"}},
    });
    json!({
        "metadata": {"name": "tally"},
        "spec": {
            "replicas": 1,
            "serviceName": "tally",
            "selector": {"matchLabels": {"app": "tally"}},
            "template": template("tally", &args, &json!([{"name": "data", "mountPath": "/data"}])),
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
        },
    })
}

/// A Job whose failed pods are replaced, or start again, in turns; none of its pods is ready for long.
pub(crate) fn job(number: u64) -> Value {
    let again = number.is_multiple_of(2);
    json!({
        "metadata": {"name": format!("job-{number}")},
        "spec": {
            "completions": COMPLETIONS,
            // Each failure in a row doubles the wait for the next pod: they had better not come all at once.
            "parallelism": if again { COMPLETIONS } else { 1 },
            "backoffLimit": 1000,
            "template": {"spec": {
                "restartPolicy": if again { "OnFailure" } else { "Never" },
                "containers": [{"name": "main", "image": IMAGE, "args": ["program", "work", "300"]}],
            }},
        },
    })
}
