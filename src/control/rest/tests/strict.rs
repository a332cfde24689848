//! What a caller writes and the kind does not have.

use super::*;

#[tokio::test]
async fn a_field_that_the_kind_does_not_have_is_refused_and_changes_nothing() {
    let (platform, token) = shop().await;
    let (components, web) = (format!("{TEAM}/components"), format!("{TEAM}/components/web"));
    let with = |path: &str, value: Value| {
        let mut body = component("web");
        let (parent, last) = path.rsplit_once('/').expect("a path");
        body.pointer_mut(parent).expect("its parent")[last] = value;
        body
    };
    let bodies = [
        (with("/spec/autoDeploi", json!(true)), "spec.autoDeploi"),
        (with("/spec/owner/team", json!("x")), "spec.owner.team"),
        (with("/spec/traits", json!([{"nam": "x"}])), "spec.traits[0].nam"),
        (with("/specs", json!({})), "specs"),
        (with("/metadata/lables", json!({"a": "b"})), "metadata.lables"),
    ];
    let refused = async |method: Method, path: &str| {
        for (body, field) in &bodies {
            let (status, answer) =
                platform.send(&token, method.clone(), path, Some(body.clone())).await;
            let error = answer["error"].as_str().unwrap_or_default();
            let named = error.contains(&format!("unknown field {field:?}"));
            assert!(status == 400 && named, "{field}: {status} {answer}");
        }
    };
    refused(Method::POST, &components).await;
    assert!(platform.find("Component", "team", "web").await.is_none(), "nothing was made");

    // What the schema leaves open is the type's, and what is shown can be sent back.
    let free = with("/spec/parameters", json!({"anything": {"at": "all"}}));
    let (status, made) = platform.send(&token, Method::POST, &components, Some(free)).await;
    assert_eq!(status, 201, "{made}");
    let mut shown = made.clone();
    shown["status"] = json!({"conditions": []});
    let (status, body) = platform.send(&token, Method::PUT, &web, Some(shown)).await;
    assert_eq!(status, 200, "{body}");

    refused(Method::PUT, &web).await;
    let there = platform.find("Component", "team", "web").await.expect("web");
    assert_eq!(there.data["spec"]["parameters"], json!({"anything": {"at": "all"}}));

    let odd = json!({"metadata": {"name": "odd", "lable": "x"}});
    let admin = platform.token("admin").await;
    let (status, body) = platform.send(&admin, Method::POST, "/api/v1/namespaces", Some(odd)).await;
    assert_eq!((status, &body["error"]), (400, &json!("unknown field \"metadata.lable\"")));
}
