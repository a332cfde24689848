//! Releases: what changed between them, and the way back.

use super::{Browser, GREETER, location};
use http::StatusCode;

#[tokio::test]
async fn what_changed_between_releases_and_environments_is_shown() {
    let browser = Browser::signed_in().await;
    let page = browser.page(&format!("{GREETER}/releases")).await;
    let [newer, older] =
        ["greeter-579d6569c6</code>", "greeter-4bdf6c7h2k</code>"].map(|name| page.find(name));
    assert!(newer.unwrap() < older.unwrap(), "newest first: {page}");
    assert!(page.contains("What differs between Development and Staging"), "{page}");

    let both = "before=greeter-4bdf6c7h2k&after=greeter-579d6569c6";
    let page = browser.page(&format!("{GREETER}/releases?{both}")).await;
    assert!(page.contains("<code>workload.container.image</code>"), "{page}");
    assert!(page.contains("<del>ghcr.io/example/greeter:1.4.1</del>"), "{page}");
    assert!(page.contains("<ins>&lt;debug&gt;</ins>"), "{page}");
    assert!(!page.contains("componentType</code>"), "what is the same is not listed: {page}");

    browser.wire.change_binding("greeter-staging", |binding| {
        binding["spec"]["componentTypeEnvironmentConfigs"] = serde_json::json!({"replicas": 3});
    });
    let page = browser.page(&format!("{GREETER}/releases?from=development&to=staging")).await;
    let set = "set here.componentTypeEnvironmentConfigs.replicas";
    assert!(page.contains(set) && page.contains("<ins>3</ins>"), "{page}");
    let gone = browser.page(&format!("{GREETER}/releases?before=none&after=none")).await;
    assert!(gone.contains("not there any more"), "{gone}");
}

#[tokio::test]
async fn an_environment_goes_back_to_an_earlier_release_and_never_forward() {
    let browser = Browser::signed_in().await;
    let page = browser.page(&format!("{GREETER}/releases")).await;
    assert!(page.contains("Roll back Development") && !page.contains("Roll back Staging"));
    let path = format!("{GREETER}/rollback");
    let back = "environment=development&release=greeter-4bdf6c7h2k";
    let answer = browser.submit(&path, back).await;
    assert_eq!((answer.status(), location(&answer)), (StatusCode::SEE_OTHER, GREETER));
    let written = std::mem::take(&mut *browser.wire.written.lock().unwrap());
    assert_eq!(written.len(), 2, "{written:?}");
    // Or the newest release would be back at once.
    assert_eq!(written[0].1, "/namespaces/default/components/greeter");
    assert_eq!(written[0].2["spec"]["autoDeploy"], false);
    let (method, at, body, version) = written[1].clone();
    assert_eq!((method.as_str(), version.as_deref()), ("PUT", Some("\"7\"")));
    assert_eq!(at, "/namespaces/default/releasebindings/greeter-development");
    assert_eq!(body["spec"]["releaseName"], "greeter-4bdf6c7h2k");
    let on = browser.submit(&format!("{GREETER}/auto-deploy"), "on=true").await;
    assert_eq!(on.status(), StatusCode::SEE_OTHER);
    let written = std::mem::take(&mut *browser.wire.written.lock().unwrap());
    assert_eq!(written[0].2["spec"]["autoDeploy"], true);
    let forward = "environment=staging&release=greeter-579d6569c6";
    let answer = browser.submit(&path, forward).await;
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    browser.wire.denied.lock().unwrap().push("default/development".to_owned());
    let page = browser.page(&format!("{GREETER}/releases")).await;
    assert!(!page.contains("Roll back Development"), "who may not is not offered it");
}
