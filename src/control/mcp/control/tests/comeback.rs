//! Going back to an earlier release, with and without auto-deploy.

use super::{refusals::deployed, *};

/// Releases are told apart by the second in which they were made.
const LATER: std::time::Duration = std::time::Duration::from_millis(1_100);

#[tokio::test]
async fn nobody_goes_back_where_auto_deploy_would_go_forward_again() {
    let platform = Platform::start().await;
    deployed(&platform).await;
    tokio::time::sleep(LATER).await;
    let developer = connect(&platform, "developer", "", stateless()).await;
    let of = |more: Value| {
        let mut arguments = json!({"namespace_name": "team", "component_name": "web"});
        arguments
            .as_object_mut()
            .expect("an object")
            .extend(more.as_object().cloned().expect("so"));
        arguments
    };
    let release = of(json!({"release_name": "web-2"}));
    good(&developer, "create_component_release", release).await;
    let first =
        of(json!({"project_name": "shop", "environment": "development", "release_name": "web-2"}));
    good(&developer, "create_release_binding", first).await;
    let go = |environment: &str, release: &str| {
        let name = format!("web-{environment}");
        let arguments =
            json!({"namespace_name": "team", "binding_name": name, "release_name": release});
        told(&developer, "update_release_binding", arguments)
    };
    // Only where releases enter they come by themselves.
    go("production", "web-2").await.expect("forward");
    go("production", "web-1").await.expect("back");

    let refused = go("development", "web-1").await.expect_err("it would not stay");
    let why =
        "auto-deploy of component web would bring its newest release back to development at once";
    assert!(refused.contains(why) && refused.contains("patch_component"), "{refused}");
    let off = of(json!({"auto_deploy": false}));
    good(&developer, "patch_component", off).await;
    go("development", "web-1").await.expect("it stays");
    go("development", "web-2").await.expect("forward");
}
