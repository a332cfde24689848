//! What stands in the way is told in conditions, and goes away when it is removed.

mod support;

use serde_json::{Value, json};
use support::{World, greeter, is};

#[tokio::test]
async fn a_broken_template_is_named_until_it_is_mended() {
    let world = World::start().await;
    let component_type = |replicas: &str| {
        json!({
            "apiVersion": "openchoreo.dev/v1alpha1", "kind": "ClusterComponentType",
            "metadata": { "name": "broken" },
            "spec": { "workloadType": "deployment", "resources": [{
                "id": "deployment",
                "template": {
                    "apiVersion": "apps/v1", "kind": "Deployment",
                    "metadata": { "name": "${metadata.name}", "namespace": "${metadata.namespace}" },
                    "spec": {
                        "replicas": replicas,
                        "selector": { "matchLabels": "${metadata.podSelectors}" },
                        "template": {
                            "metadata": { "labels": "${metadata.podSelectors}" },
                            "spec": { "containers": [{ "name": "main", "image": "greeter" }] },
                        },
                    },
                },
            }] },
        })
    };
    world.apply(&component_type("${workload.nothing.there}")).await;
    let [mut component, workload] = greeter();
    component["spec"]["componentType"]["name"] = json!("deployment/broken");
    world.apply(&component).await;
    world.apply(&workload).await;
    for expression in ["workload.nothing.there", "1 +", "noSuchFunction(1)", "unknown.name"] {
        world.apply(&component_type(&format!("${{{expression}}}"))).await;
        let named = |b: &Value| {
            is(b, "Ready", "False", "RenderingFailed") && condition(b, "Ready").contains(expression)
        };
        let binding = world.until("ReleaseBinding", "default", "greeter-development", named).await;
        let message = condition(&binding, "ReleaseSynced");
        for part in ["deployment/broken", "`deployment`", "spec.replicas", expression] {
            assert!(message.contains(part), "{part} is not in: {message}");
        }
    }
    world.apply(&component_type("${1 + 1}")).await;
    let mended = |b: &Value| is(b, "ReleaseSynced", "True", "ReleaseSynced");
    world.until("ReleaseBinding", "default", "greeter-development", mended).await;
    let applied = |r: &Value| is(r, "ResourcesApplied", "True", "ApplySucceeded");
    let release = world.until("RenderedRelease", "default", "greeter-development", applied).await;
    let resources = release["spec"]["resources"].as_array().unwrap();
    let deployment = resources.iter().find(|r| r["object"]["kind"] == "Deployment").unwrap();
    assert_eq!(deployment["object"]["spec"]["replicas"], 2);
}

#[tokio::test]
async fn a_pod_that_does_not_get_on_says_why_until_it_does() {
    let world = World::start().await;
    for object in greeter() {
        world.apply(&object).await;
    }
    let applied = |r: &Value| is(r, "ResourcesApplied", "True", "ApplySucceeded");
    let release = world.until("RenderedRelease", "default", "greeter-development", applied).await;
    let resources = release["spec"]["resources"].as_array().unwrap();
    let rendered = resources.iter().find(|r| r["object"]["kind"] == "Deployment").unwrap();
    let namespace = rendered["object"]["metadata"]["namespace"].as_str().unwrap();
    // What the Deployment controller and the node would do.
    let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": { "name": "default", "namespace": namespace } });
    world.apply(&account).await;
    let labels = &rendered["object"]["spec"]["template"]["metadata"]["labels"];
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": "greeter-1", "namespace": namespace, "labels": labels },
        "spec": { "containers": [{ "name": "main", "image": "x" }] },
    });
    world.apply(&pod).await;
    let told = |part: &'static str| {
        move |b: &Value| {
            is(b, "Ready", "False", "ResourcesProgressing") && condition(b, "Ready").contains(part)
        }
    };
    for reason in ["ErrImagePull", "ImagePullBackOff"] {
        world.waits(namespace, "greeter-1", reason, "image \"x\" is not on this node").await;
        let binding =
            world.until("ReleaseBinding", "default", "greeter-development", told(reason)).await;
        let message = condition(&binding, "Ready");
        for part in ["is progressing: ", "pod greeter-1, container main", "is not on this node"] {
            assert!(message.contains(part), "{part} is not in: {message}");
        }
    }
    world.delete("Pod", namespace, "greeter-1").await;
    let untold = |b: &Value| condition(b, "Ready").ends_with("is progressing");
    world.until("ReleaseBinding", "default", "greeter-development", untold).await;
    let release = world.get("RenderedRelease", "default", "greeter-development").await.unwrap();
    assert_eq!(condition(&release, "PodsRunning"), "");
}

/// The message of a condition.
fn condition<'a>(object: &'a Value, r#type: &str) -> &'a str {
    let conditions = object["status"]["conditions"].as_array();
    let found = conditions.into_iter().flatten().find(|c| c["type"] == r#type);
    found.and_then(|c| c["message"].as_str()).unwrap_or_default()
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

#[tokio::test]
async fn an_environment_takes_its_cells_along() {
    let world = World::start().await;
    let cell = curtain_platform::render::cell_namespace("default", "default", "production");
    world.until("Namespace", "", &cell, |_| true).await;
    let paths = json!([{
        "sourceEnvironmentRef": { "name": "development" },
        "targetEnvironmentRefs": [{ "name": "staging" }],
    }]);
    let without = json!({ "spec": { "promotionPaths": paths } });
    world.merge("DeploymentPipeline", "default", "default", without).await;
    world.delete("Environment", "default", "production").await;
    let leaving = |n: &Value| n["metadata"]["deletionTimestamp"].is_string();
    let mut namespace = world.until("Namespace", "", &cell, leaving).await;
    let waits = |e: &Value| is(e, "Ready", "False", "ReleaseBindingsPending");
    world.until("Environment", "default", "production", waits).await;
    // Plays the namespace controller: everything in it is gone.
    namespace["spec"]["finalizers"] = json!([]);
    let finalize = http::Request::put(format!("/api/v1/namespaces/{cell}/finalize"))
        .body(namespace.to_string().into_bytes());
    world.client.request::<Value>(finalize.unwrap()).await.unwrap();
    world.gone("Environment", "default", "production").await;
    let left = world.names("RenderedRelease", "default").await;
    assert!(left.iter().all(|name| !name.contains("production")), "{left:?}");
}

#[tokio::test]
async fn what_a_plane_refuses_is_told_as_it_was_said() {
    let world = World::start().await;
    let mut component_type = world.get("ClusterComponentType", "", "service").await.unwrap();
    component_type["metadata"] = json!({ "name": "refused" });
    let misnamed = json!({
        "id": "misnamed",
        "template": {
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "Not_A_Name", "namespace": "${metadata.namespace}" },
        },
    });
    component_type["spec"]["resources"].as_array_mut().unwrap().push(misnamed);
    world.apply(&component_type).await;
    let [mut component, workload] = greeter();
    component["spec"]["componentType"]["name"] = json!("deployment/refused");
    world.apply(&component).await;
    world.apply(&workload).await;
    let failed = |b: &Value| is(b, "ResourcesReady", "False", "ResourceApplyFailed");
    let binding = world.until("ReleaseBinding", "default", "greeter-development", failed).await;
    let conditions = binding["status"]["conditions"].as_array().unwrap();
    let ready = conditions.iter().find(|c| c["type"] == "ResourcesReady").unwrap();
    let message = ready["message"].as_str().unwrap();
    for part in ["ConfigMap", "Not_A_Name"] {
        assert!(message.contains(part), "{message}");
    }
    assert!(!message.contains("Status {"), "{message}");
}

#[tokio::test]
async fn a_restart_mark_reaches_the_pods_and_other_planes_get_their_objects() {
    let world = World::start().await;
    let mut component_type = world.get("ClusterComponentType", "", "service").await.unwrap();
    component_type["metadata"] = json!({ "name": "watched" });
    let alert = json!({
        "id": "alert", "targetPlane": "observabilityplane",
        "template": {
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "${metadata.name}", "namespace": "${metadata.namespace}-telemetry" },
            "data": { "component": "${metadata.componentName}" },
        },
    });
    component_type["spec"]["resources"].as_array_mut().unwrap().push(alert);
    world.apply(&component_type).await;
    let [mut component, workload] = greeter();
    component["spec"]["componentType"]["name"] = json!("deployment/watched");
    world.apply(&component).await;
    world.apply(&workload).await;
    let applied = |r: &Value| is(r, "ResourcesApplied", "True", "ApplySucceeded");
    let name = "greeter-development-observability";
    let release = world.until("RenderedRelease", "default", name, applied).await;
    assert_eq!(release["metadata"]["finalizers"], json!(["openchoreo.dev/obsplane-cleanup"]));
    let live = &release["status"]["resources"][0];
    let (namespace, name) = (live["namespace"].as_str().unwrap(), live["name"].as_str().unwrap());
    let made = world.get("Namespace", "", namespace).await.unwrap();
    assert_eq!(
        made["metadata"]["labels"]["openchoreo.dev/created-by"],
        "renderedrelease-controller"
    );
    assert_eq!(
        world.get("ConfigMap", namespace, name).await.unwrap()["data"]["component"],
        "greeter"
    );

    let at = "2026-01-01T00:00:00Z";
    let mark = json!({ "metadata": { "annotations": { "openchoreo.dev/restartedAt": at } } });
    world.merge("ReleaseBinding", "default", "greeter-development", mark).await;
    let cell = curtain_platform::render::cell_namespace("default", "default", "development");
    let deployment = world.names("Deployment", &cell).await[0].clone();
    world
        .until("Deployment", &cell, &deployment, |d| {
            d["spec"]["template"]["metadata"]["annotations"]["openchoreo.dev/restartedAt"] == at
        })
        .await;

    // The alert is no longer rendered: its release goes, with what it made.
    component_type["spec"]["resources"].as_array_mut().unwrap().pop();
    world.apply(&component_type).await;
    world.gone("RenderedRelease", "default", "greeter-development-observability").await;
    world.gone("ConfigMap", namespace, name).await;
}
