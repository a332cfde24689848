//! The portal in a browser: signed in by a link, a component with its endpoint, status and logs.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use curtain_e2e::{Browser, Instance, eventually, get};

#[test]
fn a_person_signs_in_by_link_and_sees_a_component_live() {
    let instance = Instance::up();
    let url = instance.curtain(&["demo", "deploy", "greeter"]).success();
    let url = url.trim();
    assert_eq!(get(url).unwrap().status, 200, "`demo deploy` answers only when its URL does");

    let browser = Browser::start();
    // `open --print` gives the link that it would have opened.
    let link = instance.curtain(&["open", "--print"]).success();
    browser.open(link.trim());
    browser.wait_for("Projects");
    shoot(&browser, "projects");

    let page = browser
        .script("return [...document.querySelectorAll('a:not(svg a)')].map(a => a.href).find(h => h.includes('greeter'))")
        .unwrap();
    let page = match page.as_str() {
        Some(page) => page.to_owned(),
        None => {
            let project = browser
                .script("return [...document.querySelectorAll('main a:not(svg a)')].map(a => a.href).find(h => h.includes('/projects/'))")
                .unwrap();
            browser.open(project.as_str().expect("a link to a project"));
            browser.wait_for("Greeter");
            shoot(&browser, "project");
            let component = browser
                .script("return [...document.querySelectorAll('main a:not(svg a)')].map(a => a.href).find(h => h.includes('greeter'))")
                .unwrap();
            component.as_str().expect("a link to the component").to_owned()
        }
    };
    browser.open(&page);
    browser.wait_for("development");
    browser.wait_for("Ready");
    let endpoint = "return [...document.querySelectorAll('a:not(svg a)')].some(a => a.href.includes('greeter') && a.href.includes(':'))";
    assert_eq!(browser.script(endpoint).unwrap(), true, "{}", browser.text());

    // What is asked of the component shows up in its live logs without a reload.
    let mark = format!("{url}portal-{}", std::process::id());
    eventually("the logs to show the request", Duration::from_secs(20), || {
        get(&mark)?;
        let text = browser.text();
        if text.contains("portal-") { Ok(()) } else { Err(text) }
    });
    shoot(&browser, "component");

    // The link works once.
    let other = Browser::start();
    other.open(link.trim());
    other.wait_for("Sign in");
    shoot(&other, "sign-in");
    drop((browser, other));

    instance.curtain(&["demo", "remove", "greeter"]).success();
    instance.down();
}

#[test]
fn the_shop_is_seen_breaking() {
    let instance = Instance::up();
    instance.curtain(&["demo", "deploy", "shop"]).success();
    let browser = Browser::start();
    // The shop is the one project in use, so signing in leads to it.
    let link = instance.curtain(&["open", "--print"]).success();
    browser.open(link.trim());
    let failing = "return document.querySelectorAll('svg.wide path.flow.fails').length";
    eventually("calls that are drawn", Duration::from_secs(60), || {
        let calls =
            browser.script("return document.querySelectorAll('svg.wide path.flow').length")?;
        if calls.as_u64() > Some(5) { Ok(()) } else { Err(browser.text()) }
    });
    let link =
        "return document.querySelector('svg.wide a[href$=\"/components/checkout\"]')?.ariaLabel";
    assert!(
        browser.script(link).unwrap().as_str().is_some_and(|words| words.starts_with("checkout"))
    );
    shoot(&browser, "shop");

    // The page tells of it without being loaded again.
    instance.curtain(&["demo", "break", "checkout"]).success();
    eventually("a call that fails", Duration::from_secs(90), || {
        let (calls, text) = (browser.script(failing)?, browser.text());
        let seen = calls.as_u64() > Some(0) && text.contains("unhealthy");
        if seen { Ok(()) } else { Err(text) }
    });
    shoot(&browser, "shop-broken");
    drop(browser);
    instance.curtain(&["demo", "remove", "shop"]).success();
    instance.down();
}

/// Keeps a picture where `CURTAIN_E2E_PICTURES` says, for people to look at.
fn shoot(browser: &Browser, name: &str) {
    if let Some(dir) = std::env::var_os("CURTAIN_E2E_PICTURES") {
        browser.screenshot(&std::path::Path::new(&dir).join(format!("{name}.png")));
    }
}
