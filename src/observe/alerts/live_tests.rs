//! Rules in a cluster: followed, evaluated, told of, and reported on, with a restart in between.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use curtain_platform::types::{Kind, ObservabilityAlertRule, crd};
use curtain_role::Shutdown;
use http::StatusCode;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Store;
use super::engine::Engine;
use super::measure::Measure;
use super::notify::tests::receiver;
use super::notify::{Courier, Directory};
use super::rule::Facts;
use super::testing::{object, open};
use crate::NAMESPACE;
use crate::asked::{Page, Place};
use crate::collector::tests::cluster;
use crate::database::DatabaseError;

/// How long anything may take before the test calls it broken.
const LIMIT: Duration = Duration::from_secs(20);

/// A number that the test sets.
#[derive(Clone, Debug, Default)]
struct Dial(Arc<AtomicI64>);

impl Measure for Dial {
    fn offers(&self, rule: &Facts) -> Result<(), String> {
        if rule.source == "log" { Ok(()) } else { Err("no such number".into()) }
    }

    fn value(&self, _: &Facts, _: (i64, i64)) -> Result<Option<f64>, DatabaseError> {
        Ok(Some(self.0.load(Ordering::SeqCst) as f64))
    }

    fn watched(&self) -> Option<(i64, i64)> {
        Some((0, i64::MAX))
    }
}

/// Evaluates and tells until the shutdown that it returns.
fn start(directory: &Path, client: &Client, dial: &Dial) -> (Store, Shutdown) {
    let (store, shutdown, news) = (open(directory), Shutdown::default(), Arc::new(Notify::new()));
    let engine = Engine {
        store: store.clone(),
        measure: dial.clone(),
        client: client.clone(),
        suppression: Duration::from_secs(300),
        rca: false,
        news: news.clone(),
    };
    tokio::spawn(engine.run(shutdown.clone()));
    let courier = Courier::new(store.clone(), Directory::new(client.clone()), None, news);
    tokio::spawn(courier.run(shutdown.clone()));
    (store, shutdown)
}

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "{what} takes too long");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn everything() -> Page {
    let place = Place { namespace: "default".into(), ..Place::default() };
    Page { place, between: (0, i64::MAX), limit: 100, newest_first: false }
}

fn typed<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("an object")
}

async fn prepare(client: &Client, url: &str) -> Api<ObservabilityAlertRule> {
    let create = PostParams::default();
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let definition = typed(crd(ObservabilityAlertRule::INFO));
    crds.create(&create, &definition).await.expect("creates");
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for name in ["dp-shop", NAMESPACE] {
        let namespace = typed(json!({"metadata": {"name": name}}));
        namespaces.create(&create, &namespace).await.expect("creates");
    }
    let configs: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
    let config = json!({"metadata": {"name": "default.ops"}, "data": {"type": "webhook", "webhook.url": url}});
    configs.create(&create, &typed(config)).await.expect("creates");
    let rules: Api<ObservabilityAlertRule> = Api::namespaced(client.clone(), "dp-shop");
    until("serving rules", async || rules.list(&ListParams::default()).await.ok()).await;
    rules
}

#[tokio::test]
async fn a_rule_is_evaluated_told_of_and_over_across_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let stop = CancellationToken::new();
    let server = cluster(directory.path(), stop.clone()).await;
    let client = server.local_client("test", &["system:masters"]);
    let (url, received) = receiver(StatusCode::OK).await;
    let rules = prepare(&client, &url).await;
    let dial = Dial::default();
    let (store, shutdown) = start(directory.path(), &client, &dial);

    let condition = json!({"window": "2s", "interval": "1s", "operator": "gt", "threshold": 2});
    let mut rule = object(&json!({"condition": condition}));
    rule.metadata.generation = None;
    rules.create(&PostParams::default(), &rule).await.expect("creates");
    let mut metric = rule.clone();
    metric.metadata.name = Some("cart-costs".into());
    metric.spec.source = typed(json!({"type": "budget"}));
    rules.create(&PostParams::default(), &metric).await.expect("creates");
    for (name, phase) in [("cart-errors", "Ready"), ("cart-costs", "Error")] {
        until(name, async || {
            let status = rules.get(name).await.expect("reads").status?;
            (status.phase.as_deref() == Some(phase)).then_some(())
        })
        .await;
    }

    dial.0.store(5, Ordering::SeqCst);
    let told = || received.lock().expect("lock").clone();
    until("the first notification", async || (!told().is_empty()).then_some(())).await;
    assert_eq!(told()[0].1["alertName"], "errors");
    // What is not noted yet would be told again by the next one, rather than not at all.
    until("the note of it", async || {
        let found = store.deliveries(&everything()).expect("finds").rows;
        found.iter().all(|one| one.state == "delivered").then_some(())
    })
    .await;
    assert_eq!(store.incidents(&everything()).expect("finds").rows[0].status, "active");
    shutdown.trigger();
    drop(store);

    // Another process: it knows the alert, and ends it.
    let (store, shutdown) = start(directory.path(), &client, &dial);
    dial.0.store(0, Ordering::SeqCst);
    until("the end of the incident", async || {
        let found = store.incidents(&everything()).expect("finds").rows;
        (found[0].status == "resolved").then_some(())
    })
    .await;
    assert_eq!(store.alerts(&everything()).expect("finds").total, 1);
    assert_eq!(told().len(), 1, "a webhook without a format is told of beginnings");

    // A changed rule is looked at at once, and takes its alert along when it goes.
    dial.0.store(1, Ordering::SeqCst);
    let change = json!({"spec": {"condition": {"threshold": 0, "window": "1h", "interval": "1h"}}});
    let change = kube::api::Patch::Merge(change);
    rules.patch("cart-errors", &Default::default(), &change).await.expect("changes");
    until("the second notification", async || (told().len() == 2).then_some(())).await;
    rules.delete("cart-errors", &DeleteParams::default()).await.expect("deletes");
    until("the end of the second incident", async || {
        let found = store.incidents(&everything()).expect("finds").rows;
        (found.len() == 2 && found[1].notes.contains("the rule is gone")).then_some(())
    })
    .await;
    shutdown.trigger();
    stop.cancel();
}
