//! What is added to a pod that is there already.

use serde_json::{Value, json};

use super::harness::Cluster;

/// What is wrong, as kubectl lists it.
fn causes(status: &Value) -> Vec<String> {
    let causes = status["details"]["causes"].as_array().into_iter().flatten();
    let text = |cause: &Value, field: &str| cause[field].as_str().unwrap_or_default().to_owned();
    causes.map(|one| format!("{}: {}", text(one, "field"), text(one, "message"))).collect()
}

#[tokio::test]
async fn containers_are_added_to_a_pod_through_their_own_door() {
    let cluster = Cluster::start().await;
    let path = "/api/v1/namespaces/default/pods";
    let container = |name: &str| json!({"name": name, "image": "app:1"});
    let pod = |added: Value| {
        json!({"metadata": {"name": "p"}, "spec": {"containers": [container("main")],
            "ephemeralContainers": added}})
    };
    let (code, refused) = cluster.post(path, pod(json!([container("look")]))).await;
    assert_eq!(code, 422);
    assert_eq!(causes(&refused), ["spec.ephemeralContainers: Forbidden: cannot be set on create"]);
    assert_eq!(cluster.post(path, pod(json!(null))).await.0, 201);

    let door = format!("{path}/p/ephemeralcontainers");
    let strategic = "application/strategic-merge-patch+json";
    let patch = async |path: &str, body: Value| {
        cluster.call("PATCH", path, strategic, &body.to_string()).await
    };
    let add = |container: Value| json!({"spec": {"ephemeralContainers": [container]}});
    let (code, refused) = patch(&format!("{path}/p"), add(container("look"))).await;
    assert_eq!(code, 422, "{refused}");

    // Nothing else comes in through it.
    let mut body = add(json!({"name": "look", "image": "app:1", "targetContainerName": "main"}));
    body["spec"]["terminationGracePeriodSeconds"] = 1.into();
    body["metadata"]["labels"] = json!({"a": "b"});
    let (code, added) = patch(&door, body).await;
    assert_eq!(code, 200, "{added}");
    let look = &added["spec"]["ephemeralContainers"][0];
    assert_eq!(look["imagePullPolicy"], "IfNotPresent");
    assert_eq!(look["terminationMessagePolicy"], "File");
    assert_eq!(added["spec"]["terminationGracePeriodSeconds"], 30);
    assert_eq!(added["metadata"]["labels"], Value::Null);
    assert_eq!(added["metadata"]["generation"], 2);
    let (code, shown) = cluster.get(&door).await;
    assert_eq!((code, &shown["spec"]), (200, &added["spec"]));

    let wrong = json!({"name": "main", "image": "app:1", "targetContainerName": "none",
        "ports": [{"containerPort": 80}], "resources": {"limits": {"cpu": 1}},
        "volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "x"}]});
    let (code, refused) = patch(&door, add(wrong)).await;
    assert_eq!(code, 422);
    insta::assert_snapshot!(causes(&refused).join("\n"));
    let stray = json!({"name": "stray", "image": "app:1", "securityContext":
        {"seccompProfile": {"type": "Localhost", "localhostProfile": "/proc/kmsg"}}});
    let (code, refused) = patch(&door, add(stray)).await;
    let at = "spec.ephemeralContainers[0].securityContext.seccompProfile.localhostProfile";
    assert_eq!(code, 422);
    assert!(causes(&refused)[0].starts_with(&format!("{at}: Invalid value")), "{refused}");
    let changed = json!({"name": "look", "image": "app:2"});
    let (_, refused) = patch(&door, add(changed)).await;
    assert_eq!(
        causes(&refused),
        [
            "spec.ephemeralContainers: Forbidden: existing ephemeral containers \"look\" may not be changed\n"
        ]
    );
    let mut without = added.clone();
    without["spec"]["ephemeralContainers"] = json!([]);
    let (_, refused) = cluster.call("PUT", &door, "application/json", &without.to_string()).await;
    assert_eq!(
        causes(&refused),
        [
            "spec.ephemeralContainers: Forbidden: existing ephemeral containers \"look\" may not be removed\n"
        ]
    );
}
