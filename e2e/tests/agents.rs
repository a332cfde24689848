//! An AI agent at the platform's door: the Python MCP SDK with tools only.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use curtain_e2e::{Agent, Instance, Server, binary, eventually, get};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(30);

fn image(tag: &str) -> String {
    format!("docker.io/library/shelf:{tag}")
}

/// Deploys a component with tools alone, reaches it, changes it, promotes it, and reads its logs.
fn deploys_with_tools(
    instance: &Instance,
    project: &str,
    control: &mut Agent,
    observer: Option<&mut Agent>,
) {
    let component = format!("{project}-shelf");
    control.call("create_project", json!({"namespace_name": "default", "name": project})).unwrap();
    let made = control.call(
        "create_component",
        json!({"namespace_name": "default", "project_name": project, "name": component,
               "component_type": "deployment/service"}),
    );
    assert_eq!(made.unwrap()["action"], "created");
    let spec = |tag: &str| {
        json!({"container": {"image": image(tag)},
               "endpoints": {"web": {"type": "HTTP", "port": 8080, "visibility": ["external"]}}})
    };
    let made = control.call(
        "create_workload",
        json!({"namespace_name": "default", "component_name": component, "workload_spec": spec("1")}),
    );
    let workload = made.unwrap()["name"].clone();

    let gateway = instance.endpoint("gateway");
    let serves = |environment: &str, text: &str| {
        let url = format!("{gateway}/@{environment}-default/{component}-web/");
        eventually(&format!("{url} to say {text:?}"), LIMIT, || {
            let answer = get(&url)?;
            (answer.body == text).then_some(()).ok_or(format!("{answer:?}"))
        });
    };
    let ready = |control: &mut Agent| {
        let bindings = json!({"namespace_name": "default", "component_name": component});
        eventually("the release to be ready", LIMIT, || {
            let list = control.call("list_release_bindings", bindings.clone())?;
            let ready =
                list["bindings"].as_array().into_iter().flatten().find(|b| b["status"] == "Ready");
            ready.map(|binding| binding["releaseName"].clone()).ok_or(list.to_string())
        })
    };
    let first = ready(control);
    serves("development", "from an agent\n");

    // A changed workload is a new release, which the next environment gets.
    let change =
        json!({"namespace_name": "default", "workload_name": workload, "workload_spec": spec("2")});
    control.call("update_workload", change).unwrap();
    serves("development", "changed by an agent\n");
    let second = ready(control);
    assert_ne!(first, second);
    let promotion = json!({"namespace_name": "default", "project_name": project,
        "component_name": component, "environment": "staging", "release_name": second});
    control.call("create_release_binding", promotion).unwrap();
    serves("staging", "changed by an agent\n");

    let observer = observer.unwrap_or(control);
    let now = jiff::Timestamp::now();
    let hour = jiff::SignedDuration::from_hours(1);
    let query = json!({"namespace": "default", "project": project, "component": component,
        "environment": "development", "limit": 20,
        "start_time": (now - hour).to_string(), "end_time": (now + hour).to_string()});
    eventually("the request to be in the logs", LIMIT, || {
        let logs = observer.call("query_component_logs", query.clone())?.to_string();
        if logs.contains("GET /") || logs.contains("response:200") { Ok(()) } else { Err(logs) }
    });
}

fn removes_with_tools(project: &str, control: &mut Agent) {
    let component =
        json!({"namespace_name": "default", "component_name": format!("{project}-shelf")});
    control.call("delete_component", component.clone()).unwrap();
    eventually("the component to be gone", LIMIT, || {
        match control.call("get_component", component.clone()) {
            Err(_) => Ok(()),
            Ok(still) => Err(still.to_string()),
        }
    });
}

#[test]
fn agents_deploy_by_tools_and_a_reader_is_refused() {
    let instance = Instance::up();
    for (tag, marker) in [("1", "from an agent"), ("2", "changed by an agent")] {
        instance.load_busybox(&image(tag), marker);
    }

    // Over HTTP, once with each revision of the protocol.
    let token = instance.token("developer");
    let (mcp, observer) = (instance.endpoint("mcp"), instance.endpoint("observerMcp"));
    for (mode, revision) in [("legacy", "2025-11-25"), ("2026-07-28", "2026-07-28")] {
        let http = |url| Server::Http { url, token: &token };
        let mut control = Agent::connect(&instance, mode, &http(&mcp));
        let mut observer = Agent::connect(&instance, mode, &http(&observer));
        assert_eq!(control.hello["protocol"], revision);
        let project = format!("by-http-{}", &revision[..4]);
        deploys_with_tools(&instance, &project, &mut control, Some(&mut observer));
        removes_with_tools(&project, &mut control);
    }

    // Over stdio as the developer, both servers in one connection.
    let serve = ["mcp", "serve", "--stdio", "--as", "developer", "--name", instance.name()];
    let line: Vec<String> = std::iter::once(binary().to_string_lossy().into_owned())
        .chain(serve.map(String::from))
        .collect();
    let mut developer = Agent::connect(&instance, "legacy", &Server::Stdio(&line));
    deploys_with_tools(&instance, "by-stdio", &mut developer, None);

    // As the client that `mcp install` wires: it reads, and is told who can let it write.
    instance.curtain(&["mcp", "install", "claude"]).success();
    let config = std::fs::read_to_string(instance.home().join(".claude.json")).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    let entry = &config["mcpServers"]["curtain"];
    let line: Vec<String> = std::iter::once(&entry["command"])
        .chain(entry["args"].as_array().unwrap())
        .map(|part| part.as_str().unwrap().to_owned())
        .collect();
    let mut reader = Agent::connect(&instance, "legacy", &Server::Stdio(&line));
    assert!(reader.tools().contains(&"list_components"), "{}", reader.hello);
    assert!(!reader.tools().contains(&"delete_component"), "{}", reader.hello);
    let seen = reader
        .call("list_components", json!({"namespace_name": "default", "project_name": "by-stdio"}))
        .unwrap();
    assert_eq!(seen["components"][0]["name"], "by-stdio-shelf");
    let target = json!({"namespace_name": "default", "component_name": "by-stdio-shelf"});
    let refusal = reader.call("delete_component", target.clone()).unwrap_err();
    assert!(refusal.contains("component:delete"), "{refusal}");
    drop((reader, developer));

    // What the refusal says a person can do, done as it is written: now exactly that is allowed.
    let command = refusal.split_once("can allow it: ").map(|(_, command)| command.trim());
    let command = command.unwrap_or_else(|| panic!("no command in {refusal}"));
    instance.shell(command).success();
    let mut granted = Agent::connect(&instance, "legacy", &Server::Stdio(&line));
    eventually("the grant to count", LIMIT, || granted.call("delete_component", target.clone()));
    let project = json!({"namespace_name": "default", "name": "not-granted"});
    let refusal = granted.call("create_project", project).unwrap_err();
    assert!(refusal.contains("project:create"), "{refusal}");
    drop(granted);

    // With a developer's role, the installed client does the whole deployment.
    instance.kubectl_file("kubectl-1.37", &["apply"], GRANT).success();
    let mut installed = eventually("the role to count", LIMIT, || {
        let agent = Agent::connect(&instance, "legacy", &Server::Stdio(&line));
        let may = agent.tools().contains(&"delete_component");
        if may { Ok(agent) } else { Err(agent.hello.to_string()) }
    });
    deploys_with_tools(&instance, "by-grant", &mut installed, None);
    removes_with_tools("by-grant", &mut installed);
    drop(installed);

    // The next client of this name starts as a reader again.
    instance.curtain(&["mcp", "uninstall", "claude"]).success();
    instance.curtain(&["mcp", "install", "claude"]).success();
    let mut again = eventually("the grants to be gone", LIMIT, || {
        let agent = Agent::connect(&instance, "legacy", &Server::Stdio(&line));
        let may = agent.tools().contains(&"delete_component");
        if may { Err(agent.hello.to_string()) } else { Ok(agent) }
    });
    let project = json!({"namespace_name": "default", "name": "not-inherited"});
    again.call("create_project", project).unwrap_err();
    drop(again);
    instance.down();
}

/// The developer's role for the client that was installed.
const GRANT: &str = r#"
apiVersion: openchoreo.dev/v1alpha1
kind: ClusterAuthzRoleBinding
metadata: {name: claude-develops}
spec:
  entitlement: {claim: sub, value: claude-code-1}
  roleMappings:
  - roleRef: {kind: ClusterAuthzRole, name: developer}
"#;
