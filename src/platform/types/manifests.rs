//! The manifests of this repository are objects of these types.

use super::*;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files(&path, found),
            false => found.push(path),
        }
    }
}

/// Every document of `manifests/defaults` and `manifests/samples`, with what a bundle fills in filled in.
fn documents() -> Vec<(String, Value)> {
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests");
    let mut found = Vec::new();
    files(&manifests.join("defaults"), &mut found);
    files(&manifests.join("samples"), &mut found);
    let mut all = Vec::new();
    for path in found {
        let text =
            std::fs::read_to_string(&path).unwrap().replace("${instance.ports.gateway}", "19080");
        for document in
            text.split("\n---\n").filter(|d| d.lines().any(|l| !l.starts_with('#') && l != "---"))
        {
            let parsed: Value =
                serde_saphyr::from_str(document.trim_start_matches("---\n")).unwrap();
            all.push((format!("{}: {}", path.display(), parsed["metadata"]["name"]), parsed));
        }
    }
    all
}

fn read<K: Kind>(name: &str, document: &Value) -> K {
    serde_json::from_value(document.clone()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_document_is_of_its_kind() {
    let mut roles = Vec::new();
    let mut granted = Vec::new();
    for (name, document) in documents() {
        match document["kind"].as_str().unwrap() {
            "Namespace" => {
                assert_eq!(document["metadata"]["labels"][labels::CONTROL_PLANE], "true")
            }
            "ClusterAuthzRole" => roles.push(read::<ClusterAuthzRole>(&name, &document)),
            "ClusterAuthzRoleBinding" => {
                let binding = read::<ClusterAuthzRoleBinding>(&name, &document);
                granted.extend(binding.spec.role_mappings.into_iter().map(|m| m.role_ref.name));
            }
            "ClusterComponentType" => {
                let found = read::<ClusterComponentType>(&name, &document).spec;
                assert!(
                    found.resources.iter().any(|r| r.id == found.workload_type.as_str()),
                    "{name}"
                );
            }
            "ClusterDataPlane" => {
                let plane = read::<ClusterDataPlane>(&name, &document).spec;
                let gateway = plane.gateway.unwrap().ingress.unwrap().external.unwrap();
                assert_eq!(gateway.http.unwrap().host, "openchoreoapis.localhost");
            }
            "ClusterObservabilityPlane" => _ = read::<ClusterObservabilityPlane>(&name, &document),
            "ClusterWorkflowPlane" => _ = read::<ClusterWorkflowPlane>(&name, &document),
            "ClusterTrait" => {
                let found = read::<ClusterTrait>(&name, &document).spec;
                assert!(!found.patches.is_empty() || !found.creates.is_empty(), "{name}");
            }
            "Component" => _ = read::<Component>(&name, &document),
            "DeploymentPipeline" => {
                let pipeline = read::<DeploymentPipeline>(&name, &document).spec;
                assert_eq!(pipeline.root(), Some("development"));
                assert_eq!(pipeline.environments(), ["development", "staging", "production"]);
                assert_eq!(pipeline.targets("staging").collect::<Vec<_>>(), ["production"]);
            }
            "Environment" => _ = read::<Environment>(&name, &document),
            "ObservabilityAlertsNotificationChannel" => {
                _ = read::<ObservabilityAlertsNotificationChannel>(&name, &document);
            }
            "Project" => _ = read::<Project>(&name, &document),
            "ReleaseBinding" => _ = read::<ReleaseBinding>(&name, &document),
            "Workload" => _ = read::<Workload>(&name, &document),
            other => panic!("{name} is of the unexpected kind {other}"),
        }
    }
    for role in &granted {
        assert!(
            roles.iter().any(|r| r.metadata.name.as_ref() == Some(role)),
            "{role} is granted but not there"
        );
    }
    let reader = roles.iter().find(|r| r.metadata.name.as_deref() == Some("agent-reader")).unwrap();
    assert!(reader.spec.actions.iter().all(|action| action.ends_with(":view")));
}
