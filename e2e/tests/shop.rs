//! The sample shop: bought from, broken and healed, and gone without a trace.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use curtain_e2e::{Answer, Clients, Instance, eventually, get, post_form};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(60);

fn kubectl(instance: &Instance, args: &[&str]) -> String {
    instance.kubectl(Clients::KUBECTLS[1], args).success()
}

fn binding(instance: &Instance, service: &str) -> Value {
    let name = format!("{service}-development");
    let text = kubectl(instance, &["get", "releasebinding", &name, "-o", "json"]);
    serde_json::from_str(&text).unwrap()
}

/// Puts something into a cart of its own and buys it.
fn buy(url: &str) -> Result<Answer, String> {
    let cookie = "shop=e2e";
    let added = post_form(&format!("{url}cart"), cookie, "product=moon&quantity=1")?;
    if added.status != 303 {
        return Err(format!("{added:?}"));
    }
    let form = "email=e2e%40example.org&address=Stage+door&card=4242424242424242";
    post_form(&format!("{url}checkout"), cookie, form)
}

fn sells(url: &str) {
    eventually("an order that succeeds", LIMIT, || match buy(url)? {
        answer if answer.status == 200 && answer.body.contains("Thank you") => Ok(()),
        answer => Err(format!("{answer:?}")),
    });
}

/// Until an order fails with `status` and says `why`.
fn fails(url: &str, status: u16, why: &str) {
    eventually(why, LIMIT, || match buy(url)? {
        answer if answer.status == status && answer.body.contains(why) => Ok(()),
        answer => Err(format!("{answer:?}")),
    });
}

/// The policies of its components let in who has to come: the gateway, each other, and who reads their numbers.
fn nobody_is_kept_out(instance: &Instance, cell: &str) {
    let policies = kubectl(instance, &["get", "networkpolicies", "-n", cell, "-o", "name"]);
    assert_eq!(policies.lines().count(), 2 * 11, "of each component and its numbers: {policies}");
    let node = kubectl(instance, &["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"]);
    let page = format!("/api/v1/nodes/{node}/proxy/flows");
    eventually("the collector reads the numbers of a pod that no gateway reaches", LIMIT, || {
        let flows: Value =
            serde_json::from_str(&kubectl(instance, &["get", "--raw", &page])).unwrap();
        let ended = flows["flows"].as_array().unwrap();
        let denied: Vec<_> = ended.iter().filter(|flow| flow["verdict"] == "denied").collect();
        assert!(denied.is_empty(), "{denied:?}");
        let by = |flow: &&Value, end: &str, name: &str| {
            flow[end]["name"].as_str().is_some_and(|pod| pod.starts_with(name))
        };
        let mut forwarded = ended.iter().chain(flows["open"].as_array().unwrap());
        let read = forwarded.any(|flow| {
            flow["verdict"] == "forwarded"
                && by(&flow, "source", "collector-")
                && by(&flow, "destination", "catalog-")
        });
        if read { Ok(()) } else { Err(format!("{} flows", ended.len())) }
    });
}

#[test]
fn the_shop_sells_breaks_heals_and_goes() {
    let instance = Instance::up();
    let up: Value =
        serde_json::from_str(&instance.curtain(&["up", "--demo", "-o", "json"]).success()).unwrap();
    assert_eq!(up["demo"]["name"], "shop");
    let url = instance.curtain(&["demo", "deploy", "shop"]).success();
    let url = url.trim();
    assert_eq!(up["demo"]["url"], url, "again is no other than once");
    let home = get(url).unwrap();
    assert!(home.status == 200 && home.body.contains("Paper moon"), "{home:?}");
    sells(url);

    // Its visitors buy, too.
    let selector = "openchoreo.dev/project=shop,openchoreo.dev/environment=development";
    let cell = kubectl(&instance, &["get", "namespace", "-l", selector, "-o", "name"]);
    let cell = cell.trim().trim_start_matches("namespace/").to_owned();
    let label = "openchoreo.dev/component=web";
    eventually("two visitors who bought something", LIMIT, || {
        let lines = kubectl(&instance, &["logs", "-n", &cell, "-l", label, "--tail=-1"]);
        let orders = lines.lines().filter(|line| line.contains("POST /checkout 200")).count();
        // One was ours.
        if orders > 2 { Ok(()) } else { Err(format!("{orders} orders")) }
    });
    let pods = kubectl(&instance, &["get", "pods", "-n", &cell, "-o", "json"]);
    let pods: Value = serde_json::from_str(&pods).unwrap();
    let pods = pods["items"].as_array().unwrap();
    assert_eq!(pods.len(), 11);
    for pod in pods {
        assert_eq!(pod["metadata"]["annotations"]["prometheus.io/port"], "9090", "{pod}");
    }

    nobody_is_kept_out(&instance, &cell);

    // A bad setting, found where anybody would look for it.
    let before = binding(&instance, "checkout");
    let broken = instance.curtain(&["demo", "break", "checkout", "-o", "json"]).success();
    let broken: Value = serde_json::from_str(&broken).unwrap();
    assert_eq!(broken["fault"]["name"], "bad-config");
    let overrides =
        &binding(&instance, "checkout")["spec"]["workloadOverrides"]["container"]["env"];
    assert_eq!(*overrides, json!([{ "key": "TAX_PERCENT", "value": "nineteen" }]));
    fails(url, 502, "TAX_PERCENT is");
    let other = instance.curtain(&["demo", "break", "checkout", "--fault", "latency"]);
    assert!(other.code != 0 && other.stderr.contains("demo heal checkout"), "{other:?}");
    instance.curtain(&["demo", "heal", "checkout"]).success();
    let after = binding(&instance, "checkout");
    assert_eq!(after["spec"], before["spec"]);
    assert_eq!(after["metadata"]["annotations"], before["metadata"]["annotations"]);
    sells(url);

    // Two at once, of which the certificate is met first.
    instance.curtain(&["demo", "break", "payment"]).success();
    instance.curtain(&["demo", "break", "mail"]).success();
    fails(url, 503, "expired");
    instance.curtain(&["demo", "heal", "payment"]).success();
    fails(url, 503, "the queue is full");
    // A release whose image does not exist: the old one serves on, and healing brings back what was.
    let image = ["get", "workload", "prices", "-o", "jsonpath={.spec.container.image}"];
    let good = kubectl(&instance, &image);
    instance.curtain(&["demo", "break", "prices", "--fault", "bad-image"]).success();
    eventually("a pod without an image", LIMIT, || {
        let pods = kubectl(&instance, &["get", "pods", "-n", &cell]);
        let is_waiting = pods.contains("ErrImagePull") || pods.contains("ImagePullBackOff");
        if is_waiting { Ok(()) } else { Err(pods) }
    });
    let healed = instance.curtain(&["demo", "heal", "-o", "json"]).success();
    let healed: Value = serde_json::from_str(&healed).unwrap();
    assert_eq!(healed["healed"].as_array().unwrap().len(), 2, "{healed}");
    assert_eq!(kubectl(&instance, &image), good);
    sells(url);

    instance.curtain(&["demo", "remove", "shop"]).success();
    for kind in ["components", "workloads", "releasebindings"] {
        assert_eq!(kubectl(&instance, &["get", kind, "-A", "-o", "name"]), "", "{kind} are left");
    }
    let left = kubectl(&instance, &["get", "projects,renderedreleases", "-A", "-o", "name"]);
    assert!(!left.contains("shop"), "{left}");
    eventually("the end of the shop's pods", LIMIT, || {
        let pods = kubectl(
            &instance,
            &["get", "pods", "-A", "-l", "openchoreo.dev/project=shop", "-o", "name"],
        );
        if pods.is_empty() { Ok(()) } else { Err(pods) }
    });
    instance.down();
}
