//! What a refused call is about.

use super::*;
use crate::{
    mcp::{Access, ArgKind, Tool},
    testing::AuditLog,
};

/// Arguments for `tool` that name what [`deployed`] made.
fn arguments(tool: &Tool) -> Value {
    let mut arguments = json!({});
    for arg in tool.args.iter().filter(|arg| arg.required) {
        arguments[arg.name] = match (arg.kind, arg.name) {
            (ArgKind::Object, _) => json!({}),
            (_, "namespace_name") => json!("team"),
            (_, "project_name") => json!("shop"),
            (_, "component_name") => json!("web"),
            (_, "workload_name") => json!("web-workload"),
            (_, "binding_name" | "release_binding_name") => json!("web-production"),
            (_, "release_name") => json!("web-1"),
            (_, "environment") => json!("production"),
            (_, "component_type") => json!("deployment/service"),
            _ => json!("new"),
        };
    }
    arguments
}

/// A component with a workload, a release and a binding for a second environment.
pub(super) async fn deployed(platform: &Platform) {
    production(platform).await;
    let developer = connect(platform, "developer", "", stateless()).await;
    for tool in [
        "create_project",
        "create_component",
        "create_workload",
        "create_component_release",
        "create_release_binding",
    ] {
        let row = super::super::table::ROWS.iter().find(|row| row.tool.name == tool);
        let mut arguments = arguments(&row.expect("a tool").tool);
        match tool {
            "create_project" => arguments["name"] = json!("shop"),
            "create_component" => arguments["name"] = json!("web"),
            "create_workload" => {
                arguments["workload_spec"] = json!({"container": {"image": "web:1"}});
            }
            "create_component_release" => arguments["release_name"] = json!("web-1"),
            _ => {}
        }
        good(&developer, tool, arguments).await;
    }
}

#[tokio::test]
async fn a_refused_call_names_its_object_and_is_granted_for_that_alone() {
    let log = AuditLog::start();
    let platform = Platform::start().await;
    deployed(&platform).await;
    let agent = connect(&platform, "one", "", stateless()).await;
    for row in super::super::table::ROWS.iter().filter(|row| row.tool.access != Access::Read) {
        let tool = &row.tool;
        let arguments = arguments(tool);
        let refused = bad(&agent, tool.name, arguments.clone()).await;
        let audited = log.lines();
        let line = audited.last().expect("a line");
        let action = format!("action=\"{}\"", tool.actions[0]);
        assert!(line.contains(&action) && line.contains(r#"result="missing""#), "{line}");
        let (kind, argument) = row.about().expect("each change is about something");
        let object = format!("object=\"{}/{}\"", kind.kind, arguments[argument].as_str().unwrap());
        assert!(line.contains(&object), "{}: {line}", tool.name);
        // Of what there is, the place is known, and nothing beside it is granted.
        let in_project = match tool.name {
            "create_namespace" | "create_project" => continue,
            name => kind.kind == "Project" || name == "create_component",
        };
        let (scopes, place): (&[_], _) = if in_project {
            (&[r#""project":"shop""#], r#"at="ns/team/project/shop""#)
        } else {
            let scopes = &[r#""project":"shop""#, r#""component":"web""#];
            (scopes, r#"at="ns/team/project/shop/component/web""#)
        };
        let scopes = match refused.contains("agent grant") {
            // Where a kind of change covers it, in the command's words.
            true if in_project => ["--project shop"].as_slice(),
            true => ["--project shop", "--component web"].as_slice(),
            false => scopes,
        };
        assert!(scopes.iter().all(|scope| refused.contains(scope)), "{}: {refused}", tool.name);
        assert!(line.contains(place), "{}: {line}", tool.name);
    }
}

#[tokio::test]
async fn what_is_no_name_is_not_logged_as_an_object() {
    let log = AuditLog::start();
    let platform = Platform::start().await;
    let agent = connect(&platform, "one", "", stateless()).await;
    let arguments = json!({"namespace_name": "team", "release_name": "\" object=other"});
    bad(&agent, "delete_component_release", arguments).await;
    let audited = log.lines();
    let line = audited.last().expect("a line");
    assert!(line.contains(r#"object="""#) && !line.contains("object=other"), "{line}");
}
