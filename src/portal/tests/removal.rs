//! The end of a component.

use super::{Browser, GREETER, location};
use http::StatusCode;
use serde_json::json;

#[tokio::test]
async fn a_component_is_deleted_once_its_name_is_typed() {
    let browser = Browser::signed_in().await;
    let page = browser.page(GREETER).await;
    assert!(page.contains("<summary>Delete component</summary>"), "{page}");
    assert!(page.contains("takes it out of Development, Staging."), "{page}");
    let (live, rest) = page.split_once("id=\"logs\"").unwrap();
    assert!(!live.contains("Delete component") && rest.contains("pattern=\"greeter\""), "{page}");

    let path = format!("{GREETER}/delete");
    let origin = Some("http://localhost:8080");
    let forged = browser.post(&path, "form_key=x&confirmed=greeter", origin).await;
    assert_eq!(forged.status(), StatusCode::FORBIDDEN);
    let typo = browser.submit(&path, "confirmed=greter").await;
    assert_eq!(typo.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let elsewhere = "/namespaces/default/projects/empty/components/greeter/delete";
    let elsewhere = browser.submit(elsewhere, "confirmed=greeter").await;
    assert_eq!(elsewhere.status(), StatusCode::NOT_FOUND);
    assert!(browser.wire.written.lock().unwrap().is_empty());

    let answer = browser.submit(&path, "confirmed=greeter").await;
    let project = "/namespaces/default/projects/shop";
    assert_eq!((answer.status(), location(&answer)), (StatusCode::SEE_OTHER, project));
    let written = browser.wire.written.lock().unwrap().clone();
    let gone = "/namespaces/default/components/greeter".to_owned();
    assert_eq!(written, [("DELETE".to_owned(), gone, json!({}), None)]);
}

#[tokio::test]
async fn who_may_not_delete_a_component_is_told_why() {
    let browser = Browser::signed_in().await;
    browser.wire.denied.lock().unwrap().push("component:delete".to_owned());
    let page = browser.page(GREETER).await;
    assert!(page.contains("you need component:delete there"), "{page}");
    assert!(!page.contains("name=\"confirmed\""), "{page}");
}
