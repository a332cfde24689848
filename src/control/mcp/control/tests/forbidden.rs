//! What is forbidden in part to who holds the whole.

use super::{refusals::deployed, *};
use crate::authz::{ROLLBACK, SCALE};

/// Releases are told apart by the second in which they were made.
const LATER: std::time::Duration = std::time::Duration::from_millis(1_100);

/// Forbids `action` to developers.
async fn forbid(platform: &Platform, name: &str, action: &str) {
    let object = |kind: &str, spec: Value| {
        json!({
            "apiVersion": "openchoreo.dev/v1alpha1", "kind": kind,
            "metadata": {"name": name, "namespace": "team"}, "spec": spec,
        })
    };
    platform.apply(object("AuthzRole", json!({"actions": [action]}))).await;
    let binding = json!({
        "effect": "deny", "entitlement": {"claim": "groups", "value": "developers"},
        "roleMappings": [{"roleRef": {"kind": "AuthzRole", "name": name}}],
    });
    platform.apply(object("AuthzRoleBinding", binding)).await;
}

#[tokio::test]
async fn a_part_that_is_forbidden_stays_so_for_who_may_do_the_whole() {
    let platform = Platform::start().await;
    production(&platform).await;
    deployed(&platform).await;
    tokio::time::sleep(LATER).await;
    let developer = connect(&platform, "developer", "", stateless()).await;
    let release =
        json!({"namespace_name": "team", "component_name": "web", "release_name": "web-2"});
    good(&developer, "create_component_release", release).await;
    let change = |what: Value| {
        let mut arguments = what;
        arguments["namespace_name"] = json!("team");
        arguments["binding_name"] = json!("web-production");
        told(&developer, "update_release_binding", arguments)
    };
    let replicas = |count: u8| json!({"replicas": count});
    change(json!({"release_name": "web-2"})).await.expect("forward");
    change(json!({"component_type_environment_configs": replicas(2)})).await.expect("scaled");

    forbid(&platform, "no-way-back", ROLLBACK).await;
    forbid(&platform, "no-scaling", SCALE).await;
    // Each attempt is another change until the policy is known.
    let mut count = 2;
    let refused = loop {
        count += 1;
        assert!(count < 200, "scaling stays allowed");
        let scale = json!({"component_type_environment_configs": replicas(count)});
        if let Err(refused) = change(scale).await {
            break refused;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    assert!(refused.contains("no-scaling forbids \"releasebinding:scale\""), "{refused}");
    for back in [
        json!({"release_name": "web-1"}),
        json!({"release_name": "web-1", "release_state": "Undeploy"}),
        json!({"release_name": "nowhere"}),
    ] {
        let refused = change(back.clone()).await.expect_err("refused");
        let told = refused.contains("no-way-back forbids \"releasebinding:rollback\"");
        assert!(told, "{back}: {refused}");
    }
    change(json!({"restart": true, "release_state": "Undeploy"})).await.expect("all else");
}
