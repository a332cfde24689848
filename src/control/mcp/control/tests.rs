//! The tools as MCP clients use them, in both protocol revisions.

use rmcp::{
    ClientHandler, ClientLifecycleMode, ClientServiceExt as _, RoleClient,
    model::{CallToolRequestParams, CallToolResult, ProtocolVersion},
    service::RunningService,
    transport::{
        StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use serde_json::{Value, json};

use crate::testing::Platform;

mod comeback;
mod elsewhere;
mod forbidden;
mod grants;
mod merged;
mod misspelt;
mod refusals;
mod strict;

#[derive(Clone, Default)]
struct TestClient;

impl ClientHandler for TestClient {}

type Client = RunningService<RoleClient, TestClient>;

fn stateless() -> ClientLifecycleMode {
    ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] }
}

async fn connect(
    platform: &Platform,
    who: &str,
    query: &str,
    lifecycle: ClientLifecycleMode,
) -> Client {
    let token = platform.token(who).await;
    let config = StreamableHttpClientTransportConfig::with_uri(format!("{}{query}", platform.mcp))
        .auth_header(token);
    let transport = StreamableHttpClientTransport::from_config(config);
    TestClient.serve_with_lifecycle(transport, lifecycle).await.expect("client")
}

async fn call(client: &Client, tool: &str, arguments: Value) -> Result<CallToolResult, String> {
    let mut params = CallToolRequestParams::new(tool.to_owned());
    params.arguments = arguments.as_object().cloned();
    client.call_tool(params).await.map_err(|error| error.to_string())
}

/// The structured result of a call that works; its text must be the same.
async fn good(client: &Client, tool: &str, arguments: Value) -> Value {
    let result =
        call(client, tool, arguments).await.unwrap_or_else(|error| panic!("{tool}: {error}"));
    let text = result.content[0].as_text().expect("text").text.clone();
    assert_ne!(result.is_error, Some(true), "{tool}: {text}");
    let structured = result.structured_content.expect("structured");
    assert_eq!(serde_json::from_str::<Value>(&text).expect("json"), structured);
    let row = super::table::ROWS.iter().find(|row| row.tool.name == tool).expect("row");
    let schema = crate::mcp::schema::describe(&row.tool).output_schema.expect("schema");
    meets(tool, &Value::Object(schema.as_ref().clone()), &structured);
    structured
}

/// Holds a result against its schema: required members are there, every member is named and of its type.
fn meets(at: &str, schema: &Value, value: &Value) {
    match (schema["type"].as_str(), value) {
        (Some("object"), Value::Object(members)) => {
            for name in schema["required"].as_array().into_iter().flatten() {
                assert!(
                    members.contains_key(name.as_str().expect("name")),
                    "{at}: no {name} in {value}"
                );
            }
            let Some(properties) = schema["properties"].as_object() else { return };
            for (name, member) in members {
                let known = properties.get(name);
                // Extras of a mutation differ by tool and stay unnamed.
                if known.is_none() && properties.contains_key("action") {
                    continue;
                }
                meets(
                    &format!("{at}.{name}"),
                    known.unwrap_or_else(|| panic!("{at}: {name}")),
                    member,
                );
            }
        }
        (Some("array"), Value::Array(items)) => {
            if schema["items"].is_object() {
                items.iter().for_each(|item| meets(at, &schema["items"], item));
            }
        }
        (Some("string"), Value::String(_)) | (Some("boolean"), Value::Bool(_)) => {}
        (Some("integer"), Value::Number(number)) if number.is_i64() => {}
        (wanted, found) => panic!("{at}: {found} is not {wanted:?}"),
    }
}

/// The text of a call whose result is an error.
async fn bad(client: &Client, tool: &str, arguments: Value) -> String {
    let result =
        call(client, tool, arguments).await.unwrap_or_else(|error| panic!("{tool}: {error}"));
    assert_eq!(result.is_error, Some(true), "{tool}: {result:?}");
    result.content[0].as_text().expect("text").text.clone()
}

/// Whether the tool did it, or what it said instead.
async fn told(client: &Client, tool: &str, arguments: Value) -> Result<(), String> {
    let result =
        call(client, tool, arguments).await.unwrap_or_else(|error| panic!("{tool}: {error}"));
    match result.is_error {
        Some(true) => Err(result.content[0].as_text().expect("text").text.clone()),
        _ => Ok(()),
    }
}

/// A second environment.
async fn production(platform: &Platform) {
    platform
        .apply(json!({
            "apiVersion": "openchoreo.dev/v1alpha1", "kind": "Environment",
            "metadata": {"name": "production", "namespace": "team"},
            "spec": {"dataPlaneRef": {"kind": "ClusterDataPlane", "name": "default"}},
        }))
        .await;
}

async fn names(client: &Client) -> Vec<String> {
    let tools = client.list_all_tools().await.expect("tools");
    tools.into_iter().map(|tool| tool.name.into_owned()).collect()
}

/// From nothing to a binding of a release, by tools alone.
async fn deploys(client: &Client, project: &str) {
    let of_project = json!({"namespace_name": "team", "project_name": project});
    let web = format!("{project}-web");
    let of_web = json!({"namespace_name": "team", "component_name": web});
    let with = |base: &Value, more: Value| {
        let mut all = base.clone();
        for (key, value) in more.as_object().expect("object") {
            all[key] = value.clone();
        }
        all
    };
    let namespaces = good(client, "list_namespaces", json!({})).await;
    assert_eq!(namespaces["namespaces"][0]["name"], "team");
    let types = good(client, "list_component_types", json!({"namespace_name": "team"})).await;
    assert_eq!(types["cluster_component_types"][0]["workloadType"], "deployment", "{types}");
    let schema =
        good(client, "get_component_type_schema", json!({"scope": "cluster", "name": "service"}))
            .await;
    assert_eq!(schema["properties"]["replicas"]["type"], "integer");
    let made =
        good(client, "create_project", json!({"namespace_name": "team", "name": project})).await;
    assert_eq!(made, json!({"name": project, "namespace": "team", "action": "created"}));
    let component =
        json!({"name": web, "component_type": "deployment/service", "display_name": "Web"});
    let made = good(client, "create_component", with(&of_project, component)).await;
    assert_eq!(made["componentType"], "deployment/service");
    let workload = json!({"workload_spec": {"container": {"image": "web:1"}, "endpoints": {
        "http": {"type": "HTTP", "port": 8080, "visibility": ["external"]},
    }}});
    let made = good(client, "create_workload", with(&of_web, workload.clone())).await;
    assert_eq!(made["name"], format!("{web}-workload"));
    let release = good(client, "create_component_release", of_web.clone()).await;
    let binding = json!({"project_name": project, "environment": "development", "release_name": release["name"]});
    let made = good(client, "create_release_binding", with(&of_web, binding)).await;
    assert_eq!(made["name"], format!("{web}-development"));
    let name = json!({"namespace_name": "team", "binding_name": format!("{web}-development")});
    let state = with(&name, json!({"release_state": "Undeploy"}));
    assert_eq!(good(client, "update_release_binding", state).await["action"], "patched");
    let shown = good(client, "get_release_binding", name).await;
    assert_eq!((&shown["state"], &shown["releaseName"]), (&json!("Undeploy"), &release["name"]));
    let listed = good(client, "list_components", of_project.clone()).await;
    assert_eq!(listed["components"][0]["displayName"], "Web");
    assert_eq!(listed["components"][0]["autoDeploy"], true);
    let shown = good(client, "get_component", of_web.clone()).await;
    assert_eq!(
        shown["componentType"],
        json!({"kind": "ClusterComponentType", "name": "deployment/service"})
    );
    let mut changed = with(&json!({"namespace_name": "team"}), workload);
    changed["workload_name"] = json!(format!("{web}-workload"));
    changed["workload_spec"]["container"]["image"] = json!("web:2");
    good(client, "update_workload", changed).await;
    let workloads = good(client, "list_workloads", of_web.clone()).await;
    assert_eq!(
        (&workloads["workloads"][0]["image"], &workloads["workloads"][0]["endpoints"]),
        (&json!("web:2"), &json!(["http"]),)
    );
    let shown = good(
        client,
        "get_workload",
        json!({
            "namespace_name": "team", "workload_name": format!("{web}-workload"),
        }),
    )
    .await;
    assert_eq!(shown["spec"]["container"]["image"], "web:2");
    let releases = good(client, "list_component_releases", of_web.clone()).await;
    let release =
        json!({"namespace_name": "team", "release_name": releases["releases"][0]["name"]});
    assert_eq!(good(client, "get_component_release", release).await["image"], "web:1");
    good(client, "list_release_bindings", of_web.clone()).await;
    good(client, "get_component_type", json!({"name": "deployment/service"})).await;
    good(client, "get_component_schema", of_web.clone()).await;
    let environments = good(client, "list_environments", json!({"namespace_name": "team"})).await;
    assert_eq!(environments["environments"][0]["isProduction"], false);
    let pipeline = json!({"namespace_name": "team", "name": "default"});
    assert!(good(client, "get_deployment_pipeline", pipeline).await["promotionPaths"].is_array());
    good(client, "list_deployment_pipelines", json!({"namespace_name": "team"})).await;
    let planes = good(client, "list_dataplanes", json!({"scope": "cluster"})).await;
    assert_eq!(planes["cluster_data_planes"][0]["planeID"], "default");
    good(client, "delete_component", of_web.clone()).await;
    let gone = bad(client, "get_component", of_web).await;
    assert!(gone.contains("Component not found"), "{gone}");
}

#[tokio::test]
async fn an_agent_deploys_by_tools_alone_in_both_revisions() {
    let platform = Platform::start().await;
    let legacy = connect(&platform, "developer", "", ClientLifecycleMode::Initialize).await;
    assert_eq!(legacy.peer_info().expect("server").protocol_version, ProtocolVersion::V_2025_11_25);
    deploys(&legacy, "old").await;
    let current = connect(&platform, "developer", "", stateless()).await;
    deploys(&current, "new").await;
}

#[tokio::test]
async fn an_agent_sees_what_it_could_be_granted_and_is_refused_with_the_remedy() {
    let platform = Platform::start().await;
    refusals::deployed(&platform).await;
    for lifecycle in [ClientLifecycleMode::Initialize, stateless()] {
        let agent = connect(&platform, "one", "", lifecycle).await;
        let tools = agent.list_all_tools().await.expect("tools");
        assert!(tools.len() > 10);
        let writes = tools.iter().filter(|tool| {
            let hints = tool.annotations.as_ref().expect("annotations");
            hints.read_only_hint != Some(true)
        });
        // What a person could grant it: to be asked for, and refused with the way to it.
        let writes: Vec<&str> = writes.map(|tool| tool.name.as_ref()).collect();
        assert_eq!(
            writes,
            [
                "create_component",
                "create_workload",
                "update_workload",
                "create_release_binding",
                "update_release_binding",
            ]
        );
        let arguments = json!({"namespace_name": "team", "name": "shop"});
        let refused = bad(&agent, "create_project", arguments).await;
        assert!(refused.starts_with("denied: project:create on namespace team: "), "{refused}");
        assert!(refused.contains("apply -f -"), "{refused}");
        let binding = json!({"namespace_name": "team", "project_name": "shop", "component_name": "web",
            "environment": "development", "release_name": "web-1"});
        let refused = bad(&agent, "create_release_binding", binding).await;
        let only_there = "agent grant one deploy --namespace team --project shop --component web \
                          --env development --for 1h --name ci";
        assert!(refused.contains(only_there), "{refused}");
        let change = json!({"namespace_name": "team", "binding_name": "web-production"});
        let refused = bad(&agent, "update_release_binding", change).await;
        let told = "denied: releasebinding:update in production. A person can allow it: curtain agent grant one \
                    config-fix --namespace team --project shop --component web --env production --for 1h --name ci";
        assert_eq!(refused, told);
        good(&agent, "list_projects", json!({"namespace_name": "team"})).await;
    }
    // Without the filter the tool is listed, and refused by the service itself.
    let unfiltered = connect(&platform, "one", "?filterByAuthz=false", stateless()).await;
    assert!(names(&unfiltered).await.contains(&"create_project".to_owned()));
    let arguments = json!({"namespace_name": "team", "name": "bank"});
    let text = bad(&unfiltered, "create_project", arguments).await;
    assert!(
        text.starts_with("denied: project:create on project bank in namespace team: "),
        "{text}"
    );
}

#[tokio::test]
async fn the_url_chooses_tools() {
    let platform = Platform::start().await;
    let some = connect(&platform, "admin", "?toolsets=namespace", stateless()).await;
    assert_eq!(names(&some).await, ["list_namespaces", "create_namespace"]);
    good(&some, "list_projects", json!({"namespace_name": "team"})).await;
    let readonly = connect(&platform, "admin", "?readonly=true", stateless()).await;
    assert!(!names(&readonly).await.iter().any(|name| name.starts_with("create_")));
    let refused = bad(&readonly, "create_namespace", json!({"name": "x"})).await;
    assert!(refused.contains("read-only"), "{refused}");
    let made = connect(&platform, "admin", "", stateless()).await;
    assert_eq!(good(&made, "create_namespace", json!({"name": "x"})).await["action"], "created");
}

#[tokio::test]
async fn a_call_that_cannot_work_says_what_to_do_instead() {
    let platform = Platform::start().await;
    let client = connect(&platform, "developer", "", stateless()).await;
    good(&client, "create_project", json!({"namespace_name": "team", "name": "p"})).await;
    for (tool, arguments, contains) in [
        ("list_projects", json!({}), "the argument namespace_name is required"),
        (
            "list_projects",
            json!({"namespace": "team"}),
            "list_projects takes namespace_name, limit, cursor",
        ),
        (
            "list_component_types",
            json!({"scope": "namespace"}),
            "namespace_name is required when scope is \"namespace\"",
        ),
        (
            "list_component_types",
            json!({"scope": "x"}),
            "invalid scope \"x\": must be \"namespace\" or \"cluster\"",
        ),
        (
            "list_components",
            json!({"namespace_name": "team", "project_name": "gone"}),
            "Project not found: gone; there are: p",
        ),
        (
            "create_component",
            json!({"namespace_name": "team", "project_name": "p", "name": "c", "component_type": "x/service"}),
            "did you mean \"deployment/service\"?",
        ),
        (
            "create_workload",
            json!({"namespace_name": "team", "component_name": "gone", "workload_spec": {}}),
            "Component not found: gone; there are none that you may see",
        ),
    ] {
        let text = bad(&client, tool, arguments).await;
        assert!(text.contains(contains), "{tool}: {text}");
    }
    let unknown = call(&client, "make_coffee", json!({})).await.expect_err("unknown");
    assert!(unknown.contains("unknown tool \"make_coffee\""), "{unknown}");
}

#[tokio::test]
async fn a_long_list_has_pages_and_says_how_to_narrow() {
    let platform = Platform::start().await;
    let client = connect(&platform, "developer", "", stateless()).await;
    for index in 0..3 {
        let arguments = json!({"namespace_name": "team", "name": format!("p{index}")});
        good(&client, "create_project", arguments).await;
    }
    let page = good(&client, "list_projects", json!({"namespace_name": "team", "limit": 2})).await;
    assert_eq!(page["projects"].as_array().map(Vec::len), Some(2));
    assert!(page["hint"].as_str().is_some_and(|hint| hint.contains("cursor")));
    let rest = json!({"namespace_name": "team", "limit": 2, "cursor": page["next_cursor"]});
    let rest = good(&client, "list_projects", rest).await;
    assert_eq!((&rest["projects"][0]["name"], rest.get("next_cursor")), (&json!("p2"), None));
}

/// The budget is 8000 tokens; a JSON text has at least three bytes a token with the tokenizers in use.
#[tokio::test]
async fn the_developers_tools_fit_into_the_budget() {
    let platform = Platform::start().await;
    let client = connect(&platform, "developer", "", stateless()).await;
    let tools = client.list_all_tools().await.expect("tools");
    let text = serde_json::to_string(&tools).expect("json");
    assert!(text.len() <= 24_000, "{} tools have {} bytes", tools.len(), text.len());
    for tool in &tools {
        assert!(tool.output_schema.is_some() && tool.annotations.is_some(), "{}", tool.name);
        assert!(tool.description.as_ref().is_some_and(|text| text.len() < 100), "{}", tool.name);
    }
}
