//! What an agent writes and the kind does not have.

use super::{refusals::deployed, *};

#[tokio::test]
async fn a_slip_of_an_agent_is_told_with_its_path_and_wipes_nothing() {
    let platform = Platform::start().await;
    deployed(&platform).await;
    let developer = connect(&platform, "developer", "", stateless()).await;
    let name = json!({"namespace_name": "team", "binding_name": "web-production"});
    let with = |overrides: Value| {
        let mut arguments = name.clone();
        arguments["workload_overrides"] = overrides;
        arguments
    };
    let good_overrides = json!({"container": {"env": [{"key": "A", "value": "1"}]}});
    good(&developer, "update_release_binding", with(good_overrides.clone())).await;

    let slip = json!({"contaner": {"env": []}});
    let told = bad(&developer, "update_release_binding", with(slip.clone())).await;
    assert!(told.contains(r#"unknown field "spec.workloadOverrides.contaner""#), "{told}");
    let there = platform.find("ReleaseBinding", "team", "web-production").await.expect("there");
    assert_eq!(there.data["spec"]["workloadOverrides"], good_overrides, "nothing was wiped");

    let made = json!({
        "namespace_name": "team", "project_name": "shop", "component_name": "web",
        "environment": "development", "release_name": "web-1", "workload_overrides": slip,
    });
    let told = bad(&developer, "create_release_binding", made).await;
    assert!(told.contains(r#"unknown field "spec.workloadOverrides.contaner""#), "{told}");
    assert!(platform.find("ReleaseBinding", "team", "web-development").await.is_none());

    let workload = json!({
        "namespace_name": "team", "workload_name": "web-workload",
        "workload_spec": {"container": {"image": "web:2", "prots": []}},
    });
    let told = bad(&developer, "update_workload", workload).await;
    assert!(told.contains(r#"unknown field "spec.container.prots""#), "{told}");

    // An argument that the tool does not have is no less of a slip.
    let mut odd = name.clone();
    odd["workload_override"] = json!({});
    let told = bad(&developer, "update_release_binding", odd).await;
    assert!(told.contains("unknown argument \"workload_override\""), "{told}");
}
