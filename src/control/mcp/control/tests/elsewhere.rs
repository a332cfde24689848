//! A component that is in another project than the call says.

use super::{refusals::deployed, *};

#[tokio::test]
async fn where_a_component_is_that_is_not_in_the_project_is_told_to_who_may_see_it_there() {
    let platform = Platform::start().await;
    deployed(&platform).await;
    let developer = connect(&platform, "developer", "", stateless()).await;
    good(&developer, "create_project", json!({"namespace_name": "team", "name": "other"})).await;
    let own = json!({"namespace_name": "team", "project_name": "other", "name": "own",
        "component_type": "deployment/service"});
    good(&developer, "create_component", own).await;
    let agent = connect(&platform, "one", "", stateless()).await;
    let wrong = json!({"namespace_name": "team", "project_name": "other", "component_name": "web",
        "environment": "production", "release_name": "web-1"});
    let told = bad(&agent, "create_release_binding", wrong.clone()).await;
    assert_eq!(told, "component web belongs to project shop, not to other");
    // Who sees components of the one project alone.
    let object = |kind: &str, name: &str, spec| {
        json!({
            "apiVersion": "openchoreo.dev/v1alpha1", "kind": kind,
            "metadata": {"name": name}, "spec": spec,
        })
    };
    platform
        .apply(object("ClusterAuthzRole", "blind", json!({"actions": ["component:view"]})))
        .await;
    let binding = json!({
        "effect": "deny", "entitlement": {"claim": "sub", "value": "one"},
        "roleMappings": [{
            "roleRef": {"kind": "ClusterAuthzRole", "name": "blind"},
            "scope": {"namespace": "team", "project": "shop"},
        }],
    });
    platform.apply(object("ClusterAuthzRoleBinding", "blind", binding)).await;
    // Until the policy is known.
    for _ in 0..400 {
        let told = bad(&agent, "create_release_binding", wrong.clone()).await;
        if !told.contains("shop") {
            assert_eq!(told, "Component not found: web; there are: own");
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("what is hidden was told for four seconds");
}
