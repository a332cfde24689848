//! Who did what to which object.

use super::*;
use crate::testing::AuditLog;

#[tokio::test]
async fn each_change_and_refusal_leaves_a_line_that_names_the_object() {
    let log = AuditLog::start();
    let (platform, developer) = shop().await;
    let admin = platform.token("admin").await;
    let environments = format!("{TEAM}/environments");
    let environment = json!({"metadata": {"name": "stage"}, "spec": {
        "dataPlaneRef": {"kind": "ClusterDataPlane", "name": "default"},
    }});
    let stage = format!("{environments}/stage");
    let components = format!("{TEAM}/components");
    let web = format!("{components}/web");
    let odd = format!("{TEAM}/environments/%22%20object=other");
    for (token, method, path, body, status) in [
        (&admin, Method::POST, &environments, Some(environment), 201),
        (&developer, Method::DELETE, &stage, None, 403),
        (&admin, Method::DELETE, &stage, None, 204),
        (&developer, Method::POST, &components, Some(component("web")), 201),
        (&developer, Method::DELETE, &web, None, 204),
        (&developer, Method::DELETE, &odd, None, 400),
    ] {
        let (answered, body) = platform.send(token, method.clone(), path, body).await;
        assert_eq!(answered, status, "{method} {path}: {body}");
    }
    let lines = log.lines();
    let line = |words: &[&str]| {
        let found = lines.iter().any(|line| words.iter().all(|word| line.contains(word)));
        assert!(found, "{words:?} in {lines:#?}");
    };
    let stage = r#"object="Environment/stage""#;
    line(&[r#"actor="admin""#, r#"action="environment:create""#, stage, r#"result="allowed""#]);
    line(&[r#"actor="admin""#, r#"action="environment:delete""#, stage, r#"result="allowed""#]);
    line(&[r#"actor="developer""#, r#"action="environment:delete""#, stage, r#"result="missing""#]);
    let web = r#"object="Component/web""#;
    line(&[r#"action="component:create""#, web]);
    line(&[r#"action="component:delete""#, web, r#"at="ns/team/project/shop/component/web""#]);
    let odd = lines.iter().any(|line| line.contains("object=other"));
    assert!(!odd, "only names are logged as such");
}

/// The records that `token` gets to see.
pub(super) async fn records(platform: &Platform, token: &str, query: &str) -> Vec<Value> {
    let path = format!("/api/v1/audit{query}");
    let (status, body) = platform.send(token, Method::GET, &path, None).await;
    assert_eq!(status, 200, "{body}");
    body["items"].as_array().expect("items").clone()
}

#[tokio::test]
async fn each_change_and_all_that_agents_do_is_recorded_before_it_is_answered() {
    let (platform, developer) = shop().await;
    let (admin, agent) = (platform.token("admin").await, platform.token("one").await);
    let components = format!("{TEAM}/components");
    let (web, gone) = (format!("{components}/web"), format!("{components}/gone"));
    let secret = format!("{TEAM}/authzroles/hidden");
    let nothing = "/api/v1/agents/one/grants".to_owned();
    let binding = format!("{TEAM}/releasebindings/gone");
    for (token, method, path, body, status) in [
        (&developer, Method::POST, &components, Some(component("web")), 201),
        (&developer, Method::POST, &components, Some(component("web")), 409),
        (&developer, Method::GET, &web, None, 200),
        (&agent, Method::GET, &web, None, 200),
        (&agent, Method::GET, &components, None, 200),
        (&agent, Method::DELETE, &web, None, 403),
        (&agent, Method::GET, &gone, None, 404),
        (&agent, Method::GET, &secret, None, 403),
        (&agent, Method::DELETE, &nothing, None, 200),
        (&developer, Method::PUT, &binding, Some(component("gone")), 404),
    ] {
        let (answered, body) = platform.send(token, method.clone(), path, body).await;
        assert_eq!(answered, status, "{method} {path}: {body}");
    }
    let all = records(&platform, &admin, "").await;
    let lines: Vec<String> = all
        .iter()
        .rev()
        .map(|one| {
            let text = |member: &str| one[member].as_str().unwrap_or("-");
            format!("{} {} {} {}", text("actor"), text("result"), text("action"), text("object"))
        })
        .collect();
    assert_eq!(
        lines,
        [
            "developer allowed project:create Project/shop",
            "developer allowed component:create Component/web",
            "developer failed component:create Component/web",
            "one allowed component:view Component/web",
            "one allowed component:view -",
            "one denied component:delete Component/web",
            "one failed component:view Component/gone",
            "one denied authzrole:view AuthzRole/hidden",
            "one allowed - -",
            "developer failed releasebinding:update ReleaseBinding/gone",
        ]
    );
    // Where no object is known, the path has the names.
    assert_eq!(all[1]["call"], "DELETE /api/v1/agents/one/grants");
    let (list, read) = (&all[5], &all[6]);
    assert_eq!((&list["at"], &list["binding"]), (&json!("ns/team"), &read["binding"]), "{list}");
    assert_eq!(read["call"], "GET /api/v1/namespaces/{namespace}/components/{name}", "{read}");
    assert_eq!(read["binding"], "ClusterAuthzRoleBinding agents", "{read}");
    let (_, summary) = platform.send(&admin, Method::GET, "/api/v1/audit/summary", None).await;
    let counts = &summary["items"][0];
    assert_eq!((&counts["agent"], &counts["reads"]), (&json!("one"), &json!(2)), "{summary}");
    let rest = ["writes", "denied", "failed"].map(|one| &counts[one]);
    assert_eq!(rest, [&json!(1), &json!(2), &json!(1)], "{summary}");
}

#[tokio::test]
async fn everybody_sees_what_they_did_and_only_who_may_what_others_did() {
    let (platform, developer) = shop().await;
    let (admin, agent) = (platform.token("admin").await, platform.token("one").await);
    platform.send(&agent, Method::GET, &format!("{TEAM}/projects/shop"), None).await;
    let actors = |records: &[Value]| {
        let actors = records.iter().map(|one| one["actor"].as_str().expect("text").to_owned());
        actors.collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(actors(&records(&platform, &developer, "").await), ["developer".to_owned()].into());
    assert_eq!(actors(&records(&platform, &agent, "?actor=one").await), ["one".to_owned()].into());
    let both = ["developer".to_owned(), "one".to_owned()].into();
    assert_eq!(actors(&records(&platform, &admin, "").await), both);
    let (status, body) =
        platform.send(&agent, Method::GET, "/api/v1/audit?actor=developer", None).await;
    assert_eq!(status, 403, "{body}");
    let summary = platform.send(&developer, Method::GET, "/api/v1/audit/summary", None).await;
    assert_eq!(summary.1["items"], json!([]));
    let page = records(&platform, &admin, "?limit=1&since=1h&result=allowed&actor=developer").await;
    assert_eq!((page.len(), &page[0]["action"]), (1, &json!("project:create")));
    for bad in ["result=maybe", "since=soon", "cursor=x", "limit=many"] {
        let (status, body) =
            platform.send(&admin, Method::GET, &format!("/api/v1/audit?{bad}"), None).await;
        assert_eq!(status, 400, "{bad}: {body}");
    }
}

#[tokio::test]
async fn what_was_only_looked_at_is_summed_up_for_who_asks_for_that() {
    let (platform, _) = shop().await;
    let (admin, agent) = (platform.token("admin").await, platform.token("one").await);
    for _ in 0..3 {
        platform.send(&agent, Method::GET, &format!("{TEAM}/projects/shop"), None).await;
    }
    let components = format!("{TEAM}/components");
    platform.send(&agent, Method::POST, &components, Some(component("web"))).await;
    platform.send(&agent, Method::GET, &components, None).await;
    let told = |records: &[Value]| -> Vec<(Value, Value)> {
        records.iter().map(|one| (one["reads"].clone(), one["result"].clone())).collect()
    };
    let entries = records(&platform, &admin, "?summed=true&actor=one").await;
    let newest_first = [(1, "allowed"), (0, "denied"), (3, "allowed")];
    let expected = newest_first.map(|(reads, result)| (json!(reads), json!(result)));
    assert_eq!(told(&entries), expected);
    assert_eq!(entries[2]["kinds"], json!(["project"]));
    let first = records(&platform, &admin, "?summed=true&actor=one&limit=1").await;
    assert_eq!(told(&first), expected[..1]);
    assert_eq!(records(&platform, &admin, "?actor=one").await.len(), 5);
}

#[tokio::test]
async fn a_grant_is_recorded_and_who_granted_is_told_with_what_it_allowed() {
    let (platform, developer) = shop().await;
    let (admin, agent) = (platform.token("admin").await, platform.token("one").await);
    let body = component("web");
    platform.send(&developer, Method::POST, &format!("{TEAM}/components"), Some(body)).await;
    let binding = json!({"metadata": {"name": "web-development"}, "spec": {
        "owner": {"projectName": "shop", "componentName": "web"}, "environment": "development",
    }});
    let bindings = format!("{TEAM}/releasebindings");
    let (status, made) = platform.send(&developer, Method::POST, &bindings, Some(binding)).await;
    assert_eq!(status, 201, "{made}");
    let grants = "/api/v1/agents/one/grants";
    let wish =
        json!({"kind": "scale", "namespace": "team", "environment": "development", "seconds": 60});
    platform.send(&admin, Method::POST, grants, Some(wish)).await;
    let mut scaled = made.clone();
    scaled["spec"]["componentTypeEnvironmentConfigs"] = json!({"replicas": 3});
    let path = format!("{bindings}/web-development");
    for _ in 0..200 {
        if platform.send(&agent, Method::PUT, &path, Some(scaled.clone())).await.0 == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    platform.send(&admin, Method::DELETE, grants, None).await;
    let written = records(&platform, &admin, "?actor=one&result=allowed&changes=true").await;
    let one = &written[0];
    assert_eq!(
        (&one["action"], &one["grantedBy"]),
        (&json!("releasebinding:scale"), &json!("admin")),
        "{one}"
    );
    assert_eq!(one["environment"], "team/development", "{one}");
    let change = "spec.componentTypeEnvironmentConfigs.replicas: none → 3";
    assert_eq!((&one["change"], &one["reason"]), (&json!(change), &Value::Null), "{one}");
    let given = records(&platform, &admin, "?actor=admin").await;
    let [revoke, grant] = given.as_slice() else { panic!("{given:?}") };
    assert_eq!((&grant["action"], &revoke["action"]), (&json!("grant"), &json!("revoke")));
    let note = grant["note"].as_str().expect("words");
    assert!(note.starts_with("scale to one in environment development until "), "{note}");
}

#[tokio::test]
async fn nobody_but_the_observer_tells_what_the_observer_saw() {
    let (platform, developer) = shop().await;
    let admin = platform.token("admin").await;
    let made_up = json!([{"time": "2026-01-01T00:00:00Z", "actor": "developer", "actorKind": "user",
        "action": "logs:view", "object": "Component/web", "at": "ns/team", "environment": null, "decision": null}]);
    for token in [&developer, &admin, &platform.token("one").await, &String::new()] {
        let path = crate::audit::OBSERVED_PATH;
        let (status, _) = platform.send(token, Method::POST, path, Some(made_up.clone())).await;
        assert_eq!(status, 401);
    }
    assert_eq!(records(&platform, &admin, "?action=logs:view").await, Vec::<Value>::new());
}

#[tokio::test]
async fn what_is_no_name_is_not_on_record_as_one() {
    let (platform, _) = shop().await;
    let (admin, agent) = (platform.token("admin").await, platform.token("one").await);
    let nowhere = "/api/v1/namespaces/%1b%5d0;x%07";
    let put = json!({"metadata": {"name": "web"}});
    for (method, path) in [
        (Method::GET, format!("{nowhere}/components/web")),
        (Method::GET, format!("{nowhere}/components")),
        (Method::GET, format!("{nowhere}/environments/stage")),
        (Method::GET, format!("{TEAM}/components?project=%1b%5b2J")),
        (Method::GET, format!("{TEAM}/workloads?component=%1b%5b2J")),
        (Method::PUT, format!("{nowhere}/releasebindings/web")),
        (Method::POST, format!("{nowhere}/environments")),
        (Method::DELETE, format!("{nowhere}/projects/shop")),
    ] {
        let body = (method != Method::GET).then(|| put.clone());
        let (status, body) = platform.send(&agent, method.clone(), &path, body).await;
        assert_eq!(status, 400, "{method} {path}: {body}");
    }
    let kept = records(&platform, &admin, "?actor=one").await;
    assert_eq!(kept.len(), 8, "{kept:?}");
    for one in &kept {
        assert_eq!((&one["at"], &one["result"]), (&Value::Null, &json!("failed")), "{one}");
    }
}
