//! Why something was not done, as its record says it.

use super::{audit::records, *};

#[tokio::test]
async fn what_was_not_done_has_its_reason() {
    let (platform, developer) = shop().await;
    let admin = platform.token("admin").await;
    let grants = "/api/v1/agents/one/grants";
    let wish = |environment: &str| json!({"kind": "scale", "namespace": "team", "environment": environment, "seconds": 60});
    for (token, environment, status) in [(&admin, "dev", 404), (&developer, "development", 403)] {
        let answer = platform.send(token, Method::POST, grants, Some(wish(environment))).await;
        assert_eq!(answer.0, status, "{}", answer.1);
    }
    let kept = records(&platform, &admin, "?changes=true&limit=2").await;
    let [refused, failed] = kept.as_slice() else { panic!("{kept:?}") };
    assert_eq!((&failed["action"], &failed["object"]), (&json!("grant"), &json!("Agent/one")));
    assert_eq!(failed["reason"], "Environment not found: dev; there are: development", "{failed}");
    assert_eq!(
        (&refused["result"], &refused["reason"]),
        (&json!("denied"), &json!("user developer has no permission for it"))
    );
}

#[tokio::test]
async fn a_value_that_was_refused_is_not_on_record() {
    let (platform, developer) = shop().await;
    let admin = platform.token("admin").await;
    let components = format!("{TEAM}/components");
    for (path, reason) in [
        ("/metadata/labels", "metadata: invalid type: string …, expected a map"),
        ("/spec/componentType/kind", "spec.componentType.kind: Unsupported value: …"),
        ("/spec/autoDeploy", "spec.autoDeploy: Invalid value: …"),
    ] {
        let mut body = component("web");
        let (parent, last) = path.rsplit_once('/').expect("a path");
        body.pointer_mut(parent).expect("its parent")[last] = json!("hunter2");
        let (status, answer) =
            platform.send(&developer, Method::POST, &components, Some(body)).await;
        assert!(status == 400 || status == 422, "{path}: {status} {answer}");
        let kept = records(&platform, &admin, "?changes=true&limit=1").await;
        let kept = kept[0]["reason"].as_str().expect("a reason");
        assert!(kept.starts_with(reason) && !kept.contains("hunter2"), "{path}: {kept}");
    }
}
