//! From a component to objects in a data plane, and back.

mod support;

use curtain_platform::render::cell_namespace;
use serde_json::{Value, json};
use std::time::Instant;
use support::{World, greeter, is};

fn cell(environment: &str) -> String {
    cell_namespace("default", "default", environment)
}

/// The name of the only Deployment in a namespace.
async fn deployment(world: &World, namespace: &str) -> String {
    let names = world.names("Deployment", namespace).await;
    assert_eq!(names.len(), 1, "{names:?}");
    names[0].clone()
}

async fn deploy_greeter(world: &World) -> String {
    for object in greeter() {
        world.apply(&object).await;
    }
    world
        .until("RenderedRelease", "default", "greeter-development", |r| {
            is(r, "ResourcesApplied", "True", "ApplySucceeded")
        })
        .await;
    let name = deployment(world, &cell("development")).await;
    world.bring_up(&cell("development"), &name).await;
    world
        .until("ReleaseBinding", "default", "greeter-development", |b| {
            is(b, "Ready", "True", "Ready")
        })
        .await;
    name
}

#[tokio::test]
async fn a_component_becomes_ready_with_its_address() {
    let world = World::start().await;
    world.until("Project", "default", "default", |p| is(p, "Ready", "True", "Reconciled")).await;
    for environment in ["development", "staging", "production"] {
        let namespace = world.until("Namespace", "", &cell(environment), |_| true).await;
        assert_eq!(namespace["metadata"]["labels"]["openchoreo.dev/environment"], environment);
    }
    let start = Instant::now();
    for object in greeter() {
        world.apply(&object).await;
    }
    let applied = |r: &Value| is(r, "ResourcesApplied", "True", "ApplySucceeded");
    world.until("RenderedRelease", "default", "greeter-development", applied).await;
    println!("component applied -> objects in the data plane: {:?}", start.elapsed());
    let start = Instant::now();
    let name = deployment(&world, &cell("development")).await;
    world.bring_up(&cell("development"), &name).await;
    let binding = world
        .until("ReleaseBinding", "default", "greeter-development", |b| {
            is(b, "Ready", "True", "Ready")
        })
        .await;
    println!("deployment available -> binding ready: {:?}", start.elapsed());

    let component = world.get("Component", "default", "greeter").await.unwrap();
    assert!(is(&component, "Ready", "True", "ComponentReleaseReady"), "{component:#?}");
    assert_eq!(component["metadata"]["finalizers"], json!(["openchoreo.dev/component-cleanup"]));
    let release = component["status"]["latestRelease"]["name"].as_str().unwrap();
    assert_eq!(binding["spec"]["releaseName"], release);
    assert!(world.get("ComponentRelease", "default", release).await.is_some());
    let endpoint = &binding["status"]["endpoints"][0];
    assert_eq!(endpoint["name"], "http");
    assert_eq!(
        endpoint["externalURLs"]["http"],
        json!({ "scheme": "http", "host": "development-default.openchoreoapis.localhost", "port": 19080, "path": "/greeter-http" })
    );
    assert_eq!(
        endpoint["serviceURL"]["host"],
        format!("greeter.{}.svc.cluster.local", cell("development"))
    );
    for (condition, reason) in [
        ("ConnectionsResolved", "NoConnections"),
        ("ResourceDependenciesReady", "NoResourceDependencies"),
        ("ResourcesReady", "Ready"),
    ] {
        assert!(is(&binding, condition, "True", reason), "{condition}: {binding:#?}");
    }

    let live = world.get("Deployment", &cell("development"), &name).await.unwrap();
    let labels = &live["metadata"]["labels"];
    assert_eq!(labels["openchoreo.dev/managed-by"], "renderedrelease-controller");
    assert_eq!(labels["openchoreo.dev/rendered-release-name"], "greeter-development");
    assert_eq!(live["metadata"]["managedFields"][0]["manager"], "renderedrelease-controller");
    let policy =
        world.get("NetworkPolicy", &cell("development"), "openchoreo-greeter").await.unwrap();
    assert_eq!(policy["spec"]["policyTypes"], json!(["Ingress"]));
    let rendered = world.get("RenderedRelease", "default", "greeter-development").await.unwrap();
    let kinds: Vec<&str> = rendered["status"]["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["kind"].as_str().unwrap())
        .collect();
    for kind in ["ConfigMap", "Deployment", "HTTPRoute", "NetworkPolicy", "Service"] {
        assert!(kinds.contains(&kind), "{kind} is not in {kinds:?}");
    }
}

#[tokio::test]
async fn a_changed_workload_rolls_out_and_prunes() {
    let world = World::start().await;
    let name = deploy_greeter(&world).await;
    let before =
        world.get("Component", "default", "greeter").await.unwrap()["status"]["latestRelease"]
            .clone();
    let [_, mut workload] = greeter();
    workload["spec"]["container"]["image"] = json!("curtain:newer");
    workload["spec"]["container"]["env"] = json!([]);
    workload["spec"]["endpoints"]["http"]["visibility"] = json!(["project"]);
    world.apply(&workload).await;
    let image =
        |d: &Value| d["spec"]["template"]["spec"]["containers"][0]["image"] == "curtain:newer";
    world.until("Deployment", &cell("development"), &name, image).await;
    let component = world
        .until("Component", "default", "greeter", |c| {
            c["status"]["latestRelease"]["name"] != before["name"]
        })
        .await;
    let binding = world.get("ReleaseBinding", "default", "greeter-development").await.unwrap();
    assert_eq!(binding["spec"]["releaseName"], component["status"]["latestRelease"]["name"]);
    // The route and the configuration are no longer rendered.
    for kind in ["HTTPRoute", "ConfigMap"] {
        for name in world.names(kind, &cell("development")).await {
            if name != "kube-root-ca.crt" {
                world.gone(kind, &cell("development"), &name).await;
            }
        }
    }
    assert!(
        world.get("ComponentRelease", "default", before["name"].as_str().unwrap()).await.is_some()
    );
    let progressing = |b: &Value| is(b, "ResourcesReady", "False", "ResourcesProgressing");
    world.until("ReleaseBinding", "default", "greeter-development", progressing).await;
    world.bring_up(&cell("development"), &name).await;
    world
        .until("ReleaseBinding", "default", "greeter-development", |b| {
            is(b, "Ready", "True", "Ready")
        })
        .await;
}

#[tokio::test]
async fn promotion_undeploy_and_deletion() {
    let world = World::start().await;
    deploy_greeter(&world).await;
    let release = world.get("Component", "default", "greeter").await.unwrap()["status"]["latestRelease"]["name"].clone();
    let staging = json!({
        "apiVersion": "openchoreo.dev/v1alpha1", "kind": "ReleaseBinding",
        "metadata": { "name": "greeter-staging", "namespace": "default" },
        "spec": {
            "owner": { "projectName": "default", "componentName": "greeter" },
            "environment": "staging", "releaseName": release, "state": "Active",
            "componentTypeEnvironmentConfigs": { "replicas": 2 },
        },
    });
    world.apply(&staging).await;
    world
        .until("RenderedRelease", "default", "greeter-staging", |r| {
            is(r, "ResourcesApplied", "True", "ApplySucceeded")
        })
        .await;
    let name = deployment(&world, &cell("staging")).await;
    world.bring_up(&cell("staging"), &name).await;
    world
        .until("ReleaseBinding", "default", "greeter-staging", |b| is(b, "Ready", "True", "Ready"))
        .await;
    let live = world.get("Deployment", &cell("staging"), &name).await.unwrap();
    assert_eq!(live["spec"]["replicas"], 2);

    world
        .merge(
            "ReleaseBinding",
            "default",
            "greeter-staging",
            json!({ "spec": { "state": "Undeploy" } }),
        )
        .await;
    world.gone("Deployment", &cell("staging"), &name).await;
    world.gone("RenderedRelease", "default", "greeter-staging").await;
    let binding = world
        .until("ReleaseBinding", "default", "greeter-staging", |b| {
            is(b, "ResourcesReady", "False", "ResourcesUndeployed")
                && b["status"]["conditions"].to_string().contains("are undeployed")
        })
        .await;
    assert!(binding["status"]["endpoints"].is_null(), "{binding:#?}");
    assert_eq!(world.names("Deployment", &cell("development")).await.len(), 1);

    let start = Instant::now();
    world.delete("Component", "default", "greeter").await;
    world.gone("Component", "default", "greeter").await;
    println!("component deleted with everything it owns: {:?}", start.elapsed());
    for kind in ["ReleaseBinding", "ComponentRelease", "Workload"] {
        assert_eq!(world.names(kind, "default").await, [""; 0], "{kind}");
    }
    for kind in ["Deployment", "Service", "HTTPRoute", "NetworkPolicy"] {
        assert_eq!(world.names(kind, &cell("development")).await, [""; 0], "{kind}");
    }
    let cells = world.names("RenderedRelease", "default").await;
    assert!(cells.iter().all(|name| name.starts_with("p-default-")), "{cells:?}");
}

#[tokio::test]
async fn what_others_change_in_the_plane_is_put_back() {
    let mut world = World::start().await;
    let name = deploy_greeter(&world).await;
    let namespace = cell("development");
    let image = json!({ "spec": { "template": { "spec": { "containers": [{ "name": "main", "image": "evil:1" }] } } } });
    world.merge("Deployment", &namespace, &name, image).await;
    let own = |d: &Value| d["spec"]["template"]["spec"]["containers"][0]["image"] == "curtain:test";
    world.until("Deployment", &namespace, &name, own).await;
    let service = world.get("Service", &namespace, "greeter").await.unwrap();
    world.delete("Service", &namespace, "greeter").await;
    let uid = service["metadata"]["uid"].clone();
    world.until("Service", &namespace, "greeter", |s| s["metadata"]["uid"] != uid).await;

    // A restart changes nothing.
    world.bring_up(&namespace, &name).await;
    world
        .until("ReleaseBinding", "default", "greeter-development", |b| {
            is(b, "Ready", "True", "Ready")
        })
        .await;
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let mut before = Vec::new();
    for (kind, namespace, name) in [
        ("Deployment", namespace.as_str(), name.as_str()),
        ("Service", &namespace, "greeter"),
        ("ReleaseBinding", "default", "greeter-development"),
        ("RenderedRelease", "default", "greeter-development"),
        ("Component", "default", "greeter"),
    ] {
        let object = world.get(kind, namespace, name).await.unwrap();
        before.push((
            kind,
            namespace.to_owned(),
            name.to_owned(),
            object["metadata"]["resourceVersion"].clone(),
        ));
    }
    world.halt().await;
    world.run();
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    for (kind, namespace, name, version) in before {
        let object = world.get(kind, &namespace, &name).await.unwrap();
        assert_eq!(
            object["metadata"]["resourceVersion"], version,
            "{kind} {name} was written again: {object:#?}"
        );
    }
}
