//! HorizontalPodAutoscalers in both of their versions.

use serde_json::{Value, json};

use super::harness::Cluster;

const V1: &str = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers";
const V2: &str = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers";
const MERGE: &str = "application/merge-patch+json";

fn spec() -> Value {
    json!({"maxReplicas": 5, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}})
}

#[tokio::test]
async fn an_autoscaler_is_the_same_in_both_versions() {
    let cluster = Cluster::start().await;
    let mut old = json!({"metadata": {"name": "web"}, "spec": spec()});
    old["spec"]["targetCPUUtilizationPercentage"] = 60.into();
    let (code, made) = cluster.post(V1, old).await;
    assert_eq!((code, &made["apiVersion"]), (201, &"autoscaling/v1".into()), "{made}");
    assert_eq!(made["spec"]["targetCPUUtilizationPercentage"], 60);
    let (_, new) = cluster.get(&format!("{V2}/web")).await;
    let metric = |share: i64| {
        let target = json!({"type": "Utilization", "averageUtilization": share});
        json!({"type": "Resource", "resource": {"name": "cpu", "target": target}})
    };
    assert_eq!(new["spec"]["metrics"], json!([metric(60)]));
    assert_eq!(new["metadata"].get("annotations"), None);

    let status = r#"{"status":{"currentReplicas":2,"desiredReplicas":3,"conditions":[{"type":"AbleToScale","status":"True"}]}}"#;
    let (code, _) = cluster.call("PATCH", &format!("{V2}/web/status"), MERGE, status).await;
    assert_eq!(code, 200);
    let down = r#"{"spec":{"behavior":{"scaleDown":{"stabilizationWindowSeconds":5}}}}"#;
    let (code, new) = cluster.call("PATCH", &format!("{V2}/web"), MERGE, down).await;
    assert_eq!((code, &new["spec"]["behavior"]["scaleUp"]["selectPolicy"]), (200, &"Max".into()));
    let share =
        r#"{"spec":{"targetCPUUtilizationPercentage":70},"metadata":{"annotations":{"mine":"1"}}}"#;
    let (code, old) = cluster.call("PATCH", &format!("{V1}/web"), MERGE, share).await;
    assert_eq!((code, &old["status"]["desiredReplicas"]), (200, &3.into()), "{old}");
    let (_, after) = cluster.get(&format!("{V2}/web")).await;
    assert_eq!(after["spec"]["metrics"], json!([metric(70)]));
    assert_eq!(after["spec"]["behavior"], new["spec"]["behavior"]);
    assert_eq!(after["status"], new["status"]);
    assert_eq!(after["metadata"]["annotations"], json!({"mine": "1"}));
    let counted =
        (new["metadata"]["generation"].as_i64(), after["metadata"]["generation"].as_i64());
    assert_eq!(counted, (Some(2), Some(3)));
}

#[tokio::test]
async fn what_is_wrong_with_an_autoscaler_is_refused_in_both_versions() {
    let cluster = Cluster::start().await;
    for (path, field, value) in [
        (V1, "minReplicas", json!(9)),
        (V2, "minReplicas", json!(9)),
        (V1, "targetCPUUtilizationPercentage", json!(0)),
        (V2, "metrics", json!([{"type": "Resource"}])),
    ] {
        let mut whole = json!({"metadata": {"name": "web"}, "spec": spec()});
        whole["spec"][field] = value;
        let (code, status) = cluster.post(path, whole).await;
        assert_eq!((code, &status["reason"]), (422, &"Invalid".into()), "{field}: {status}");
    }
}
