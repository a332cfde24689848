//! From an Event of the cluster to the store.

use super::*;
use crate::collector::events::Follower;

/// Makes an object of any kind.
async fn make(client: &Client, path: &str, object: serde_json::Value) -> serde_json::Value {
    let request = http::Request::post(path)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(object.to_string().into_bytes())
        .expect("a request");
    client.request(request).await.expect("creates")
}

async fn happens(client: &Client, object: &serde_json::Value, reason: &str) {
    let metadata = &object["metadata"];
    let namespace = metadata["namespace"].as_str().expect("a namespace");
    let event = json!({"apiVersion": "v1", "kind": "Event",
        "metadata": {"name": format!("e.{}", reason.to_lowercase())},
        "involvedObject": {"apiVersion": object["apiVersion"], "kind": object["kind"],
            "name": metadata["name"], "namespace": namespace, "uid": metadata["uid"]},
        "reason": reason, "message": "m", "type": "Normal", "count": 1,
        "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z"});
    make(client, &format!("/api/v1/namespaces/{namespace}/events"), event).await;
}

#[tokio::test]
async fn events_find_their_component_and_arrive_once_whoever_restarts() {
    let mut observed = observed().await;
    let client = observed.client.clone();
    let place = json!({"openchoreo.dev/namespace": "default", "openchoreo.dev/project": "shop",
        "openchoreo.dev/environment": "development"});
    let mut cart = place.clone();
    cart["openchoreo.dev/component"] = "cart".into();
    cart["openchoreo.dev/component-uid"] = "c".into();
    let cell = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "dp", "labels": place}});
    make(&client, "/api/v1/namespaces", cell).await;
    let other = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "strange"}});
    make(&client, "/api/v1/namespaces", other).await;
    for namespace in ["dp", "strange"] {
        let account =
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
        make(&client, &format!("/api/v1/namespaces/{namespace}/serviceaccounts"), account).await;
    }
    let containers = json!([{"name": "main", "image": "i"}]);
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "cart"},
        "spec": {"selector": {"matchLabels": cart}, "template": {"metadata": {"labels": cart},
            "spec": {"containers": containers}}}});
    let deployment = make(&client, "/apis/apps/v1/namespaces/dp/deployments", deployment).await;
    let pod = |name: &str| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": cart},
            "spec": {"containers": containers}})
    };
    let known = make(&client, "/api/v1/namespaces/dp/pods", pod("cart-1")).await;
    let strange = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": containers}});
    let strange = make(&client, "/api/v1/namespaces/strange/pods", strange).await;
    let gone = json!({"apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "gone", "namespace": "dp", "uid": "no-more"}});

    let pods = Pods::default();
    pods.apply(&serde_json::from_value(known.clone()).expect("a Pod"));
    pods.keep(&[known["metadata"]["uid"].as_str().expect("a uid").to_owned()], true);
    let door = observed.door.clone();
    let follow = || {
        let shutdown = Shutdown::default();
        let follower = Follower::new(client.clone(), pods.clone(), door.clone());
        let asked = shutdown.clone();
        let running = tokio::spawn(async move { follower.run(&Health::default(), asked).await });
        (shutdown, running)
    };
    happens(&client, &known, "Pulled").await;
    happens(&client, &strange, "Strange").await;
    let (first, running) = follow();
    happens(&client, &deployment, "ScalingReplicaSet").await;
    happens(&client, &gone, "Completed").await;
    let event = |component: &str, reason: &str, count: i64| {
        (component.to_owned(), reason.to_owned(), count)
    };
    let wanted = [
        event("", "Completed", 1),
        event("cart", "Pulled", 1),
        event("cart", "ScalingReplicaSet", 1),
    ];
    assert_eq!(observed.until_events(3).await, wanted);
    first.trigger();
    running.await.expect("ends");

    // While the collector and then the observer are away, one happens again, and another one anew.
    let events: Api<k8s_openapi::api::core::v1::Event> = Api::namespaced(client.clone(), "dp");
    let again = Patch::Merge(json!({"count": 5, "lastTimestamp": "2026-01-01T00:01:00Z"}));
    events.patch("e.pulled", &PatchParams::default(), &again).await.expect("patches");
    let (second, running) = follow();
    observed.stop().await;
    // A pod whose place is not known yet.
    let new = make(&client, "/api/v1/namespaces/dp/pods", pod("cart-2")).await;
    happens(&client, &new, "Scheduled").await;
    observed.start().await;
    let wanted = [
        event("", "Completed", 1),
        event("cart", "Pulled", 5),
        event("cart", "ScalingReplicaSet", 1),
        event("cart", "Scheduled", 1),
    ];
    assert_eq!(observed.until_events(4).await, wanted);
    second.trigger();
    running.await.expect("ends");
}
