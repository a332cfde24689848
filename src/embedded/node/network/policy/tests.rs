//! The core, asked without a network.

use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::Pod as CorePod;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use serde_json::{Value, json};

use super::cases::{self, Want};
use super::*;
use crate::node::network::affinity::Affinity;
use crate::node::network::decide::{self, Destination, Spread};
use crate::node::network::index::Key;
use crate::node::network::pods::PodIdentity;
use crate::node::network::samples;

fn object(value: Value) -> CorePod {
    serde_json::from_value(value).unwrap()
}

fn policy(value: Value) -> Policy {
    Policy::of(&serde_json::from_value::<NetworkPolicy>(value).unwrap())
}

/// The pods of the table, attached.
fn rules() -> Rules {
    let mut rules = Rules::default();
    for (name, key, value) in cases::NAMESPACES {
        let own = [("kubernetes.io/metadata.name".to_owned(), name.to_owned())];
        rules.put_namespace(name, own.into_iter().chain([(key.into(), value.into())]).collect());
    }
    for who in &cases::PODS {
        rules.put_pod(&object(cases::pod(who)));
        let ip = Ipv4Addr::new(10, 244, 0, who.2);
        let (uid, namespace) = (who.0.to_owned(), who.1.to_owned());
        rules.attach(&PodIdentity { uid, namespace, name: who.0.into(), ip });
    }
    rules
}

fn add(rules: &mut Rules, name: &str, value: &Value) {
    let namespace = value["metadata"]["namespace"].as_str().unwrap();
    assert!(rules.put_policy(Key::new(namespace, name), policy(value.clone())));
}

fn ask(rules: &Rules, from: &str, to: &str) -> Result<(), Refusal> {
    let settings = samples::settings();
    let (source, destination, protocol) = match (from, to) {
        ("host", "door" | "nodeport") => {
            let web = Destination::Service(Key::new("shop", "web"), 80);
            (Source::Host, web, Protocol::Tcp)
        }
        _ => {
            let (protocol, address) = cases::target(to);
            let who = cases::PODS.iter().find(|who| who.0 == from);
            let source =
                who.map_or(Source::Host, |who| Source::Pod(Ipv4Addr::new(10, 244, 0, who.2)));
            (source, Destination::Address(address), protocol)
        }
    };
    let spread = Spread { turn: 0, affinity: &Affinity::default() };
    let lives = |ip| rules.pod(ip).is_some();
    let index = samples::index();
    let route =
        decide::decide(&settings, &index, source, &destination, protocol, spread, lives).unwrap();
    verdict::verdict(rules, &settings, source, route, protocol)
}

#[test]
fn policies_mean_what_the_table_says() {
    let (mut wrong, mut asked) = (Vec::new(), 0);
    for world in cases::worlds() {
        let mut rules = rules();
        for (nth, policy) in world.policies.iter().enumerate() {
            add(&mut rules, &nth.to_string(), policy);
        }
        for (from, to, want) in world.cases {
            let expected = match want {
                Want::Through => Ok(()),
                Want::NotOut => Err(Refusal::EgressDenied),
                Want::NotIn => Err(Refusal::IngressDenied),
            };
            let verdict = ask(&rules, from, to);
            if verdict != expected {
                wrong.push(format!("{}: {from} to {to}: {verdict:?}", world.name));
            }
            asked += 1;
        }
    }
    assert!(wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(asked >= 120, "{asked}");
}

/// A policy that lets only `app` in to everybody in the shop.
fn only(app: &str) -> Value {
    json!({"metadata": {"namespace": "shop"}, "spec": {"podSelector": {},
        "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": app}}}]}]}})
}

#[test]
fn what_changes_changes_the_verdict() {
    let mut rules = rules();
    assert_eq!(ask(&rules, "front", "api:8080"), Ok(()));
    let denied = Err(Refusal::IngressDenied);
    add(&mut rules, "only", &only("db"));
    assert_eq!([ask(&rules, "front", "api:8080"), ask(&rules, "db", "api:8080")], [denied, Ok(())]);

    // The same again is nothing new; another takes its place.
    assert!(!rules.put_policy(Key::new("shop", "only"), policy(only("db"))));
    add(&mut rules, "only", &only("front"));
    assert_eq!([ask(&rules, "front", "api:8080"), ask(&rules, "db", "api:8080")], [Ok(()), denied]);

    // A pod becomes another by its labels, as a peer and as one that is selected.
    let mut db = cases::pod(&cases::PODS[2]);
    db["metadata"]["labels"]["app"] = "front".into();
    assert!(rules.put_pod(&object(db.clone())));
    assert!(!rules.put_pod(&object(db)), "nothing of it is news");
    assert_eq!(ask(&rules, "db", "api:8080"), Ok(()));
    let mut api = cases::pod(&cases::PODS[1]);
    add(
        &mut rules,
        "api",
        &json!({"metadata": {"namespace": "shop"}, "spec":
        {"podSelector": {"matchLabels": {"app": "api"}}, "policyTypes": ["Egress"]}}),
    );
    assert_eq!(ask(&rules, "api", "9.9.9.9:1"), Err(Refusal::EgressDenied));
    api["metadata"]["labels"]["app"] = "open".into();
    assert!(rules.put_pod(&object(api)));
    assert_eq!(ask(&rules, "api", "9.9.9.9:1"), Ok(()));

    // And a namespace by its own.
    add(
        &mut rules,
        "only",
        &json!({"metadata": {"namespace": "shop"}, "spec": {"podSelector": {},
        "ingress": [{"from": [{"namespaceSelector": {"matchLabels": {"team": "green"}}}]}]}}),
    );
    assert_eq!(ask(&rules, "guest", "api:8080"), denied);
    assert!(rules.put_namespace("guests", [("team".to_owned(), "green".to_owned())].into()));
    assert_eq!(ask(&rules, "guest", "api:8080"), Ok(()));

    // When it is gone, so is what it forbade.
    assert!(rules.remove_policy(&Key::new("shop", "only")));
    assert!(rules.retain_policies(&std::collections::HashSet::new()));
    assert!(!rules.retain_policies(&std::collections::HashSet::new()));
    assert!(rules.is_empty());
    assert_eq!(ask(&rules, "front", "api:8080"), Ok(()));
}

#[test]
fn a_pod_is_judged_from_its_first_connection_to_its_last() {
    let mut rules = rules();
    add(&mut rules, "only", &only("front"));
    let ip = Ipv4Addr::new(10, 244, 0, 99);
    let identity = |uid: &str| PodIdentity {
        uid: uid.into(),
        namespace: "shop".into(),
        name: "late".into(),
        ip,
    };
    let settings = samples::settings();
    let into = |rules: &Rules| {
        let route = Route::Pod(std::net::SocketAddrV4::new(ip, 80));
        let source = Source::Pod(Ipv4Addr::new(10, 244, 0, 6));
        verdict::verdict(rules, &settings, source, route, Protocol::Tcp)
    };
    // Attached before its object was heard of: its namespace is known, and its labels are none.
    rules.attach(&identity("one"));
    assert_eq!(into(&rules), Err(Refusal::IngressDenied));
    // The object goes first: it stays what it was while it runs.
    let mut late = cases::pod(&cases::PODS[2]);
    late["metadata"]["uid"] = "one".into();
    rules.put_pod(&object(late));
    rules.remove_pod("one");
    assert_eq!(into(&rules), Err(Refusal::IngressDenied));
    // Another has its address by the time it is let go.
    rules.attach(&identity("two"));
    rules.detach("one");
    assert!(rules.pod(ip).is_some());
    rules.detach("two");
    assert!(rules.pod(ip).is_none());
    // What is never attached, as on the host's network, leaves nothing behind.
    let mut host = cases::pod(&cases::PODS[2]);
    host["metadata"]["uid"] = "host".into();
    rules.put_pod(&object(host));
    rules.remove_pod("host");
    assert_eq!(rules.known_pods(), cases::PODS.len());
}

#[test]
fn without_policies_nothing_is_told_to_connections() {
    let policies = Policies::default();
    let mut changes = policies.changes();
    let who = object(cases::pod(&cases::PODS[0]));
    assert!(!policies.change(|rules| rules.put_pod(&who)));
    assert!(!changes.has_changed().unwrap());
    let key = || Key::new("shop", "only");
    assert!(policies.change(|rules| rules.put_policy(key(), policy(only("x")))));
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    assert!(policies.change(|rules| rules.remove_policy(&key())));
    assert!(changes.has_changed().unwrap());
}
