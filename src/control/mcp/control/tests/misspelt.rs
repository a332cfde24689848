//! Names that are not there.

use super::{refusals::deployed, *};

/// Denies to `one` what `actions` are.
async fn blind(platform: &Platform, actions: &[&str]) {
    let object = |kind: &str, spec| {
        json!({
            "apiVersion": "openchoreo.dev/v1alpha1", "kind": kind,
            "metadata": {"name": "hidden"}, "spec": spec,
        })
    };
    platform.apply(object("ClusterAuthzRole", json!({"actions": actions}))).await;
    let binding = json!({
        "effect": "deny", "entitlement": {"claim": "sub", "value": "one"},
        "roleMappings": [{"roleRef": {"kind": "ClusterAuthzRole", "name": "hidden"}}],
    });
    platform.apply(object("ClusterAuthzRoleBinding", binding)).await;
}

#[tokio::test]
async fn a_change_of_what_is_not_there_is_told_the_names_and_no_grant() {
    let platform = Platform::start().await;
    deployed(&platform).await;
    let unfiltered = connect(&platform, "one", "?filterByAuthz=false", stateless()).await;
    let agent = connect(&platform, "one", "", stateless()).await;
    for (tool, arguments, told) in [
        (
            "update_release_binding",
            json!({"binding_name": "web-prod", "restart": true}),
            "ReleaseBinding not found: web-prod; there are: web-production",
        ),
        (
            "delete_release_binding",
            json!({"binding_name": "web-prod"}),
            "ReleaseBinding not found: web-prod; there are: web-production",
        ),
        (
            "update_workload",
            json!({"workload_name": "web", "workload_spec": {}}),
            "Workload not found: web; there are: web-workload",
        ),
        (
            "create_workload",
            json!({"component_name": "wep", "workload_spec": {}}),
            "Component not found: wep; there are: web",
        ),
    ] {
        let mut arguments = arguments;
        arguments["namespace_name"] = json!("team");
        for client in [&agent, &unfiltered] {
            assert_eq!(bad(client, tool, arguments.clone()).await, told, "{tool}");
        }
        arguments["namespace_name"] = json!("teem");
        let told = bad(&agent, tool, arguments).await;
        assert_eq!(told, "Namespace not found: teem; there are: team", "{tool}");
    }
    let component = |namespace: &str, project: &str| {
        json!({"namespace_name": namespace, "project_name": project, "name": "new",
            "component_type": "deployment/service"})
    };
    let binding = |project: &str, component: &str, environment: &str| {
        json!({"namespace_name": "team", "project_name": project, "component_name": component,
            "environment": environment, "release_name": "web-9"})
    };
    for (tool, arguments, told) in [
        ("create_component", component("team", "shp"), "Project not found: shp; there are: shop"),
        (
            "create_component",
            component("teem", "shop"),
            "Namespace not found: teem; there are: team",
        ),
        (
            "create_component",
            json!({"namespace_name": "team", "project_name": "shop", "name": "new",
                "component_type": "deployment/servise"}),
            "ClusterComponentType not found: servise; there are: service",
        ),
        (
            "create_release_binding",
            binding("shp", "web", "production"),
            "Project not found: shp; there are: shop",
        ),
        (
            "create_release_binding",
            binding("shop", "wep", "production"),
            "Component not found: wep; there are: web",
        ),
        (
            "create_release_binding",
            binding("shop", "web", "prod"),
            "Environment not found: prod; there are: development, production",
        ),
        (
            "create_release_binding",
            binding("shop", "web", "production"),
            "ComponentRelease not found: web-9; there are: web-1",
        ),
        (
            "create_project",
            json!({"namespace_name": "teem", "name": "new"}),
            "Namespace not found: teem; there are: team",
        ),
    ] {
        let admin = connect(&platform, "admin", "", stateless()).await;
        for client in [&agent, &unfiltered, &admin] {
            assert_eq!(bad(client, tool, arguments.clone()).await, told, "{tool} {arguments}");
        }
    }
    let project = json!({"namespace_name": "team", "project_name": "shp"});
    let told = bad(&agent, "delete_project", project).await;
    assert_eq!(told, "Project not found: shp; there are: shop");
    // Of what is there, no more than the part.
    let restart =
        json!({"namespace_name": "team", "binding_name": "web-production", "restart": true});
    let told = bad(&agent, "update_release_binding", restart).await;
    let grant =
        "agent grant one restart --namespace team --project shop --component web --env production";
    assert!(told.contains(grant), "{told}");
}

#[tokio::test]
async fn what_a_call_left_out_is_told_with_what_there_is() {
    let platform = Platform::start().await;
    deployed(&platform).await;
    let agent = connect(&platform, "one", "", stateless()).await;
    let team = "for namespace_name there are: team";
    let both = "the arguments namespace_name, project_name are required";
    for (tool, arguments, told) in [
        ("list_projects", json!({}), format!("the argument namespace_name is required; {team}")),
        (
            "list_components",
            json!({"namespace_name": "", "limit": 3}),
            format!("{both}; {team}; for project_name there are: shop"),
        ),
        (
            "list_components",
            json!({"namespace_name": "team"}),
            "the argument project_name is required; for project_name there are: shop".to_owned(),
        ),
        (
            "update_release_binding",
            json!({"namespace_name": "team", "restart": true}),
            "the argument binding_name is required; for binding_name there are: web-production"
                .to_owned(),
        ),
        (
            "create_release_binding",
            json!({"namespace_name": "team", "project_name": "shop", "component_name": "web"}),
            "the arguments environment, release_name are required; for environment there are: \
             development, production; for release_name there are: web-1"
                .to_owned(),
        ),
        // What is to be made is called as whoever makes it likes.
        (
            "create_component",
            json!({"namespace_name": "team", "project_name": "shop"}),
            "the arguments name, component_type are required".to_owned(),
        ),
    ] {
        assert_eq!(bad(&agent, tool, arguments).await, told, "{tool}");
    }
    blind(&platform, &["project:view"]).await;
    // Until the policy is known.
    for _ in 0..400 {
        let told = bad(&agent, "list_components", json!({"namespace_name": "team"})).await;
        if told == "the argument project_name is required" {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("what is hidden was told for four seconds");
}

#[tokio::test]
async fn who_may_not_look_is_told_neither_names_nor_a_grant() {
    let platform = Platform::start().await;
    deployed(&platform).await;
    let agent = connect(&platform, "one", "", stateless()).await;
    blind(&platform, &["releasebinding:view"]).await;
    let arguments = json!({"namespace_name": "team", "binding_name": "web-prod", "restart": true});
    // Until the policy is known.
    for _ in 0..400 {
        let told = bad(&agent, "update_release_binding", arguments.clone()).await;
        if told.starts_with("denied: ") {
            assert!(told.contains("No grant is suggested"), "{told}");
            assert!(!told.contains("web-production") && !told.contains("grant one"), "{told}");
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("what is hidden was told for four seconds");
}

#[tokio::test]
async fn a_read_of_what_is_not_there_is_told_the_names() {
    let platform = Platform::start().await;
    deployed(&platform).await;
    let agent = connect(&platform, "one", "", stateless()).await;
    let project = "Project not found: shp; there are: shop";
    let component = "Component not found: wep; there are: web";
    for (tool, named, name, told) in [
        ("list_components", "project_name", "shp", project),
        ("get_component", "component_name", "wep", component),
        ("get_component_schema", "component_name", "wep", component),
        ("list_workloads", "component_name", "wep", component),
        ("list_release_bindings", "component_name", "wep", component),
        ("list_component_releases", "component_name", "wep", component),
        (
            "get_release_binding",
            "binding_name",
            "web-prod",
            "ReleaseBinding not found: web-prod; there are: web-production",
        ),
    ] {
        let arguments = json!({"namespace_name": "team", named: name});
        assert_eq!(bad(&agent, tool, arguments).await, told, "{tool}");
    }
    let namespace = "Namespace not found: teem; there are: team";
    for tool in ["list_projects", "list_environments", "list_deployment_pipelines"] {
        assert_eq!(bad(&agent, tool, json!({"namespace_name": "teem"})).await, namespace, "{tool}");
    }
    let arguments = json!({"namespace_name": "teem", "project_name": "shop"});
    assert_eq!(bad(&agent, "list_components", arguments).await, namespace);
    for (tool, more) in [
        ("list_component_types", json!({})),
        ("list_component_types", json!({"scope": "namespace"})),
        ("list_dataplanes", json!({})),
        ("list_dataplanes", json!({"scope": "cluster"})),
        ("get_component_type", json!({"name": "service"})),
        ("get_component_type_schema", json!({"name": "service"})),
    ] {
        let mut arguments = more;
        arguments["namespace_name"] = json!("teem");
        assert_eq!(bad(&agent, tool, arguments).await, namespace, "{tool}");
    }
    let admin = connect(&platform, "admin", "", stateless()).await;
    // Records outlive namespaces: it is one as long as there are any.
    good(&admin, "query_audit", json!({"namespace_name": "teem"})).await;
    let audit = bad(&admin, "query_audit", json!({"namespace_name": "tame"})).await;
    assert_eq!(audit, "Namespace not found: tame; there are: team");
}

#[tokio::test]
async fn names_are_told_as_far_as_the_caller_may_see_them_and_not_too_many() {
    let platform = Platform::start().await;
    deployed(&platform).await;
    let developer = connect(&platform, "developer", "", stateless()).await;
    for index in 0..20 {
        let arguments = json!({"namespace_name": "team", "name": format!("p{index:02}")});
        good(&developer, "create_project", arguments).await;
    }
    let wrong = json!({"namespace_name": "team", "project_name": "shp"});
    let told = bad(&developer, "list_components", wrong.clone()).await;
    assert!(told.ends_with("p18, p19 and more"), "{told}");
    let agent = connect(&platform, "one", "", stateless()).await;
    blind(&platform, &["project:view"]).await;
    // Until the policy is known.
    for _ in 0..400 {
        let told = bad(&agent, "list_components", wrong.clone()).await;
        if told == "Project not found: shp" {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("what is hidden was told for four seconds");
}
