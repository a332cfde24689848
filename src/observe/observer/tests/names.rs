//! What is said of names that nobody knows.

use serde_json::json;

use super::World;

#[tokio::test]
async fn a_misspelt_name_is_told_with_those_there_are_and_what_is_stored_is_answered() {
    let world = World::new().await;
    let place = |project: &str, component: &str, environment: &str| {
        json!({"namespace": "default", "project": project, "component": component, "environment": environment,
            "start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-01T01:00:00Z"})
    };
    let misspelt = [
        (
            place("shp", "cart", "development"),
            "there is no project \"shp\" in namespace default; there are: bank, shop",
        ),
        (
            place("shop", "crat", "development"),
            "there is no component \"crat\" in project shop; there are: quiet",
        ),
        (
            place("shop", "cart", "developmnt"),
            "there is no environment \"developmnt\" in namespace default; there are: development, staging",
        ),
    ];
    for tool in [
        "query_component_logs",
        "query_component_events",
        "query_resource_metrics",
        "query_http_metrics",
        "query_app_metrics",
        "query_topology",
        "query_traces",
        "query_alerts",
        "query_incidents",
        "query_costs",
        "query_recommendations",
    ] {
        for (arguments, words) in &misspelt {
            let told = world.tool("dev", tool, arguments.clone()).await;
            assert_eq!(told["isError"], true, "{tool}: {told}");
            assert_eq!(told["content"][0]["text"], *words, "{tool}");
        }
        // One is deployed but was quiet, of the other there is only what it left; neither is misspelt.
        for component in ["quiet", "cart"] {
            let told = world.tool("dev", tool, place("shop", component, "staging")).await;
            assert_ne!(told["isError"], true, "{tool}: {told}");
        }
        // Whoever sees no names is not told them.
        let told = world.tool("guest", tool, misspelt[0].0.clone()).await;
        assert_ne!(told["isError"], true, "{tool}: {told}");
    }
    // Nor is a name that is left out a riddle.
    let told = world.tool("dev", "query_topology", json!({})).await;
    assert_eq!(told["isError"], true, "{told}");
    let words = told["content"][0]["text"].as_str().expect("words");
    assert!(words.starts_with("the arguments namespace, project"), "{words}");
    let choices = "; for namespace there are: default; for project there are: bank, shop";
    assert!(words.contains(choices), "{words}");
    let told = world.tool("guest", "query_topology", json!({})).await;
    assert!(!told.to_string().contains("there are"), "{told}");
    let scope = json!({"searchScope": {"namespace": "defualt"}});
    let (status, told) = world.query("dev", scope.clone()).await;
    assert_eq!((status, &told["errorCode"]), (400, &json!("OBS-V1-L-04")), "{told}");
    assert_eq!(told["message"], "there is no namespace \"defualt\"; there are: default");
    let (status, told) = world.alerts("dev", "incidents/query", scope).await;
    assert_eq!((status, &told["errorCode"]), (400, &json!("SCOPE_NOT_FOUND")), "{told}");
}
