//! Attachment, precedence and statuses.

use http::{HeaderMap, Method};
use serde_json::json;

use super::super::router::Asked;
use super::*;

/// The port of the backend that a request would go to, or what stands instead.
fn goes_to(
    world: &World,
    method: &str,
    url: &str,
    headers: &[(&'static str, &'static str)],
) -> String {
    let compiled = compiled(world);
    let (host, rest) = url.split_once('/').unwrap();
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    let headers: HeaderMap = headers
        .iter()
        .map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap()))
        .collect::<Vec<(http::HeaderName, _)>>()
        .into_iter()
        .collect();
    let path = format!("/{path}");
    let method: Method = method.parse().unwrap();
    let asked = Asked { host, path: &path, query, method: &method, headers: &headers };
    let Some(entry) = compiled.router.ports[&80].find(&asked) else { return "none".to_owned() };
    match entry.rule.backend(0).map(|backend| backend.target.as_ref()) {
        Some(Some(target)) => target.port.to_string(),
        Some(None) => "unresolved".to_owned(),
        None => "no backend".to_owned(),
    }
}

fn to(port: u16) -> Value {
    json!([{"name": format!("s{port}"), "port": port}])
}

fn with_services(mut world: World) -> World {
    for port in 1..10 {
        add_service(&mut world, "app", &format!("s{port}"), port);
    }
    world
}

#[test]
fn the_more_precise_match_wins() {
    let mut world = with_services(world(open_listener(80)));
    add_route(&mut world, "any", json!({"rules": [{"backendRefs": to(1)}]}));
    add_route(
        &mut world,
        "wild",
        json!({"hostnames": ["*.x.y"], "rules": [{"backendRefs": to(2)}]}),
    );
    add_route(
        &mut world,
        "exact",
        json!({"hostnames": ["a.x.y"], "rules": [
            {"matches": [{"path": {"value": "/p"}}], "backendRefs": to(3)},
            {"matches": [{"path": {"type": "PathPrefix", "value": "/p/q/"}}], "backendRefs": to(4)},
            {"matches": [{"path": {"type": "Exact", "value": "/p/q/r"}}], "backendRefs": to(5)},
            {"matches": [{"path": {"value": "/p"}, "method": "POST"}], "backendRefs": to(6)},
            {"matches": [{"path": {"value": "/p"}, "headers": [{"name": "X-V", "value": "2"}]}], "backendRefs": to(7)},
            {"matches": [{"path": {"value": "/p"}, "queryParams": [{"name": "v", "value": "2"}]}], "backendRefs": to(8)},
        ]}),
    );
    let get = |url| goes_to(&world, "GET", url, &[]);
    assert_eq!(get("a.x.y/p"), "3");
    assert_eq!(get("a.x.y/p/x"), "3");
    assert_eq!(get("a.x.y/p/q"), "4");
    assert_eq!(get("a.x.y/p/q/r"), "5");
    assert_eq!(get("a.x.y/p/q/r/s"), "4");
    assert_eq!(get("a.x.y/p?v=2"), "8");
    assert_eq!(
        goes_to(&world, "POST", "a.x.y/p?v=2", &[("x-v", "2")]),
        "6",
        "method before header"
    );
    assert_eq!(goes_to(&world, "GET", "a.x.y/p?v=2", &[("x-v", "2")]), "7", "header before query");
    assert_eq!(get("b.x.y/p"), "2");
    assert_eq!(get("a.x.y/other"), "2", "the wildcard takes what the exact host leaves");
    assert_eq!(get("elsewhere/"), "1");
}

#[test]
fn the_older_route_wins_a_tie() {
    let mut world = with_services(world(open_listener(80)));
    for (name, port, day) in [("a-new", 1, "02"), ("b-old", 2, "01")] {
        add_route(
            &mut world,
            name,
            json!({"hostnames": ["h"], "rules": [{"backendRefs": to(port)}]}),
        );
        let route = world.routes.get_mut(&Key::new("app", name)).unwrap();
        let time = format!("\"2026-01-{day}T00:00:00Z\"");
        route.metadata.creation_timestamp = serde_json::from_str(&time).unwrap();
    }
    assert_eq!(goes_to(&world, "GET", "h/", &[]), "2");
}

#[test]
fn listeners_decide_who_attaches() {
    let listeners = json!([
        {"name": "same", "port": 80, "protocol": "HTTP"},
        {"name": "label", "port": 81, "protocol": "HTTP", "hostname": "*.apps", "allowedRoutes":
            {"namespaces": {"from": "Selector", "selector": {"matchLabels": {"kind": "apps"}}}}},
        {"name": "tls", "port": 443, "protocol": "HTTPS"},
    ]);
    let parent = |section: &str| json!([{"name": "gateway-default", "namespace": "plane", "sectionName": section}]);
    let mut world = with_services(world(listeners));
    let labels = BTreeMap::from([("kind".to_owned(), "apps".to_owned())]);
    world.namespaces.insert(Key::new("", "app"), labels);
    let rules = json!([{"backendRefs": to(1)}]);
    let routes = [
        ("other-namespace", parent("same"), json!(["a"])),
        ("other-host", parent("label"), json!(["a.b"])),
        ("unknown", parent("nope"), json!(["a"])),
        ("fits", parent("label"), json!(["a.apps", "b.c"])),
        ("bad-protocol", parent("tls"), json!(["a"])),
    ];
    for (name, parents, hosts) in routes {
        add_route(
            &mut world,
            name,
            json!({"parentRefs": parents, "hostnames": hosts, "rules": rules}),
        );
    }
    let statuses = statuses(&world);
    let accepted =
        |name: &str| condition(&statuses[&format!("route {name}")][0]["conditions"], "Accepted");
    assert_eq!(accepted("other-namespace"), "False NotAllowedByListeners");
    assert_eq!(accepted("other-host"), "False NoMatchingListenerHostname");
    assert_eq!(accepted("unknown"), "False NoMatchingParent");
    assert_eq!(accepted("fits"), "True Accepted");
    assert_eq!(accepted("bad-protocol"), "False NotAllowedByListeners");

    let gateway = &statuses["gateway gateway-default"];
    assert_eq!(condition(&gateway["conditions"], "Accepted"), "True ListenersNotValid");
    let [same, label, tls] = gateway["listeners"].as_array().unwrap().as_slice() else { panic!() };
    assert_eq!((&same["attachedRoutes"], &label["attachedRoutes"]), (&json!(0), &json!(1)));
    assert_eq!(condition(&label["conditions"], "Programmed"), "True Programmed");
    assert_eq!(condition(&tls["conditions"], "Accepted"), "False UnsupportedProtocol");
    assert_eq!(condition(&tls["conditions"], "Programmed"), "False Invalid");
}

#[test]
fn backends_that_do_not_resolve_are_told_apart() {
    let mut world = with_services(world(open_listener(80)));
    add_service(&mut world, "other", "far", 9);
    let rule = |backend: Value| json!({"hostnames": ["h"], "rules": [{"backendRefs": [backend]}]});
    add_route(&mut world, "missing", rule(json!({"name": "nope", "port": 1})));
    add_route(&mut world, "port", rule(json!({"name": "s1", "port": 99})));
    add_route(&mut world, "kind", rule(json!({"name": "x", "kind": "Bucket", "group": "y"})));
    add_route(&mut world, "far", rule(json!({"name": "far", "namespace": "other", "port": 9})));
    add_route(&mut world, "fine", rule(json!({"name": "s1", "port": 1})));
    let resolved = |world: &World, name: &str| {
        condition(&statuses(world)[&format!("route {name}")][0]["conditions"], "ResolvedRefs")
    };
    assert_eq!(resolved(&world, "missing"), "False BackendNotFound");
    assert_eq!(resolved(&world, "port"), "False BackendNotFound");
    assert_eq!(resolved(&world, "kind"), "False InvalidKind");
    assert_eq!(resolved(&world, "far"), "False RefNotPermitted");
    assert_eq!(resolved(&world, "fine"), "True ResolvedRefs");

    let grant = json!({
        "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "app"}],
        "to": [{"group": "", "kind": "Service", "name": "far"}],
    });
    world.grants.insert(Key::new("other", "grant"), serde_json::from_value(grant).unwrap());
    assert_eq!(resolved(&world, "far"), "True ResolvedRefs");
}

#[test]
fn a_status_that_is_right_is_left_alone() {
    let mut world = with_services(world(open_listener(80)));
    add_route(&mut world, "r", json!({"hostnames": ["h"], "rules": [{"backendRefs": to(1)}]}));
    let theirs =
        json!({"parentRef": {"name": "other"}, "controllerName": "other/c", "conditions": []});
    let route = world.routes.get_mut(&Key::new("app", "r")).unwrap();
    route.status = serde_json::from_value(json!({ "parents": [theirs] })).unwrap();
    let written = statuses(&world);
    assert_eq!(written["route r"][0]["controllerName"], "other/c", "not ours, so it stays");
    assert_eq!(written.len(), 3);

    // What was written comes back by the watch.
    let route = world.routes.get_mut(&Key::new("app", "r")).unwrap();
    route.status = serde_json::from_value(json!({ "parents": written["route r"] })).unwrap();
    let gateway = world.gateways.get_mut(&gateway_key()).unwrap();
    gateway.status = serde_json::from_value(written["gateway gateway-default"].clone()).unwrap();
    let class = world.classes.get_mut(&Key::new("", "curtain")).unwrap();
    class.status =
        serde_json::from_value(json!({ "conditions": written["class curtain"] })).unwrap();
    assert_eq!(statuses(&world), BTreeMap::new());

    // A route that turns away from us takes our part of its status along.
    let route = world.routes.get_mut(&Key::new("app", "r")).unwrap();
    route.spec.parent_refs.clear();
    assert_eq!(statuses(&world)["route r"].as_array().unwrap().len(), 1);
}

#[test]
fn a_gateway_of_another_class_is_not_ours() {
    let mut world = world(open_listener(80));
    world.classes.clear();
    assert!(statuses(&world).is_empty());
}
