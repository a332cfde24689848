//! The API as clients use it, over HTTP on a real API server.

use futures::StreamExt as _;
use http::{Method, header};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::testing::Platform;

mod audit;
mod reasons;
mod strict;

const TEAM: &str = "/api/v1/namespaces/team";
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

fn project(name: &str) -> Value {
    json!({"metadata": {"name": name}})
}

fn component(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {
        "owner": {"projectName": "shop"},
        "componentType": {"kind": "ClusterComponentType", "name": "deployment/service"},
    }})
}

/// A platform with the project `shop`, and the developer's token.
async fn shop() -> (Platform, String) {
    let platform = Platform::start().await;
    let token = platform.token("developer").await;
    let projects = format!("{TEAM}/projects");
    let (status, body) =
        platform.send(&token, Method::POST, &projects, Some(project("shop"))).await;
    assert_eq!(status, 201, "{body}");
    (platform, token)
}

#[tokio::test]
async fn an_object_lives_as_the_api_says() {
    let (platform, token) = shop().await;
    let (components, web) = (format!("{TEAM}/components"), format!("{TEAM}/components/web"));

    let (status, made) =
        platform.send(&token, Method::POST, &components, Some(component("web"))).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["metadata"]["labels"]["openchoreo.dev/project"], "shop");
    assert!(
        made["metadata"].get("resourceVersion").is_none()
            && made["metadata"].get("managedFields").is_none()
    );

    let (status, body) =
        platform.send(&token, Method::POST, &components, Some(component("web"))).await;
    assert_eq!((status, &body["code"]), (409, &json!("CONFLICT")), "{body}");

    let mut changed = made.clone();
    changed["spec"]["parameters"] = json!({"replicas": 2});
    changed["metadata"]["annotations"] = json!({"openchoreo.dev/display-name": "Web"});
    let (status, body) = platform.send(&token, Method::PUT, &web, Some(changed)).await;
    assert_eq!((status, &body["spec"]["parameters"]["replicas"]), (200, &json!(2)), "{body}");
    assert_eq!(
        body["metadata"]["labels"]["openchoreo.dev/project"], "shop",
        "labels of ownership stay"
    );

    let mut moved = made.clone();
    moved["spec"]["owner"]["projectName"] = json!("other");
    let (status, body) = platform.send(&token, Method::PUT, &web, Some(moved)).await;
    assert_eq!((status, &body["error"]), (400, &json!("spec.owner.projectName is immutable")));

    assert_eq!(platform.send(&token, Method::DELETE, &web, None).await.0, 204);
    let (status, body) = platform.send(&token, Method::GET, &web, None).await;
    assert_eq!((status, &body["code"]), (404, &json!("NOT_FOUND")), "{body}");
}

#[tokio::test]
async fn bad_requests_say_what_is_wrong() {
    let (platform, token) = shop().await;
    let components = format!("{TEAM}/components");
    let without_project =
        json!({"metadata": {"name": "web"}, "spec": {"owner": {"projectName": "gone"}}});
    let mut bad_type = component("web");
    bad_type["spec"]["componentType"]["name"] = json!("lambda/x");
    for (body, status, contains) in [
        (json!([]), 400, "Request body is required"),
        (json!({}), 400, "metadata.name is required"),
        (json!({"metadata": {"name": "Web"}}), 400, "lower-case"),
        (
            json!({"metadata": {"name": "web", "namespace": "other"}}),
            400,
            "metadata.namespace must be team",
        ),
        (without_project, 400, "Referenced project not found"),
        (bad_type, 422, "spec.componentType.name"),
    ] {
        let (got, answer) = platform.send(&token, Method::POST, &components, Some(body)).await;
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(got == status && error.contains(contains), "{got} {answer}");
    }
    let (status, _) =
        platform.send(&token, Method::GET, &format!("{components}?cursor=x"), None).await;
    assert_eq!(status, 400);
    let (status, _) =
        platform.send(&token, Method::GET, &format!("{components}?project=gone"), None).await;
    assert_eq!(status, 404);
    let (status, body) = platform.send(&token, Method::GET, "/api/v1/nothing", None).await;
    assert_eq!((status, &body["code"]), (404, &json!("NOT_FOUND")));
    let (status, body) = platform.send("x", Method::GET, &components, None).await;
    assert_eq!((status, &body["error"]), (401, &json!("INVALID_TOKEN")));
}

/// The namespace of a request goes into the URL of another request, which the role makes with its own account.
#[tokio::test]
async fn a_namespace_that_is_none_leads_nowhere_else() {
    let (platform, _) = shop().await;
    platform
        .apply(json!({
            "apiVersion": "openchoreo.dev/v1alpha1", "kind": "AuthzRole",
            "metadata": {"name": "hidden", "namespace": "team"}, "spec": {"actions": ["*"]},
        }))
        .await;
    let agent = platform.token("one").await;
    let roles = format!("{TEAM}/authzroles/hidden");
    assert_eq!(platform.send(&agent, Method::GET, &roles, None).await.0, 403);
    for namespace in ["team%2Fauthzroles%3Fx=", "..%2Fteam", "team%23", "%20", "Team"] {
        for kind in ["components", "components/hidden", "components/hidden/schema"] {
            let path = format!("/api/v1/namespaces/{namespace}/{kind}");
            let (status, body) = platform.send(&agent, Method::GET, &path, None).await;
            assert_eq!(status, 400, "{path}: {body}");
            let error = body["error"].as_str().unwrap_or_default();
            assert!(error.contains("is not a name for a Namespace"), "{path}: {body}");
        }
    }
}

#[tokio::test]
async fn lists_come_in_pages_in_the_order_of_names() {
    let (platform, token) = shop().await;
    for index in 0..5 {
        let body = component(&format!("c{index}"));
        platform.send(&token, Method::POST, &format!("{TEAM}/components"), Some(body)).await;
    }
    let mut names = Vec::new();
    let mut path = format!("{TEAM}/components?limit=2&project=shop");
    let mut pages = 0;
    loop {
        let (status, body) = platform.send(&token, Method::GET, &path, None).await;
        assert_eq!(status, 200, "{body}");
        let items = body["items"].as_array().expect("items");
        assert!(items.len() <= 2 && items[0]["kind"] == "Component", "{body}");
        names.extend(
            items.iter().map(|item| item["metadata"]["name"].as_str().expect("name").to_owned()),
        );
        pages += 1;
        let Some(cursor) = body["pagination"]["nextCursor"].as_str() else { break };
        path = format!("{TEAM}/components?limit=2&project=shop&cursor={cursor}");
    }
    assert_eq!((names.join(" ").as_str(), pages), ("c0 c1 c2 c3 c4", 3));
}

#[tokio::test]
async fn a_change_of_an_old_version_is_refused() {
    let (platform, token) = shop().await;
    let path = format!("{TEAM}/projects/shop");
    let first = platform.raw(&token, Method::GET, &path, None, &[]).await;
    let tag = first.headers()[header::ETAG].to_str().expect("tag").to_owned();
    let body = |text: &str| {
        Some(json!({"metadata": {"annotations": {"openchoreo.dev/description": text}}, "spec": {
            "deploymentPipelineRef": {"name": "default"},
            "type": {"kind": "ClusterProjectType", "name": "default"},
        }}))
    };
    let admin = platform.token("admin").await;
    let matching = [(header::IF_MATCH, tag.as_str())];
    let changed = platform.raw(&admin, Method::PUT, &path, body("one"), &matching).await;
    assert_eq!(changed.status(), 200);
    let stale = platform.raw(&admin, Method::PUT, &path, body("two"), &matching).await;
    assert_eq!(stale.status(), 409);
    assert_eq!(platform.raw(&admin, Method::PUT, &path, body("three"), &[]).await.status(), 200);
}

#[tokio::test]
async fn a_refusal_names_the_grant_and_the_grant_works_at_once() {
    let (platform, _) = shop().await;
    let agent = platform.token("one").await;
    let projects = format!("{TEAM}/projects");
    let bank = json!({"metadata": {"name": "bank"}});
    let (status, body) = platform.send(&agent, Method::POST, &projects, Some(bank.clone())).await;
    let error = body["error"].as_str().expect("error");
    assert_eq!((status, &body["code"]), (403, &json!("FORBIDDEN")));
    assert!(
        error.starts_with(
            "denied: project:create on project bank in namespace team: agent one has "
        ),
        "{error}"
    );

    // What a person would paste: the objects between the quotes.
    let list = error.split('\'').nth(1).expect("command");
    for item in serde_json::Deserializer::from_str(list).into_iter::<Value>() {
        platform.apply(item.expect("json")).await;
    }
    for _ in 0..200 {
        let (status, _) = platform.send(&agent, Method::POST, &projects, Some(bank.clone())).await;
        if status == 201 {
            let other =
                platform.send(&agent, Method::DELETE, &format!("{projects}/bank"), None).await;
            assert_eq!(other.0, 403, "only what was granted");
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the grant had no effect within two seconds");
}

#[tokio::test]
async fn a_list_shows_only_what_the_caller_may_see() {
    let (platform, token) = shop().await;
    platform
        .send(&token, Method::POST, &format!("{TEAM}/components"), Some(component("web")))
        .await;
    platform.apply(json!({
        "apiVersion": "openchoreo.dev/v1alpha1", "kind": "AuthzRoleBinding",
        "metadata": {"name": "hide", "namespace": "team"},
        "spec": {
            "effect": "deny",
            "entitlement": {"claim": "sub", "value": "one"},
            "roleMappings": [{
                "roleRef": {"kind": "ClusterAuthzRole", "name": "admin"}, "scope": {"project": "shop"},
            }],
        },
    })).await;
    let agent = platform.token("one").await;
    for _ in 0..200 {
        let (_, body) =
            platform.send(&agent, Method::GET, &format!("{TEAM}/components"), None).await;
        if body["items"] == json!([]) {
            let (_, seen) =
                platform.send(&token, Method::GET, &format!("{TEAM}/components"), None).await;
            assert_eq!(seen["items"].as_array().map(Vec::len), Some(1));
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the deny had no effect within two seconds");
}

#[tokio::test]
async fn a_watch_begins_with_everything_and_goes_on_with_changes() {
    let (platform, token) = shop().await;
    let components = format!("{TEAM}/components");
    platform.send(&token, Method::POST, &components, Some(component("one"))).await;
    let path = format!("{components}?watch=true&project=shop");
    let response = platform.raw(&token, Method::GET, &path, None, &[]).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    let mut frames = response.into_body().into_data_stream();
    let mut seen = String::new();
    let mut next = async |wanted: &str| {
        let reading = async {
            while !seen.contains(wanted) {
                let frame = frames.next().await.expect("open").expect("frame");
                seen.push_str(&String::from_utf8_lossy(&frame));
            }
        };
        let patience = std::time::Duration::from_secs(10);
        tokio::time::timeout(patience, reading)
            .await
            .unwrap_or_else(|_| panic!("no {wanted} in {seen}"));
    };
    next("event: snapshot").await;
    next("\"name\":\"one\"").await;
    platform.send(&token, Method::POST, &components, Some(component("two"))).await;
    next("event: applied").await;
    platform.send(&token, Method::DELETE, &format!("{components}/one"), None).await;
    next("event: deleted").await;
}

#[tokio::test]
async fn what_leaves_the_callers_sight_leaves_a_watch() {
    let (platform, token) = shop().await;
    let components = format!("{TEAM}/components");
    platform.send(&token, Method::POST, &components, Some(component("web"))).await;
    let agent = platform.token("one").await;
    let path = format!("{components}?watch=true");
    let response = platform.raw(&agent, Method::GET, &path, None, &[]).await;
    let mut frames = response.into_body().into_data_stream();
    let mut seen = String::new();
    let mut next = async |wanted: &str| {
        while !seen.contains(wanted) {
            let frame = tokio::time::timeout(PATIENCE, frames.next()).await.expect("in time");
            seen.push_str(&String::from_utf8_lossy(&frame.expect("open").expect("frame")));
        }
        std::mem::take(&mut seen)
    };
    next("event: snapshot").await;
    platform
        .apply(json!({
            "apiVersion": "openchoreo.dev/v1alpha1", "kind": "AuthzRoleBinding",
            "metadata": {"name": "hide", "namespace": "team"},
            "spec": {
                "effect": "deny",
                "entitlement": {"claim": "sub", "value": "one"},
                "roleMappings": [{"roleRef": {"kind": "ClusterAuthzRole", "name": "admin"}}],
            },
        }))
        .await;
    let hidden = async {
        while platform.send(&agent, Method::GET, &components, None).await.1["items"] != json!([]) {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, hidden).await.expect("the deny has an effect");
    let mut changed = component("web");
    changed["spec"]["parameters"] = json!({"replicas": 7});
    platform.send(&token, Method::PUT, &format!("{components}/web"), Some(changed)).await;
    let last = next("event: deleted").await;
    assert!(last.contains("\"name\":\"web\"") && !last.contains("replicas"), "{last}");
}

#[tokio::test]
async fn a_release_freezes_component_workload_and_type() {
    let (platform, token) = shop().await;
    platform
        .send(&token, Method::POST, &format!("{TEAM}/components"), Some(component("web")))
        .await;
    let generate = format!("{TEAM}/components/web/generate-release");
    let (status, body) = platform.send(&token, Method::POST, &generate, None).await;
    assert_eq!(
        (status, body["error"].as_str()),
        (404, Some("Workload not found: of component web"))
    );
    let workload = json!({"metadata": {"name": "web-workload"}, "spec": {
        "owner": {"projectName": "shop", "componentName": "web"},
        "container": {"image": "web:1"},
    }});
    let (status, body) =
        platform.send(&token, Method::POST, &format!("{TEAM}/workloads"), Some(workload)).await;
    assert_eq!(status, 201, "{body}");
    let (status, first) = platform.send(&token, Method::POST, &generate, None).await;
    assert_eq!(status, 201, "{first}");
    assert_eq!(first["spec"]["workload"]["container"]["image"], "web:1");
    assert_eq!(first["spec"]["componentType"]["spec"]["workloadType"], "deployment");
    let (_, second) = platform.send(&token, Method::POST, &generate, None).await;
    let name = |release: &Value| release["metadata"]["name"].as_str().expect("name").to_owned();
    assert!(name(&first).starts_with("web-2") && name(&first).ends_with("-1"), "{first}");
    assert!(name(&second).ends_with("-2"), "{second}");
    let (_, schema) = platform
        .send(&token, Method::GET, "/api/v1/clustercomponenttypes/service/schema", None)
        .await;
    assert_eq!(schema["properties"]["replicas"]["default"], 1);
}

#[tokio::test]
async fn permissions_can_be_asked_for() {
    let (platform, token) = shop().await;
    let question = |action: &str| {
        json!({
            "action": action, "resource": {"type": "component", "hierarchy": {"namespace": "team", "project": "shop"}},
        })
    };
    let body = json!([question("component:create"), question("project:delete")]);
    let (status, answers) =
        platform.send(&token, Method::POST, "/api/v1/authz/evaluates", Some(body)).await;
    assert_eq!(status, 200, "{answers}");
    assert_eq!((&answers[0]["decision"], &answers[1]["decision"]), (&json!(true), &json!(false)));
    // Words for people, and the same for servers that act on it.
    let context = json!({"result": "missing", "reason": "no matching policies found"});
    assert_eq!(answers[1]["context"], context);
    assert_eq!(answers[0]["context"]["result"], "allowed");
    let mut about_admins = question("project:delete");
    about_admins["subject_context"] =
        json!({"type": "user", "entitlement_claim": "groups", "entitlement_values": ["admins"]});
    let body = json!([about_admins]);
    let path = "/api/v1/authz/evaluates";
    assert_eq!(platform.send(&token, Method::POST, path, Some(body.clone())).await.0, 403);
    let admin = platform.token("admin").await;
    let (_, answers) = platform.send(&admin, Method::POST, path, Some(body)).await;
    assert_eq!(answers[0]["decision"], true);
    let (_, profile) =
        platform.send(&token, Method::GET, "/api/v1/authz/profile?namespace=team", None).await;
    assert_eq!(profile["user"]["entitlement_values"], json!(["developers"]));
    assert_eq!(profile["capabilities"]["component:create"]["allowed"][0]["path"], "*");
    let (_, actions) = platform.send(&token, Method::GET, "/api/v1/authz/actions", None).await;
    assert_eq!(actions.as_array().map(Vec::len), Some(160));
}

#[tokio::test]
async fn a_page_of_another_site_gets_nothing() {
    let (platform, token) = shop().await;
    let path = format!("{TEAM}/projects");
    let origin = [(header::ORIGIN, "https://evil.example")];
    assert_eq!(platform.raw(&token, Method::GET, &path, None, &origin).await.status(), 403);
    let host = [(header::HOST, "evil.example")];
    assert_eq!(platform.raw(&token, Method::GET, &path, None, &host).await.status(), 403);
}
