use super::*;
use crate::types::{ComponentTypeSpec, WorkloadSpec};

fn inputs(image: &str) -> Inputs {
    let component_type: ComponentTypeSpec = serde_json::from_value(json!({
        "workloadType": "deployment",
        "resources": [{ "id": "deployment", "template": { "kind": "Deployment" } }],
    }))
    .unwrap();
    let workload: WorkloadSpec = serde_json::from_value(json!({
        "owner": { "projectName": "shop", "componentName": "web" },
        "container": { "image": image },
        "endpoints": { "http": { "type": "HTTP", "port": 8080 } },
    }))
    .unwrap();
    Inputs { component_type, traits: Vec::new(), workload, root: "development".into() }
}

fn component(parameters: serde_json::Value) -> ComponentSpec {
    serde_json::from_value(json!({
        "owner": { "projectName": "shop" },
        "componentType": { "kind": "ClusterComponentType", "name": "deployment/service" },
        "parameters": parameters,
    }))
    .unwrap()
}

#[test]
fn the_hash_follows_the_content_and_not_the_owner() {
    let spec = component(json!({ "a": 1, "b": 2 }));
    let one = build("web", &spec, inputs("nginx:1"));
    let renamed = build("other", &spec, inputs("nginx:1"));
    assert_eq!(hash(&one), hash(&renamed));
    let newer = build("web", &spec, inputs("nginx:2"));
    assert_ne!(hash(&one), hash(&newer));
    let tuned = build("web", &component(json!({ "a": 1, "b": 3 })), inputs("nginx:1"));
    assert_ne!(hash(&one), hash(&tuned));
}

#[test]
fn a_component_without_choices_has_no_profile() {
    let mut spec = component(json!({}));
    spec.parameters = None;
    let release = build("web", &spec, inputs("nginx:1"));
    let text = serde_json::to_value(&release).unwrap();
    assert!(text.get("componentProfile").is_none() && text.get("traits").is_none(), "{text}");
    assert_eq!(text["componentType"]["name"], "deployment/service");
}
