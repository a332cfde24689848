//! The portal in a browser: signed in by a link, a component with its endpoint, status and logs.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use curtain_e2e::{Browser, Clients, Instance, eventually, get, get_as, post_as};
use serde_json::json;

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
    browser.wait_for("Healthy");
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

    // It ends there, too, once its name is typed.
    browser.click("#removal ~ details summary");
    browser.fill("#confirmed", "greeter");
    shoot(&browser, "removal");
    browser.click("#removal ~ details button");
    eventually("the component to be gone", Duration::from_secs(30), || {
        let left = ["get", "components,workloads,releasebindings", "-o", "name"];
        let left = instance.kubectl(Clients::KUBECTLS[1], &left).success();
        if left.contains("greeter") { Err(left) } else { Ok(()) }
    });
    let at = browser.script("return location.pathname").unwrap();
    assert!(!at.as_str().unwrap().contains("/components/"), "{at}");
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
        let seen = calls.as_u64() > Some(0) && text.contains("failing");
        if seen { Ok(()) } else { Err(text) }
    });
    shoot(&browser, "shop-broken");
    drop(browser);
    instance.curtain(&["demo", "remove", "shop"]).success();
    instance.down();
}

/// Bytes of a page with what it loads.
const FIRST_SCREEN: u64 = 150_000;

#[test]
fn every_screen_can_be_used_by_everybody() {
    let clients = Clients::find();
    let instance = Instance::up();
    instance.curtain(&["demo", "deploy", "shop"]).success();
    instance.curtain(&["demo", "break", "checkout"]).success();
    let browser = Browser::start();
    let link = instance.curtain(&["open", "--print"]).success();
    browser.open(link.trim());
    let first = |selector: &str| {
        let script = format!("return document.querySelector({selector:?})?.href");
        browser.script(&script).unwrap().as_str().map(str::to_owned)
    };
    let mut incident = None;
    eventually("an incident on the page of the project", Duration::from_secs(90), || {
        let of_checkout = "return [...document.querySelectorAll('.rail li a')]
            .find(one => one.innerText.startsWith('checkout: error rate'))?.href";
        incident = browser.script(of_checkout)?.as_str().map(str::to_owned);
        if incident.is_some() { Ok(()) } else { Err(browser.text()) }
    });
    let project = browser.script("return location.href.split('?')[0]").unwrap();
    let project = project.as_str().unwrap();
    let origin = browser.script("return location.origin").unwrap();
    let origin = origin.as_str().unwrap();
    let checkout = format!("{project}/components/checkout");

    // By what the tabs show, not by their being there.
    browser.open(&format!("{checkout}/metrics"));
    eventually("a chart of requests", Duration::from_secs(60), || {
        let drawn =
            browser.script("return document.querySelectorAll('.chart path.line').length")?;
        if drawn.as_u64() >= Some(6) { Ok(()) } else { Err(browser.text()) }
    });
    browser.open(&format!("{checkout}/calls"));
    browser.wait_for("web");
    browser.open(&format!("{checkout}/events"));
    browser.wait_for("Scheduled");
    browser.open(&format!("{checkout}/releases"));
    browser.wait_for("the first");
    let mut trace = None;
    eventually("a trace", Duration::from_secs(60), || {
        browser.open(&format!("{checkout}/traces"));
        trace = first("main tbody a");
        if trace.is_some() { Ok(()) } else { Err(browser.text()) }
    });
    let trace = trace.unwrap();
    browser.open(&trace);
    browser.wait_for("spans in");
    let incident = incident.unwrap();
    browser.open(&incident);
    browser.wait_for("Acknowledge");
    browser.click("button[value=acknowledged]");
    browser.wait_for("acknowledged");
    // The report comes by itself.
    browser.wait_for("How the agent went about it");
    // Without a model nobody can be asked about it, and what is missing is said.
    let agent = format!("{}/sre-agent/api", instance.endpoint("portal"));
    let token = instance.token("developer");
    let reports = format!("{agent}/v1/rca-agent/reports?namespace=default&status=completed");
    let reports = get_as(&token, &reports);
    let asked = json!({"reportId": reports.unwrap()["reports"][0]["reportId"],
        "messages": [{"role": "user", "content": "Why?"}]});
    let chat = format!("{agent}/v1alpha1/rca-agent/chat");
    let refused = post_as(&token, &chat, &asked).unwrap_err();
    assert!(refused.contains("503") && refused.contains("rca-agent-secret"), "{refused}");

    let mut screens = vec![
        ("projects", format!("{origin}/")),
        ("environments", format!("{origin}/environments")),
        ("agents", format!("{origin}/agents")),
        ("nothing", format!("{origin}/nothing")),
        ("project", project.to_owned()),
        ("incidents", format!("{project}/incidents")),
        ("incident", incident),
        ("deploy", format!("{project}/deploy")),
        ("break", format!("{project}/break")),
        ("checkout", checkout.clone()),
        ("trace", trace),
    ];
    for tab in ["releases", "metrics", "traces", "calls", "events", "logs"] {
        screens.push((tab, format!("{checkout}/{tab}")));
    }
    let mut wrong = Vec::new();
    for (name, address) in &screens {
        for width in [1280, 390] {
            browser.resize(width, 900);
            browser.open(address);
            browser.hold_still();
            let mut found = browser.violations(&clients);
            if width == 1280 {
                let missed = browser.beyond_keyboard();
                found.extend(
                    missed.into_iter().map(|what| format!("not reached by keyboard: {what}")),
                );
            }
            let sized = "const bytes = performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'))
                    .reduce((sum, one) => sum + (one.decodedBodySize || 0), 0);
                return [bytes, document.documentElement.scrollWidth - document.documentElement.clientWidth];";
            let sized = browser.script(sized).unwrap();
            if sized[0].as_u64() > Some(FIRST_SCREEN) || sized[1].as_i64() > Some(0) {
                found.push(format!("bytes and what is too wide: {sized}"));
            }
            wrong.extend(found.into_iter().map(|what| format!("{name} at {width}: {what}")));
            shoot(&browser, &format!("{name}-{width}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    drop(browser);
    instance.curtain(&["demo", "remove", "shop"]).success();
    instance.down();
}

#[test]
fn a_person_edits_a_proposed_value_and_that_is_what_is_applied() {
    let instance = Instance::up();
    instance.curtain(&["demo", "deploy", "shop"]).success();
    instance.curtain(&["demo", "break", "stock", "--fault", "memory-leak"]).success();
    let browser = Browser::start();
    let link = instance.curtain(&["open", "--print"]).success();
    browser.open(link.trim());
    let mut incident = None;
    eventually("an incident of what ran out of memory", Duration::from_secs(90), || {
        let of_stock = "return [...document.querySelectorAll('.rail li a')]
            .find(one => /^stock: failure/.test(one.innerText))?.href";
        incident = browser.script(of_stock)?.as_str().map(str::to_owned);
        if incident.is_some() { Ok(()) } else { Err(browser.text()) }
    });
    browser.open(&incident.unwrap());
    // The report comes by itself; of what it proposes, a limit can be edited.
    let field = "form.values input[data-value]";
    let proposed = format!("return document.querySelector({field:?})?.value");
    let mut limit = None;
    eventually("a proposed limit", Duration::from_secs(60), || {
        limit = browser.script(&proposed)?.as_str().map(str::to_owned);
        if limit.is_some() { Ok(()) } else { Err(browser.text()) }
    });
    assert_ne!(limit.as_deref(), Some("99Mi"), "the edited value is another one");
    browser.fill(field, "99Mi");
    browser.click("form.values:has(input[data-value]) button");
    browser.wait_for("with other values than proposed");
    // The other proposal was one of the binding as it was.
    browser.wait_for("it is out of date");
    shoot(&browser, "edited");
    let path = "jsonpath={.spec.componentTypeEnvironmentConfigs.resources.limits.memory}";
    let get = ["get", "releasebinding", "stock-development", "-o", path];
    assert_eq!(instance.kubectl("kubectl-1.37", &get).success().trim(), "99Mi");
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
