//! The platform path by kubectl: component, release, gateway, promotion, removal.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use curtain_e2e::{Instance, eventually, get};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(30);
const KUBECTL: &str = "kubectl-1.37";

fn manifest(tag: &str) -> String {
    format!(
        r#"
apiVersion: openchoreo.dev/v1alpha1
kind: Project
metadata: {{name: library, namespace: default}}
spec:
  deploymentPipelineRef: {{name: default}}
  type: {{kind: ClusterProjectType, name: default}}
---
apiVersion: openchoreo.dev/v1alpha1
kind: Component
metadata: {{name: shelf, namespace: default}}
spec:
  owner: {{projectName: library}}
  autoDeploy: true
  componentType: {{kind: ClusterComponentType, name: deployment/service}}
---
apiVersion: openchoreo.dev/v1alpha1
kind: Workload
metadata: {{name: shelf, namespace: default}}
spec:
  owner: {{projectName: library, componentName: shelf}}
  container: {{image: "docker.io/library/shelf:{tag}"}}
  endpoints:
    web: {{type: HTTP, port: 8080, visibility: [external]}}
"#
    )
}

fn serves(url: &str, text: &str) {
    eventually(&format!("{url} to serve {text:?}"), LIMIT, || {
        let answer = get(url)?;
        (answer.status == 200 && answer.body == text).then_some(()).ok_or(format!("{answer:?}"))
    });
}

fn binding(instance: &Instance, name: &str) -> Value {
    let args = ["get", "releasebinding", name, "-o", "json"];
    serde_json::from_str(&instance.kubectl(KUBECTL, &args).success()).unwrap()
}

#[test]
fn a_component_is_served_changed_promoted_and_removed() {
    let instance = Instance::up();
    for tag in ["1", "2"] {
        let reference = format!("docker.io/library/shelf:{tag}");
        instance.load_busybox(&reference, &format!("shelf {tag}"));
    }
    let gateway = instance.endpoint("gateway");

    // Applied with kubectl, served by path and by host.
    instance.kubectl_file(KUBECTL, &["apply"], &manifest("1")).success();
    let by_path = format!("{gateway}/@development-default/shelf-web/");
    serves(&by_path, "shelf 1\n");
    let host = "development-default.openchoreoapis.localhost";
    let port = gateway.rsplit(':').next().unwrap();
    serves(&format!("http://{host}:{port}/shelf-web/"), "shelf 1\n");
    let first = binding(&instance, "shelf-development")["spec"]["releaseName"].clone();

    // A changed workload rolls out a new release.
    instance.kubectl_file(KUBECTL, &["apply"], &manifest("2")).success();
    serves(&by_path, "shelf 2\n");
    let second = binding(&instance, "shelf-development");
    assert_ne!(second["spec"]["releaseName"], first);
    let url = &second["status"]["endpoints"][0]["externalURLs"]["http"];
    assert_eq!(url["host"], host, "{second:#}");

    // Promotion binds the same release to the next environment.
    let release = second["spec"]["releaseName"].as_str().unwrap();
    let promotion = format!(
        r#"
apiVersion: openchoreo.dev/v1alpha1
kind: ReleaseBinding
metadata: {{name: shelf-staging, namespace: default}}
spec:
  owner: {{projectName: library, componentName: shelf}}
  environment: staging
  releaseName: {release}
"#
    );
    instance.kubectl_file(KUBECTL, &["apply"], &promotion).success();
    let promoted = format!("{gateway}/@staging-default/shelf-web/");
    serves(&promoted, "shelf 2\n");

    // Deleting the component removes every rendered object in both cells.
    instance.kubectl(KUBECTL, &["delete", "component", "shelf", "--timeout=30s"]).success();
    let left = |kinds: &str, selector: &[&str]| {
        let args = ["get", kinds, "-A", "-o", "name"];
        instance.kubectl(KUBECTL, &[&args, selector].concat()).ok()
    };
    eventually("the rendered objects to be gone", LIMIT, || {
        let kinds = "deployments,services,httproutes,networkpolicies,configmaps";
        let left = left(kinds, &["-l", "openchoreo.dev/component=shelf"])?;
        if left.trim().is_empty() { Ok(()) } else { Err(left) }
    });
    let kinds = "workloads,componentreleases,releasebindings,renderedreleases";
    let left = left(kinds, &[]).unwrap();
    assert!(!left.contains("shelf"), "{left}");
    assert_eq!(get(&promoted).unwrap().status, 404);
    instance.down();
}
