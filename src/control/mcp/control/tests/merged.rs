//! What a change of a binding leaves as it is.

use super::{refusals::deployed, *};
use crate::authz::SCALE;

/// A deployed component whose production has settings, and who may change it.
async fn stage() -> (Platform, Client) {
    let platform = Platform::start().await;
    deployed(&platform).await;
    let developer = connect(&platform, "developer", "", stateless()).await;
    let settings = json!({
        "component_type_environment_configs": {"replicas": 1, "resources": {"limits": {"memory": "64Mi", "cpu": "1"}}},
        "trait_environment_configs": {"errors": {"threshold": 5, "enabled": true}, "disk": {"size": "1Gi"}},
        "workload_overrides": {"container": {
            "env": [{"key": "A", "value": "1"}],
            "files": [{"key": "f", "mountPath": "/f", "value": "x"}],
        }},
    });
    change(&developer, settings).await.expect("settings");
    (platform, developer)
}

async fn change(client: &Client, mut arguments: Value) -> Result<(), String> {
    arguments["namespace_name"] = json!("team");
    arguments["binding_name"] = json!("web-production");
    told(client, "update_release_binding", arguments).await
}

async fn spec(platform: &Platform) -> Value {
    let found = platform.find("ReleaseBinding", "team", "web-production").await.expect("there");
    found.data["spec"].clone()
}

#[tokio::test]
async fn what_a_change_does_not_name_stays_and_null_removes() {
    let (platform, developer) = stage().await;
    change(
        &developer,
        json!({
            "component_type_environment_configs": {"replicas": 2, "resources": {"limits": {"cpu": null}}},
            "trait_environment_configs": {"errors": {"threshold": 9}, "disk": null},
            "workload_overrides": {"container": {"env": [{"key": "B", "value": "2"}]}},
        }),
    )
    .await
    .expect("changed");
    let spec = spec(&platform).await;
    assert_eq!(
        spec["componentTypeEnvironmentConfigs"],
        json!({"replicas": 2, "resources": {"limits": {"memory": "64Mi"}}})
    );
    let traits = json!({"errors": {"threshold": 9, "enabled": true}});
    assert_eq!(spec["traitEnvironmentConfigs"], traits);
    // A list is one value.
    let container = &spec["workloadOverrides"]["container"];
    assert_eq!(container["env"], json!([{"key": "B", "value": "2"}]));
    assert_eq!(container["files"][0]["key"], "f", "{spec}");
}

#[tokio::test]
async fn a_variable_is_removed_by_sending_the_others_as_the_tools_say() {
    let (platform, developer) = stage().await;
    let env = json!([{"key": "A", "value": "1"}, {"key": "B", "value": "2"}]);
    let overrides = |env: &Value| json!({"workload_overrides": {"container": {"env": env}}});
    change(&developer, overrides(&env)).await.expect("two");
    change(&developer, overrides(&json!([env[1]]))).await.expect("one");
    let container = spec(&platform).await["workloadOverrides"]["container"].clone();
    assert_eq!(container["env"], json!([env[1]]));
    assert_eq!(container["files"][0]["key"], "f", "what is not named stays");

    let place = json!({"namespace_name": "team", "workload_name": "web-workload"});
    let mut update = place.clone();
    update["workload_spec"] = json!({"container": {"image": "web:1", "env": env}});
    good(&developer, "update_workload", update.clone()).await;
    let mut spec = good(&developer, "get_workload", place.clone()).await["spec"].clone();
    spec["container"]["env"].as_array_mut().expect("variables").remove(0);
    update["workload_spec"] = spec;
    good(&developer, "update_workload", update).await;
    let spec = good(&developer, "get_workload", place).await["spec"].clone();
    assert_eq!(spec["container"]["env"], json!([env[1]]));
    let tools = developer.list_all_tools().await.expect("tools");
    let told = |name: &str| {
        let tool = tools.iter().find(|tool| tool.name == name).expect("a tool");
        serde_json::to_string(tool).expect("JSON")
    };
    assert!(told("update_release_binding").contains("to remove a variable send the others"));
    assert!(told("update_workload").contains("what is left out is removed"));
}

#[tokio::test]
async fn who_may_scale_scales_what_has_other_settings_by_naming_replicas_alone() {
    let (platform, _) = stage().await;
    let role = json!({
        "apiVersion": "openchoreo.dev/v1alpha1", "kind": "AuthzRole",
        "metadata": {"name": "scaler", "namespace": "team"}, "spec": {"actions": [SCALE]},
    });
    platform.apply(role).await;
    let binding = json!({
        "apiVersion": "openchoreo.dev/v1alpha1", "kind": "AuthzRoleBinding",
        "metadata": {"name": "scaler", "namespace": "team"},
        "spec": {"entitlement": {"claim": "sub", "value": "one"},
            "roleMappings": [{"roleRef": {"kind": "AuthzRole", "name": "scaler"}}]},
    });
    platform.apply(binding).await;
    let agent = connect(&platform, "one", "", stateless()).await;
    let scale = json!({"component_type_environment_configs": {"replicas": 3}});
    let mut answer = change(&agent, scale.clone()).await;
    // Until the policy is known.
    for _ in 0..400 {
        if answer.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        answer = change(&agent, scale.clone()).await;
    }
    answer.expect("allowed");
    let settings = spec(&platform).await["componentTypeEnvironmentConfigs"].clone();
    assert_eq!(
        (&settings["replicas"], &settings["resources"]["limits"]["memory"]),
        (&json!(3), &json!("64Mi"))
    );
    let more = json!({"component_type_environment_configs": {"resources": null}});
    change(&agent, more).await.expect_err("that is not scaling");
}
