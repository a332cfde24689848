//! The tabs of a component that show what the observer knows.

use super::{Browser, GREETER};
use http::StatusCode;
use serde_json::{Value, json};

fn observe(browser: &Browser, path: &str, answer: Value) {
    browser.wire.observed.lock().unwrap().insert(path.to_owned(), answer);
}

/// A series of two points in the last minutes.
fn series(values: [f64; 2]) -> Value {
    let now = jiff::Timestamp::now();
    let point = |(index, value): (usize, f64)| {
        let age = jiff::SignedDuration::from_secs(120 - 60 * index as i64);
        json!({"timestamp": now.checked_sub(age).unwrap().to_string(), "value": value})
    };
    values.into_iter().enumerate().map(point).collect()
}

#[tokio::test]
async fn metrics_are_charts_with_their_numbers_for_an_environment_and_a_time() {
    let browser = Browser::signed_in().await;
    let page = browser.page(&format!("{GREETER}/metrics")).await;
    assert!(page.contains("There are no resources to show: you need &lt;more&gt; there"), "{page}");

    let used = json!({"cpuUsage": series([0.010, 0.020]), "cpuLimits": series([0.5, 0.5])});
    let http = json!({"requestCount": series([30.0, 60.0]), "latencyP99": series([0.1, 0.25]),
        "unsuccessfulRequestCount": series([15.0, 45.0]), "failedRequestCount": series([0.0, 15.0]),
        "tracedRequestCount": series([0.0, 60.0])});
    observe(&browser, "/api/v1/metrics/queryresource", used);
    observe(&browser, "/api/v1/metrics/queryhttp", http);
    let page = browser.page(&format!("{GREETER}/metrics?env=development&range=15m")).await;
    assert!(page.contains("used between 10 m and 20 m, last 20 m; limit between 500 m"), "{page}");
    // Fifteen-second steps.
    assert!(page.contains("all between 2/s and 4/s, last 4/s"), "{page}");
    // As in the picture of calls: who was refused was wrong itself.
    assert!(page.contains("failed between 0/s and 1/s, last 1/s"), "{page}");
    assert!(page.contains("refused between 1/s and 2/s, last 2/s"), "{page}");
    // The header is the same on each tab.
    assert!(page.contains("<code>ghcr.io/example/greeter:1.4.2</code>"), "{page}");
    assert!(page.contains("p99 between 100 ms and 250 ms"), "{page}");
    assert!(page.contains("are known from spans alone"), "{page}");
    assert!(page.contains("metrics?env=development&amp;range=7d\""), "another time is a link");
    assert!(page.contains("metrics?env=staging&amp;range=15m\""), "another place is a link");
    assert!(page.len() < 150_000, "{} bytes", page.len());

    let part = page.split("data-fetch=\"").nth(1).unwrap().split('"').next().unwrap();
    let part = browser.page(&part.replace("&amp;", "&")).await;
    assert!(part.starts_with("<section") && part.contains("last 20 m"), "{part}");
    let elsewhere = browser.page(&format!("{GREETER}/metrics?env=staging")).await;
    assert!(elsewhere.contains("Nothing was measured"), "{elsewhere}");
}

#[tokio::test]
async fn a_trace_is_a_waterfall_of_its_spans() {
    let browser = Browser::signed_in().await;
    let path = "/api/v1alpha1/traces/query";
    observe(&browser, path, json!({"traces": []}));
    let page = browser.page(&format!("{GREETER}/traces")).await;
    assert!(page.contains("opentelemetry-collector"), "what to do is said: {page}");
    let trace = json!({"traceId": "ab12", "traceName": "GET <x>", "spanCount": 2, "hasErrors": true,
        "startTime": "2026-11-22T13:00:00Z", "durationNs": 120_000_000});
    observe(&browser, path, json!({"traces": [trace]}));
    let page = browser.page(&format!("{GREETER}/traces?env=development&range=1h")).await;
    let link = format!("{GREETER}/traces/ab12?env=development&range=1h");
    assert!(page.contains(&link.replace('&', "&amp;")) && page.contains("GET &lt;x&gt;"), "{page}");
    assert!(page.contains("120 ms") && page.contains("Failed"), "{page}");

    let span = |id: &str, parent: &str, start: &str, took: u64, code: &str| {
        json!({"spanId": id, "parentSpanId": parent, "spanName": id, "startTime": start,
            "durationNs": took, "status": {"code": code, "message": ""},
            "attributes": {"http.route": "/<x>"},
            "resourceAttributes": {"openchoreo.dev/component": "greeter"}})
    };
    let spans = json!({"spans": [
        span("child", "top", "2026-11-22T13:00:00.050Z", 25_000_000, "error"),
        span("top", "", "2026-11-22T13:00:00Z", 100_000_000, "ok"),
    ]});
    observe(&browser, "/api/v1alpha1/traces/ab12/spans/query", spans);
    let page = browser.page(&link).await;
    let [top, child] = ["span d0", "span d1"].map(|row| page.find(row).unwrap());
    assert!(top < child && page.contains("2 spans in 100 ms, 1 of them failed"), "{page}");
    assert!(page.contains("class=\"bad\" x=\"50.00%\" width=\"25.00%\""), "{page}");
    assert!(page.contains("/&lt;x&gt;") && !page.contains("style="), "{page}");
    assert!(!page.contains("data-fetch"), "nothing is expected of what was long ago: {page}");

    let now = jiff::Timestamp::now().to_string();
    let first = span("top", "", &now, 100_000_000, "ok");
    let path = "/api/v1alpha1/traces/ab12/spans/query";
    observe(&browser, path, json!({"spans": [first]}));
    let page = browser.page(&link).await;
    assert!(page.contains("1 span in 100 ms") && !page.contains("data-done"), "{page}");
    let part = page.split("data-fetch=\"").nth(1).unwrap().split('"').next().unwrap();
    let late = span("late", "top", &now, 1_000_000, "ok");
    observe(&browser, path, json!({"spans": [first, late]}));
    let part = browser.page(&part.replace("&amp;", "&")).await;
    assert!(part.starts_with("<div") && part.contains("2 spans in 100 ms"), "{part}");

    // A page does not wait for ever: not for a trace that is not there, nor for a clock that is ahead.
    let ahead = span("top", "", "2999-01-01T00:00:00Z", 1, "ok");
    for spans in [json!([]), json!([ahead])] {
        observe(&browser, path, json!({"spans": spans}));
        let page = browser.page(&link).await;
        let part = page.split("data-fetch=\"").nth(1).unwrap().split('"').next().unwrap();
        let part = part.replace("&amp;", "&");
        assert!(!browser.page(&part).await.contains("data-done"), "{part}");
        let (address, since) = part.split_once("&since=").unwrap();
        let since: i64 = since.trim_end_matches("&part").parse().unwrap();
        let later = format!("{address}&since={}&part", since - 120);
        assert!(browser.page(&later).await.contains("data-done"), "{later}");
    }
}

#[tokio::test]
async fn older_events_are_a_link_away() {
    let browser = Browser::signed_in().await;
    let now = jiff::Timestamp::now();
    let event = |age: i64| {
        let time = now.checked_sub(jiff::SignedDuration::from_secs(age)).unwrap();
        json!({"timestamp": time.to_string(), "reason": format!("R{age}-"), "metadata": {}})
    };
    let all: Vec<Value> = (1..=51).map(event).collect();
    observe(&browser, "/api/v1/events/query", json!({"events": all}));
    let page = browser.page(&format!("{GREETER}/events?env=development")).await;
    assert!(page.contains(">R50-<") && !page.contains(">R51-<"), "{page}");
    let older = page.split("rel=\"next\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    assert!(older.contains("&amp;before=") && older.ends_with("seen=1"), "{older}");

    observe(&browser, "/api/v1/events/query", json!({"events": all[49..]}));
    let page = browser.page(&older.replace("&amp;", "&")).await;
    assert!(
        page.contains(">R51-<") && !page.contains(">R50-<"),
        "what was shown is left out: {page}"
    );
    assert!(!page.contains(">Older<") && page.contains(">Newest<"), "{page}");
    let part = page.split("data-fetch=\"").nth(1).unwrap().split('"').next().unwrap();
    assert!(part.contains("&amp;before="), "what is fetched again is the same page: {part}");
    let gone = format!("{GREETER}/events?env=development&before=2020-01-01T00:00:00Z");
    assert!(browser.page(&gone).await.contains("No older event in this time."));
}

#[tokio::test]
async fn events_and_calls_of_a_component_are_told() {
    let browser = Browser::signed_in().await;
    let event = json!({"timestamp": "2026-11-22T13:00:00Z", "type": "Warning", "reason": "BackOff",
        "message": "restarting <b>", "count": 7,
        "metadata": {"objectKind": "Pod", "objectName": "greeter-1"}});
    observe(&browser, "/api/v1/events/query", json!({"events": [event]}));
    let page = browser.page(&format!("{GREETER}/events")).await;
    for words in ["BackOff", "restarting &lt;b&gt;", "greeter-1", ">7</td>"] {
        assert!(page.contains(words), "{words}: {page}");
    }

    let node = |name: &str| json!({"kind": "component", "component": name});
    let metrics = json!({"requestCount": 900, "failedRequestCount": 90, "latencyP99": 0.2,
        "tracedRequestCount": 900});
    let calls = json!({"nodes": [], "edges": [
        {"source": node("storefront"), "target": node("greeter"), "metrics": metrics},
        {"source": node("greeter"), "target": {"kind": "external", "host": "bank.example"}, "metrics": metrics},
    ]});
    *browser.wire.topology.lock().unwrap() = calls;
    let page = browser.page(&format!("{GREETER}/calls?env=development&range=15m")).await;
    let (callers, called) = page.split_once("Whom it calls").unwrap();
    let link = "href=\"/namespaces/default/projects/shop/components/storefront\">storefront</a>";
    assert!(
        callers.contains(link)
            && callers.contains(">1.0/s</td><td data-label=\"Failed\">10 %</td>"),
        "{page}"
    );
    assert!(callers.contains(">from spans</span>"), "{page}");
    assert!(called.contains("bank.example") && called.contains("external"), "{page}");
    let missing = browser.get("/namespaces/default/projects/shop/components/none/events").await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
}
