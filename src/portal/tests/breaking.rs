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
    assert!(page.contains("Break by bad-image") && !page.contains("demo break"), "{page}");
    assert!(page.contains("logs <code>cannot reach … connection refused</code>"), "{page}");
    assert!(page.contains("does not run here: payment"), "{page}");

    let origin = Some("http://localhost:8080");
    let forged = browser.post(BREAK, &format!("form_key=x&{ORDER}"), origin).await;
    assert_eq!(forged.status(), StatusCode::FORBIDDEN);
    assert!(browser.wire.written.lock().unwrap().is_empty());

    let answer = browser.submit(BREAK, ORDER).await;
    let told = format!("{SHOP}?env=development&broken=checkout");
    assert_eq!(location(&answer), told);
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

    let page = browser.page(&told).await;
    let notice = page.split("<section class=\"notice\"").nth(1).unwrap();
    let (notice, live) = notice.split_once("data-live").unwrap();
    for words in [
        "checkout in Development is broken by bad-config",
        "Look for: the service answers 500",
        "half a minute",
        "action=\"/namespaces/default/projects/shop/break/heal\"",
        "curtain demo heal checkout --env development --name test",
    ] {
        assert!(notice.contains(words) && !live.contains(words), "{words}: {page}");
    }
    let elsewhere = browser.page(&told.replace("development", "staging")).await;
    let unknown = browser.page(&format!("{SHOP}?broken=%3Cb%3E&healed=%3Cb%3E")).await;
    assert!(!elsewhere.contains("\"notice\"") && !unknown.contains("\"notice\""));

    let page = browser.page(BREAK).await;
    assert!(page.contains("Broken now") && page.contains("Heal checkout in development"), "{page}");
    let healed = browser.submit(&format!("{BREAK}/heal"), ORDER).await;
    let told = location(&healed).to_owned();
    assert_eq!(told, format!("{SHOP}?env=development&healed=checkout"));
    let body = taken(&browser);
    assert!(body["spec"].get("workloadOverrides").is_none(), "{body}");
    assert_eq!(body["metadata"]["annotations"], json!({"mine": "stays"}));
    assert!(browser.page(&told).await.contains("checkout in Development is healed."));
}

#[tokio::test]
async fn an_image_is_broken_in_the_workload_where_the_newest_release_runs_and_put_back() {
    const IMAGE: &str = "service=checkout&environment=development&fault=bad-image";
    let browser = before_the_shop().await;
    let (workloads, path) =
        ("/namespaces/default/workloads", "/namespaces/default/workloads/checkout");
    let workload =
        json!({"metadata": {"name": "checkout"}, "spec": {"container": {"image": "shop:1"}}});
    browser.wire.add(workloads, workload);
    let change = |status: &str| {
        browser.wire.change("/namespaces/default/components", "checkout", |component| {
            component["status"] = json!({"latestRelease": {"name": status}});
        });
    };
    change("checkout-2");
    let older = browser.submit(BREAK, IMAGE).await;
    assert_eq!(older.status(), StatusCode::UNPROCESSABLE_ENTITY);
    change("checkout-1");
    browser.wire.denied.lock().unwrap().push("workload:update".to_owned());
    assert_eq!(browser.submit(BREAK, IMAGE).await.status(), StatusCode::FORBIDDEN);
    browser.wire.denied.lock().unwrap().clear();
    assert!(browser.wire.written.lock().unwrap().is_empty(), "nothing is half broken");

    // The workload is written last, so that whatever is broken is on record.
    assert_eq!(browser.submit(BREAK, IMAGE).await.status(), StatusCode::SEE_OTHER);
    let (_, at, body, _) = browser.wire.written.lock().unwrap().pop().unwrap();
    assert_eq!(
        (at.as_str(), &body["spec"]["container"]["image"]),
        (path, &json!("shop:no-such-tag"))
    );
    browser.wire.change(workloads, "checkout", |workload| *workload = body);
    let record =
        taken(&browser)["metadata"]["annotations"][ANNOTATION].as_str().unwrap().to_owned();
    assert!(record.contains("\"before\":\"shop:1\""), "{record}");
    assert!(browser.page(BREAK).await.contains("Broken now"));
    let image = |image: &str| {
        browser.wire.change(workloads, "checkout", |workload| {
            workload["spec"]["container"]["image"] = json!(image);
        });
    };
    image("shop:2");
    let page = browser.page(BREAK).await;
    assert!(!page.contains("Broken now") && page.contains("Mended by somebody since"), "{page}");
    image("shop:no-such-tag");

    let healed = browser.submit(&format!("{BREAK}/heal"), IMAGE).await;
    assert_eq!(healed.status(), StatusCode::SEE_OTHER);
    assert_eq!(taken(&browser)["metadata"]["annotations"], json!({"mine": "stays"}));
    let (_, at, body, _) = browser.wire.written.lock().unwrap().pop().unwrap();
    assert_eq!((at.as_str(), &body["spec"]["container"]["image"]), (path, &json!("shop:1")));
}

#[tokio::test]
async fn a_fault_goes_with_the_workload_that_it_was_in_and_is_cleared() {
    let browser = before_the_shop().await;
    let image = json!({"before": "shop:1", "after": "shop:no-such-tag"});
    let record = json!({"fault": "bad-image", "image": image}).to_string();
    browser.wire.change_binding("checkout-development", |binding| {
        binding["metadata"]["annotations"][ANNOTATION] = json!(record);
    });
    let page = browser.page(BREAK).await;
    assert!(!page.contains("Broken now"), "{page}");
    assert!(page.contains("Clear checkout in development"), "{page}");
    let cleared = browser.submit(&format!("{BREAK}/heal"), ORDER).await;
    assert_eq!(cleared.status(), StatusCode::SEE_OTHER);
    assert_eq!(taken(&browser)["metadata"]["annotations"], json!({"mine": "stays"}));
}

#[tokio::test]
async fn what_somebody_has_mended_is_not_told_as_broken() {
    let browser = before_the_shop().await;
    assert_eq!(browser.submit(BREAK, ORDER).await.status(), StatusCode::SEE_OTHER);
    taken(&browser);
    let told = format!("{SHOP}?env=development&broken=checkout");
    assert!(browser.page(&told).await.contains("is broken by bad-config"));
    // As an agent does it that was allowed to.
    browser.wire.change_binding("checkout-development", |binding| {
        binding["spec"]["workloadOverrides"]["container"]["env"] = json!([]);
    });
    assert!(!browser.page(&told).await.contains("is broken by"));
    let page = browser.page(BREAK).await;
    assert!(!page.contains("Broken now") && page.contains("Mended by somebody since"), "{page}");
    assert!(page.contains("Clear checkout in development"), "{page}");
    browser.submit(&format!("{BREAK}/heal"), ORDER).await;
    assert_eq!(taken(&browser)["metadata"]["annotations"], json!({"mine": "stays"}));
    assert!(!browser.page(BREAK).await.contains("Mended by somebody"));
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
    let refused = browser.submit(BREAK, &ORDER.replace("bad-config", "full-queue")).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(browser.wire.written.lock().unwrap().is_empty());
}
