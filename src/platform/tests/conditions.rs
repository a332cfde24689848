//! What stands in the way is told in conditions, and goes away when it is removed.

mod support;

use serde_json::{Value, json};
use support::{World, greeter, is};

#[tokio::test]
async fn a_broken_template_is_named() {
    let world = World::start().await;
    let component_type = json!({
        "apiVersion": "openchoreo.dev/v1alpha1", "kind": "ClusterComponentType", "metadata": { "name": "broken" },
        "spec": { "workloadType": "deployment", "resources": [{
            "id": "deployment",
            "template": {
                "apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": { "name": "${metadata.name}", "namespace": "${metadata.namespace}" },
                "spec": { "replicas": "${workload.nothing.there}" },
            },
        }] },
    });
    world.apply(&component_type).await;
    let [mut component, workload] = greeter();
    component["spec"]["componentType"]["name"] = json!("deployment/broken");
    world.apply(&component).await;
    world.apply(&workload).await;
    let binding = world
        .until("ReleaseBinding", "default", "greeter-development", |b| {
            is(b, "ReleaseSynced", "False", "RenderingFailed")
        })
        .await;
    let message = binding["status"]["conditions"][0]["message"].as_str().unwrap();
    for part in ["deployment/broken", "`deployment`", "spec.replicas", "workload.nothing.there"] {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
    assert!(is(&binding, "Ready", "False", "RenderingFailed"), "{binding:#?}");
}

#[tokio::test]
async fn a_component_waits_for_what_it_refers_to() {
    let world = World::start().await;
    let [component, workload] = greeter();
    world.apply(&component).await;
    world
        .until("Component", "default", "greeter", |c| is(c, "Ready", "False", "WorkloadNotFound"))
        .await;
    world.apply(&workload).await;
    world
        .until("Component", "default", "greeter", |c| {
            is(c, "Ready", "True", "ComponentReleaseReady")
        })
        .await;

    for (name, change, reason) in [
        (
            "typo",
            json!({ "componentType": { "kind": "ClusterComponentType", "name": "deployment/typo" } }),
            "ComponentTypeNotFound",
        ),
        (
            "wrong",
            json!({ "componentType": { "kind": "ClusterComponentType", "name": "cronjob/service" } }),
            "InvalidConfiguration",
        ),
        ("lost", json!({ "owner": { "projectName": "nowhere" } }), "ProjectNotFound"),
        (
            "fancy",
            json!({ "traits": [{ "kind": "ClusterTrait", "name": "t", "instanceName": "i" }] }),
            "InvalidConfiguration",
        ),
        ("built", json!({ "workflow": { "name": "docker" } }), "WorkflowNotAllowed"),
    ] {
        let [mut component, mut workload] = greeter();
        component["metadata"]["name"] = json!(name);
        workload["metadata"]["name"] = json!(name);
        workload["spec"]["owner"]["componentName"] = json!(name);
        for (key, value) in change.as_object().unwrap() {
            component["spec"][key] = value.clone();
        }
        workload["spec"]["owner"]["projectName"] =
            component["spec"]["owner"]["projectName"].clone();
        world.apply(&component).await;
        world.apply(&workload).await;
        world.until("Component", "default", name, |c| is(c, "Ready", "False", reason)).await;
    }
}

#[tokio::test]
async fn a_dependency_is_pending_until_its_address_is_known() {
    let world = World::start().await;
    let [mut component, mut workload] = greeter();
    component["metadata"]["name"] = json!("caller");
    workload["metadata"]["name"] = json!("caller");
    workload["spec"]["owner"]["componentName"] = json!("caller");
    workload["spec"]["dependencies"] = json!({ "endpoints": [{
        "component": "greeter", "name": "http", "visibility": "project", "envBindings": { "address": "GREETER_URL" },
    }] });
    world.apply(&component).await;
    world.apply(&workload).await;
    let pending = |b: &Value| is(b, "ConnectionsResolved", "False", "ConnectionsPending");
    let binding = world.until("ReleaseBinding", "default", "caller-development", pending).await;
    assert_eq!(binding["status"]["pendingConnections"][0]["component"], "greeter");
    assert!(is(&binding, "Ready", "False", "ConnectionsPending"), "{binding:#?}");

    for object in greeter() {
        world.apply(&object).await;
    }
    let resolved = |b: &Value| is(b, "ConnectionsResolved", "True", "AllConnectionsResolved");
    let binding = world.until("ReleaseBinding", "default", "caller-development", resolved).await;
    let url = &binding["status"]["resolvedConnections"][0]["url"];
    let address = format!("http://{}:9090/", url["host"].as_str().unwrap());
    let rendered = world
        .until("RenderedRelease", "default", "caller-development", |r| {
            r["spec"].to_string().contains(&address)
        })
        .await;
    assert!(rendered["spec"].to_string().contains("GREETER_URL"));

    world
        .merge(
            "ReleaseBinding",
            "default",
            "greeter-development",
            json!({ "spec": { "state": "Undeploy" } }),
        )
        .await;
    world.until("ReleaseBinding", "default", "caller-development", pending).await;
}

#[tokio::test]
async fn used_objects_stay_until_they_are_free() {
    let world = World::start().await;
    world
        .until("Environment", "default", "staging", |e| is(e, "Ready", "True", "EnvironmentReady"))
        .await;
    let available = |p: &Value| is(p, "Available", "True", "DeploymentPipelineAvailable");
    world.until("DeploymentPipeline", "default", "default", available).await;
    world.delete("Environment", "default", "staging").await;
    world
        .until("Environment", "default", "staging", |e| is(e, "Ready", "False", "DeletionBlocked"))
        .await;
    world.delete("DeploymentPipeline", "default", "default").await;
    let blocked = |p: &Value| is(p, "Available", "False", "DeletionBlocked");
    world.until("DeploymentPipeline", "default", "default", blocked).await;
    let plane = world.get("ClusterDataPlane", "", "default").await.unwrap();
    assert!(is(&plane, "Created", "True", "ClusterDataPlaneCreated"), "{plane:#?}");
}
