//! "Deploy yours".

use super::{Browser, location, text};
use http::StatusCode;
use serde_json::json;

const DEPLOY: &str = "/namespaces/default/projects/shop/deploy";

#[tokio::test]
async fn an_image_of_a_registry_becomes_a_component_and_the_same_again_replaces_it() {
    let browser = Browser::signed_in().await;
    let page = browser.page(DEPLOY).await;
    assert!(page.contains("for=\"image\"") && page.contains("Deploy yours"), "{page}");
    let form = "image=ghcr.io%2Fa%2Fweb%3A1&name=&port=80&from=registry";
    let answer = browser.submit(DEPLOY, form).await;
    let component = "/namespaces/default/projects/shop/components/web";
    assert_eq!((answer.status(), location(&answer)), (StatusCode::SEE_OTHER, component));
    let written = std::mem::take(&mut *browser.wire.written.lock().unwrap());
    let paths: Vec<String> =
        written.iter().map(|(method, path, ..)| format!("{method} {path}")).collect();
    assert_eq!(
        paths,
        ["POST /namespaces/default/components", "POST /namespaces/default/workloads"]
    );
    assert_eq!(written[0].2["spec"]["autoDeploy"], true);
    let workload = &written[1].2["spec"];
    assert_eq!(workload["owner"], json!({"projectName": "shop", "componentName": "web"}));
    assert_eq!(workload["container"]["image"], "ghcr.io/a/web:1");
    assert_eq!(workload["endpoints"]["http"]["port"], 80);

    // What somebody else has set meanwhile stays.
    browser.wire.change("/namespaces/default/workloads", "web", |workload| {
        workload["spec"]["container"]["env"] = json!([{"key": "A", "value": "mine"}]);
    });
    let again = "image=ghcr.io%2Fa%2Fweb%3A2&name=web&port=&from=registry";
    let answer = browser.submit(DEPLOY, again).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let written = std::mem::take(&mut *browser.wire.written.lock().unwrap());
    // The component is as wanted.
    let [(method, path, workload, version)] = &written[..] else { panic!("{written:?}") };
    assert_eq!(format!("{method} {path}"), "PUT /namespaces/default/workloads/web");
    assert!(version.is_some());
    let container = &workload["spec"]["container"];
    assert_eq!(container["image"], "ghcr.io/a/web:2");
    assert_eq!(container["env"][0]["value"], "mine");
}

#[tokio::test]
async fn what_others_made_is_not_replaced_and_what_is_wrong_is_said() {
    let browser = Browser::signed_in().await;
    let answer = browser.submit(DEPLOY, "image=a%3A1&name=greeter&from=registry").await;
    assert_eq!(answer.status(), StatusCode::CONFLICT);
    assert!(text(answer).await.contains("made in another way; choose another name"));
    // Nor is half of it made, where the other half could not be.
    let workload =
        json!({"metadata": {"name": "till"}, "spec": {"owner": {"componentName": "shelf"}}});
    browser.wire.add("/namespaces/default/workloads", workload);
    let answer = browser.submit(DEPLOY, "image=a%3A1&name=till&from=registry").await;
    assert_eq!(answer.status(), StatusCode::CONFLICT);
    assert!(text(answer).await.contains("there is a workload till of component shelf"));
    let answer = browser.submit(DEPLOY, "image=%3Cb%3E&name=A&port=x&from=registry").await;
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let page = text(answer).await;
    assert!(
        page.contains("value=\"&lt;b&gt;\"") && page.contains("aria-describedby=\"port-fault\"")
    );
    assert!(browser.wire.written.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_image_on_the_persons_machine_is_a_command() {
    let browser = Browser::signed_in().await;
    // The form begins with it: what is on one's own machine is what one has just built.
    let page = browser.page(DEPLOY).await;
    assert!(page.contains("value=\"local\" checked"), "{page}");
    assert!(!page.contains("value=\"registry\" checked"), "{page}");
    let answer = browser.submit(DEPLOY, "image=my%3Adev&name=&port=9000").await;
    assert_eq!(answer.status(), StatusCode::OK);
    let answer = browser.submit(DEPLOY, "image=my%3Adev&name=&port=9000&from=local").await;
    assert_eq!(answer.status(), StatusCode::OK);
    let page = text(answer).await;
    let command =
        "curtain deploy --image my:dev --component my --port 9000 --project shop --name test";
    assert!(page.contains(&format!("<code>{command}</code>")), "{page}");
    let file = command.replace("my:dev", "./my.tar");
    assert!(page.contains(&format!("<code>{file}</code>")), "{page}");
    let faulty = browser.submit(DEPLOY, "image=My%3Adev&from=local").await;
    assert_eq!(faulty.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let faulty = text(faulty).await;
    assert!(faulty.contains("aria-describedby=\"image-fault\""), "{faulty}");
    assert_eq!(faulty.matches("has capital letters").count(), 1, "{faulty}");
    assert!(browser.wire.written.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_command_follows_the_fields_and_tells_once_its_component_is_there() {
    let browser = Browser::signed_in().await;
    let part = |query: &str| format!("{DEPLOY}/command?{query}");
    let empty = browser.page(&part("image=&name=&port=")).await;
    assert!(empty.starts_with("<p class=\"dim\">Name the image"), "{empty}");
    let quoted = browser.page(&part("image=.%2Fit%27s+%3Cb%3E.tar&name=&port=")).await;
    assert!(quoted.contains("--image './it'\\''s &lt;b&gt;.tar' --project shop"), "{quoted}");
    let waits = browser.page(&part("image=my%3Adev&name=till&port=")).await;
    assert!(waits.contains("This page goes on to <a") && !waits.contains("data-made"), "{waits}");
    let component = |project: &str| json!({"metadata": {"name": "till"}, "spec": {"owner": {"projectName": project}}});
    browser.wire.add("/namespaces/default/components", component("shop"));
    let there = browser.page(&part("image=my%3Adev&name=till&port=")).await;
    let link = "<a href=\"/namespaces/default/projects/shop/components/till\" data-made>till</a>";
    assert!(there.contains(link), "{there}");
}
