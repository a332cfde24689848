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
