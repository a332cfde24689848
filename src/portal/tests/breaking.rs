//! "Break something".

use super::{Browser, location};
use curtain_demo::ANNOTATION;
use http::StatusCode;
use serde_json::{Value, json};

const SHOP: &str = "/namespaces/default/projects/shop";
const BREAK: &str = "/namespaces/default/projects/shop/break";
const ORDER: &str = "service=checkout&environment=development&fault=bad-config";

/// Before the shop, of which checkout is there.
async fn before_the_shop() -> Browser {
    let browser = Browser::signed_in().await;
    let owner = json!({"projectName": "shop", "componentName": "checkout"});
    browser.wire.add(
        "/namespaces/default/components",
        json!({"metadata": {"name": "checkout"}, "spec": {"owner": {"projectName": "shop"}}}),
    );
    browser.wire.add(
        "/namespaces/default/releasebindings",
        json!({
            "metadata": {"name": "checkout-development", "annotations": {"mine": "stays"}},
            "spec": {"owner": owner, "environment": "development", "releaseName": "checkout-1"},
            "status": {},
        }),
    );
    browser
}

/// What was written last, as the cluster has it from now on.
fn taken(browser: &Browser) -> Value {
    let (method, path, body, version) = browser.wire.written.lock().unwrap().pop().unwrap();
    assert_eq!((method.as_str(), version.as_deref()), ("PUT", Some("\"7\"")));
    assert_eq!(path, "/namespaces/default/releasebindings/checkout-development");
    assert!(body.get("status").is_none(), "{body}");
    browser.wire.change_binding("checkout-development", |binding| *binding = body.clone());
    body
}

#[tokio::test]
async fn a_service_of_the_shop_is_broken_and_healed_as_the_command_line_does_it() {
    let browser = before_the_shop().await;
    let page = browser.page(SHOP).await;
    assert!(page.contains(&format!("<a class=\"button\" href=\"{BREAK}\">Break something")));
    let page = browser.page(BREAK).await;
    assert!(page.contains("every third request fails") && !page.contains("Broken now"), "{page}");
    assert!(page.contains("<option selected>checkout</option></select>"), "{page}");
    assert!(page.contains("demo break checkout --fault bad-image --env development --name test"));
    assert!(page.contains("does not run here: payment"), "{page}");

    let origin = Some("http://localhost:8080");
    let forged = browser.post(BREAK, &format!("form_key=x&{ORDER}"), origin).await;
    assert_eq!(forged.status(), StatusCode::FORBIDDEN);
    assert!(browser.wire.written.lock().unwrap().is_empty());

    let answer = browser.submit(BREAK, ORDER).await;
    assert_eq!(location(&answer), format!("{SHOP}?env=development"));
    let body = taken(&browser);
    let value = json!({"key": "TAX_PERCENT", "value": "nineteen"});
    assert_eq!(body["spec"]["workloadOverrides"]["container"]["env"], json!([value]));
    assert_eq!(body["metadata"]["annotations"]["mine"], "stays");
    let record = body["metadata"]["annotations"][ANNOTATION].as_str().unwrap();
    let record: Value = serde_json::from_str(record).unwrap();
    let changed = json!([{"before": null, "after": value}]);
    let expected =
        json!({"fault": "bad-config", "variables": changed, "image": null, "bare": true});
    assert_eq!(record, expected);

    // Again is no other than once, and there is one fault at a time.
    assert_eq!(browser.submit(BREAK, ORDER).await.status(), StatusCode::SEE_OTHER);
    let other = browser.submit(BREAK, &ORDER.replace("bad-config", "latency")).await;
    assert_eq!(other.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(super::text(other).await.contains("broken by bad-config already"));
    assert!(browser.wire.written.lock().unwrap().is_empty());

    let page = browser.page(BREAK).await;
    assert!(page.contains("Broken now") && page.contains("Heal checkout in development"), "{page}");
    let healed = browser.submit(&format!("{BREAK}/heal"), ORDER).await;
    assert_eq!(location(&healed), format!("{SHOP}?env=development"));
    let body = taken(&browser);
    assert!(body["spec"].get("workloadOverrides").is_none(), "{body}");
    assert_eq!(body["metadata"]["annotations"], json!({"mine": "stays"}));
}

#[tokio::test]
async fn a_change_that_another_one_overtook_is_made_again_and_not_for_ever() {
    let browser = before_the_shop().await;
    *browser.wire.overtaken.lock().unwrap() = 4;
    assert_eq!(browser.submit(BREAK, ORDER).await.status(), StatusCode::SEE_OTHER);
    assert_eq!(browser.wire.written.lock().unwrap().len(), 1);
    *browser.wire.overtaken.lock().unwrap() = 9;
    assert_eq!(browser.submit(BREAK, ORDER).await.status(), StatusCode::CONFLICT);
}

#[tokio::test]
async fn nothing_is_broken_by_who_may_not_or_outside_of_the_shop() {
    let browser = before_the_shop().await;
    browser.wire.denied.lock().unwrap().push("default/development".to_owned());
    let page = browser.page(BREAK).await;
    assert!(page.contains("you need releasebinding:update there"), "{page}");
    assert!(!page.contains("name=\"fault\""), "{page}");
    let denied = browser.submit(BREAK, ORDER).await;
    assert_eq!(denied.status(), StatusCode::FORBIDDEN);
    assert!(super::text(denied).await.contains("you need releasebinding:update in"));

    let elsewhere = "/namespaces/default/projects/empty";
    assert!(!browser.page(elsewhere).await.contains("Break something"));
    for answer in [
        browser.get(&format!("{elsewhere}/break")).await,
        browser.submit(&format!("{elsewhere}/break"), ORDER).await,
        browser
            .submit(BREAK, &ORDER.replace("checkout", "payment").replace("bad-config", "latency"))
            .await,
    ] {
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    }
    for wrong in
        [ORDER.replace("bad-config", "bad-image"), ORDER.replace("bad-config", "full-queue")]
    {
        let refused = browser.submit(BREAK, &wrong).await;
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
    assert!(browser.wire.written.lock().unwrap().is_empty());
}
