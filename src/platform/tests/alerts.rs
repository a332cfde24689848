//! Alert rules come from the built-in trait, and the settings of notification channels reach their plane.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use base64::Engine as _;
use serde_json::{Value, json};
use support::{World, greeter, is};

const PLANE: &str = "openchoreo-observability-plane";

fn channel(name: &str) -> Value {
    json!({
        "apiVersion": "openchoreo.dev/v1alpha1", "kind": "ObservabilityAlertsNotificationChannel",
        "metadata": { "name": name, "namespace": "default" },
        "spec": {
            "environment": "development", "type": "webhook",
            "webhookConfig": {
                "url": "http://receiver.test/alerts",
                "headers": {
                    "X-Team": { "value": "shop" },
                    "Authorization": { "valueFrom": { "secretKeyRef": { "name": "hook", "key": "token" } } },
                },
                "payloadTemplate": "{\"text\": \"${alertName}\"}",
            },
        },
    })
}

async fn world() -> World {
    let world = World::start().await;
    let namespace =
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": PLANE } });
    world.apply(&namespace).await;
    world
}

#[tokio::test]
async fn a_channel_and_its_secrets_reach_the_plane_and_leave_it() {
    let world = world().await;
    world.apply(&channel("ops")).await;
    let is_default = |c: &Value| c["spec"]["isEnvDefault"] == true;
    world.until("ObservabilityAlertsNotificationChannel", "default", "ops", is_default).await;
    // The Secret it refers to comes later, as in an apply in the order of the alphabet.
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "hook", "namespace": "default" },
        "stringData": { "token": "Bearer abc\n" },
    });
    world.apply(&secret).await;
    let config = world.until("ConfigMap", PLANE, "default.ops", |_| true).await;
    assert_eq!(
        config["data"],
        json!({
            "type": "webhook", "isEnvDefault": "true", "webhook.url": "http://receiver.test/alerts",
            "webhook.headers": "Authorization,X-Team", "webhook.header.X-Team": "shop",
            "webhook.payloadTemplate": "{\"text\": \"${alertName}\"}",
        })
    );
    let labels = &config["metadata"]["labels"];
    assert_eq!(labels["openchoreo.dev/notification-channel-name"], "ops");
    assert_eq!(labels["openchoreo.dev/environment"], "development");
    let secret = world.until("Secret", PLANE, "default.ops", |_| true).await;
    let token = secret["data"]["webhook.header.Authorization"].as_str().unwrap();
    let token = base64::engine::general_purpose::STANDARD.decode(token).unwrap();
    assert_eq!(token, b"Bearer abc");

    // The second one is not the default until the first one goes.
    world.apply(&channel("other")).await;
    let second = world.until("ConfigMap", PLANE, "default.other", |_| true).await;
    assert_eq!(second["data"]["isEnvDefault"], "false");
    world.delete("ObservabilityAlertsNotificationChannel", "default", "ops").await;
    world.gone("ObservabilityAlertsNotificationChannel", "default", "ops").await;
    world.gone("ConfigMap", PLANE, "default.ops").await;
    world.gone("Secret", PLANE, "default.ops").await;
    world.until("ObservabilityAlertsNotificationChannel", "default", "other", is_default).await;
}

#[tokio::test]
async fn the_trait_makes_a_rule_on_the_observability_plane() {
    let world = world().await;
    let [mut component, workload] = greeter();
    component["spec"]["traits"] = json!([{
        "kind": "ClusterTrait", "name": "observability-alert-rule", "instanceName": "errors",
        "parameters": {
            "description": "It fails", "severity": "critical",
            "source": { "type": "log", "query": "status=500" },
            "condition": { "window": "1m", "threshold": 5 },
        },
    }]);
    world.apply(&component).await;
    world.apply(&workload).await;
    // Nobody would be told.
    let refused = |b: &Value| is(b, "ReleaseSynced", "False", "RenderingFailed");
    let binding = world.until("ReleaseBinding", "default", "greeter-development", refused).await;
    assert!(binding.to_string().contains("nobody would be told"), "{binding:#}");
    world
        .apply(&json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "hook", "namespace": "default" },
            "stringData": { "token": "Bearer abc" },
        }))
        .await;
    world.apply(&channel("ops")).await;

    let applied = |r: &Value| is(r, "ResourcesApplied", "True", "ApplySucceeded");
    let name = "greeter-development-observability";
    let release = world.until("RenderedRelease", "default", name, applied).await;
    assert_eq!(release["spec"]["targetPlane"], "observabilityplane");
    let cell = curtain_platform::render::cell_namespace("default", "default", "development");
    let rules = world.names("ObservabilityAlertRule", &cell).await;
    let rule = world.get("ObservabilityAlertRule", &cell, &rules[0]).await.unwrap();
    assert!(rules[0].ends_with("-errors"), "{rules:?}");
    assert_eq!(
        rule["spec"],
        json!({
            "name": "errors", "description": "It fails", "severity": "critical", "enabled": true,
            "source": { "type": "log", "query": "status=500" },
            "condition": { "window": "1m", "interval": "1m", "operator": "gt", "threshold": 5 },
            "actions": {
                "notifications": { "channels": ["ops"] },
                "incident": { "enabled": false, "triggerAiRca": false, "triggerAiCostAnalysis": false },
            },
        })
    );
    let labels = &rule["metadata"]["labels"];
    assert_eq!(labels["openchoreo.dev/component"], "greeter");
    assert!(labels["openchoreo.dev/component-uid"].is_string(), "{labels}");

    // An environment may ask for an incident; what makes no sense is refused with words.
    let configure = |incident: Value| json!({ "spec": { "traitEnvironmentConfigs": { "errors": { "actions": { "incident": incident } } } } });
    let wrong = configure(json!({ "triggerAiRca": true }));
    world.merge("ReleaseBinding", "default", "greeter-development", wrong).await;
    let binding = world.until("ReleaseBinding", "default", "greeter-development", refused).await;
    assert!(binding.to_string().contains("triggerAiRca needs"), "{binding:#}");
    let right = configure(json!({ "enabled": true, "triggerAiRca": true }));
    world.merge("ReleaseBinding", "default", "greeter-development", right).await;
    let asked = |r: &Value| r["spec"]["actions"]["incident"]["triggerAiRca"] == true;
    world.until("ObservabilityAlertRule", &cell, &rules[0], asked).await;
}
