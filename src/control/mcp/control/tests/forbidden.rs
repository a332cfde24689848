//! What is forbidden in part to who holds the whole.

use http::Method;

use super::{refusals::deployed, *};
use crate::authz::{ROLLBACK, SCALE};

/// Releases are told apart by the second in which they were made.
const LATER: std::time::Duration = std::time::Duration::from_millis(1_100);

/// Forbids `action` to `group`.
async fn forbid(platform: &Platform, group: &str, name: &str, action: &str) {
    let object = |kind: &str, spec: Value| {
        json!({
            "apiVersion": "openchoreo.dev/v1alpha1", "kind": kind,
            "metadata": {"name": name, "namespace": "team"}, "spec": spec,
        })
    };
    platform.apply(object("AuthzRole", json!({"actions": [action]}))).await;
    let binding = json!({
        "effect": "deny", "entitlement": {"claim": "groups", "value": group},
        "roleMappings": [{"roleRef": {"kind": "AuthzRole", "name": name}}],
    });
    platform.apply(object("AuthzRoleBinding", binding)).await;
}

#[tokio::test]
async fn a_part_that_is_forbidden_stays_so_for_who_may_do_the_whole() {
    let platform = Platform::start().await;
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

    forbid(&platform, "developers", "no-way-back", ROLLBACK).await;
    forbid(&platform, "developers", "no-scaling", SCALE).await;
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
    let (starts, forbids) = ("denied: releasebinding:scale on ", "no-scaling forbids it");
    assert!(refused.starts_with(starts) && refused.contains(forbids), "{refused}");
    for back in [
        json!({"release_name": "web-1"}),
        json!({"release_name": "web-1", "release_state": "Undeploy"}),
        json!({"release_name": "nowhere"}),
    ] {
        let refused = change(back.clone()).await.expect_err("refused");
        let told = refused.starts_with("denied: releasebinding:rollback on ")
            && refused.contains("no-way-back forbids it");
        assert!(told, "{back}: {refused}");
    }
    change(json!({"restart": true, "release_state": "Undeploy"})).await.expect("all else");
}

#[tokio::test]
async fn of_a_part_that_is_forbidden_no_grant_is_suggested() {
    let platform = Platform::start().await;
    deployed(&platform).await;
    let agent = connect(&platform, "one", "", stateless()).await;
    let change = |mut arguments: Value| {
        arguments["namespace_name"] = json!("team");
        arguments["binding_name"] = json!("web-production");
        told(&agent, "update_release_binding", arguments)
    };
    let scale = json!({"component_type_environment_configs": {"replicas": 3}});
    let mut more = scale.clone();
    more["release_state"] = json!("Undeploy");
    let refused = change(scale.clone()).await.expect_err("refused");
    assert!(refused.contains("agent grant one scale"), "{refused}");

    forbid(&platform, "agents", "no-scaling", SCALE).await;
    let forbids = "no-scaling forbids it";
    for _ in 0..400 {
        if change(scale.clone()).await.is_err_and(|refused| refused.contains(forbids)) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    // Who may nothing of this kind is refused at the door, who may a part of it when the change is known.
    for holds in ["nothing", "restart"] {
        for forbidden in [&scale, &more] {
            let refused = change(forbidden.clone()).await.expect_err("refused");
            let told = refused.contains(forbids) && !refused.contains("agent grant");
            assert!(told, "who holds {holds}, {forbidden}: {refused}");
        }
        let refused = change(json!({"release_state": "Undeploy"})).await.expect_err("refused");
        assert!(refused.contains("agent grant one config-fix"), "{refused}");
        if holds == "restart" {
            break;
        }
        let admin = platform.token("admin").await;
        let wish = json!({"kind": "restart", "namespace": "team", "seconds": 3600});
        let grants = "/api/v1/agents/one/grants";
        let (status, granted) = platform.send(&admin, Method::POST, grants, Some(wish)).await;
        assert_eq!(status, 201, "{granted}");
        let mut refused = String::new();
        for _ in 0..400 {
            match change(json!({"restart": true})).await {
                Ok(()) => break,
                Err(reason) => refused = reason,
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        change(json!({"restart": true})).await.unwrap_or_else(|_| panic!("granted: {refused}"));
    }
}
