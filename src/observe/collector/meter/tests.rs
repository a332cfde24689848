//! From a node's answers to the observer's store, with a server in the place of the cluster.

use std::sync::Mutex;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use curtain_role::{listen, serve};
use serde_json::{Value, json};

use super::*;
use crate::asked::Place;
use crate::database::Retention;
use crate::metrics::Store;
use crate::metrics::wire::Batch;

/// What the node says next, and whether the observer takes anything.
#[derive(Default)]
struct World {
    summary: Value,
    traffic: Option<String>,
    page: String,
    away: bool,
    asked: u32,
}

type Shared = Arc<(Mutex<World>, Store)>;

fn change<T>(world: &Shared, change: impl FnOnce(&mut World) -> T) -> T {
    change(&mut world.0.lock().expect("lock"))
}

async fn node(
    State(world): State<Shared>,
    Path((_, page)): Path<(String, String)>,
) -> (StatusCode, String) {
    change(&world, |world| match page.as_str() {
        "stats/summary" => (StatusCode::OK, world.summary.to_string()),
        _ => {
            world.asked += 1;
            world
                .traffic
                .clone()
                .map_or((StatusCode::NOT_FOUND, String::new()), |text| (StatusCode::OK, text))
        }
    })
}

async fn take(State(world): State<Shared>, body: Bytes) -> StatusCode {
    if change(&world, |world| world.away) {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let batch: Batch = serde_json::from_slice(&body).expect("a batch");
    world.1.ingest(&batch, batch.time).expect("stores");
    StatusCode::OK
}

struct Lab {
    world: Shared,
    meter: Meter,
    pods: Pods,
    port: u16,
    shutdown: Shutdown,
    _directory: tempfile::TempDir,
}

async fn lab() -> Lab {
    let directory = tempfile::tempdir().expect("a directory");
    let store =
        Store::open(&directory.path().join("metrics.db"), Retention::default()).expect("opens");
    let world: Shared = Arc::new((Mutex::default(), store));
    let page =
        |State(world): State<Shared>| async move { change(&world, |world| world.page.clone()) };
    let router = Router::new()
        .route("/api/v1/nodes/{node}/proxy/{*page}", get(node))
        .route(SAMPLES_PATH, post(take))
        .route("/metrics", get(page))
        .with_state(world.clone());
    let listener = listen(([127, 0, 0, 1], 0).into()).await.expect("binds");
    let port = listener.local_addr().expect("an address").port();
    let shutdown = Shutdown::default();
    tokio::spawn(serve(listener, router, shutdown.clone()));
    let url: http::Uri = format!("http://127.0.0.1:{port}").parse().expect("a URL");
    let client = Client::try_from(kube::Config::new(url.clone())).expect("a client");
    let token = directory.path().join("token");
    std::fs::write(&token, "t").expect("writes");
    let pods = Pods::default();
    let meter = Meter::new(client, pods.clone(), Door::new(url, token));
    Lab { world, meter, pods, port, shutdown, _directory: directory }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.shutdown.trigger();
    }
}

impl Lab {
    fn pod(&self, name: &str, labels: Value) {
        let pod = json!({"metadata": {"name": name, "namespace": "dp", "uid": name, "labels": labels,
                "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": self.port.to_string()}},
            "spec": {"nodeName": "n", "containers": [{"name": "main",
                "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "64Mi"}}}]},
            "status": {"phase": "Running", "podIP": "127.0.0.1"}});
        self.pods.apply(&serde_json::from_value(pod).expect("a Pod"));
    }

    fn component(&self, name: &str) {
        let labels = json!({"openchoreo.dev/namespace": "default", "openchoreo.dev/project": "shop",
            "openchoreo.dev/component": name, "openchoreo.dev/environment": "dev"});
        self.pod(&format!("{name}-1"), labels);
    }

    fn summary(&self, used: u64) {
        let summary = json!({"pods": [{"podRef": {"name": "cart-1", "namespace": "dp", "uid": "cart-1"},
            "cpu": {"time": used.to_string(), "usageCoreNanoSeconds": used, "usageNanoCores": 5},
            "memory": {"workingSetBytes": 1000}}]});
        change(&self.world, |world| world.summary = summary);
    }

    /// Names and values of what was stored of a component at some time.
    fn stored(&self, component: &str, time: i64) -> Vec<String> {
        let place =
            Place { namespace: "default".into(), component: component.into(), ..Place::default() };
        let mut all = self.world.1.raw(&place, time).expect("asks");
        all.sort();
        all
    }
}

fn traffic(source: &str, count: u32) -> String {
    format!(
        "curtain_http_requests_total{{source_namespace=\"dp\",source_pod=\"{source}\",destination_namespace=\"dp\",\
         destination_pod=\"cart-1\",protocol=\"http1\",method=\"GET\",route=\"/\",status=\"200\"}} {count}\n"
    )
}

#[tokio::test]
async fn what_nodes_and_programs_say_is_stored_and_waits_for_an_observer_that_is_away() {
    let mut lab = lab().await;
    lab.component("cart");
    lab.component("web");
    lab.summary(1);
    change(&lab.world, |world| {
        world.traffic = Some(traffic("web-1", 4));
        world.page = "jobs_total 5\n".into();
    });
    lab.meter.measure(1000).await;
    assert_eq!(
        lab.stored("cart", 1000),
        [
            "app:up 1",
            "cpu 5",
            "cpu_request 100000000",
            "memory 1000",
            "memory_limit 67108864",
            "memory_request 67108864",
            "ready 1"
        ]
    );
    assert_eq!(
        lab.stored("web", 1000),
        [
            "app:up 1",
            "cpu_request 100000000",
            "memory_limit 67108864",
            "memory_request 67108864",
            "ready 1"
        ]
    );

    change(&lab.world, |world| {
        world.traffic = Some(traffic("web-1", 10));
        world.page = "jobs_total 7\n".into();
        world.away = true;
    });
    lab.meter.measure(1005).await;
    assert!(lab.stored("cart", 1005).is_empty());
    change(&lab.world, |world| world.away = false);
    lab.meter.measure(1010).await;
    let missed = lab.stored("cart", 1005);
    assert!(
        missed.contains(&"http_in 6".to_owned()) && missed.contains(&"app:jobs_total 2".to_owned()),
        "{missed:?}"
    );
    assert!(!lab.stored("cart", 1010).iter().any(|line| line.starts_with("http_in")));
    assert_eq!(lab.world.1.watched(), Some((1000, 1010)), "late is not missing");
    // As many moments as are given up are missing.
    change(&lab.world, |world| world.away = true);
    for moment in 0..=waiting::WAITING as i64 {
        lab.meter.measure(1015 + moment * INTERVAL).await;
    }
    change(&lab.world, |world| world.away = false);
    lab.meter.measure(1140).await;
    assert_eq!(lab.world.1.watched(), Some((1020, 1140)));
    // A node that had answered does not.
    change(&lab.world, |world| world.summary = json!("hm"));
    lab.meter.measure(1145).await;
    assert_eq!(lab.world.1.watched(), Some((1145, 1145)));
    lab.summary(2);
    lab.meter.measure(1150).await;
    assert_eq!(lab.world.1.watched(), Some((1145, 1150)));
}

#[tokio::test]
async fn a_gateway_is_asked_only_where_no_node_sees() {
    let mut lab = lab().await;
    lab.component("cart");
    lab.pod("gw-1", json!({"openchoreo.dev/system-component": "gateway", "app.kubernetes.io/name": "gateway-default"}));
    lab.summary(1);
    let counted = |count: u32| {
        format!(
            "curtain_http_requests_total{{destination_namespace=\"dp\",destination_service=\"cart\",protocol=\"http1\",\
             method=\"GET\",route=\"/\",status=\"200\"}} {count}\n"
        )
    };
    for (time, count) in [(1000, 1), (1005, 4)] {
        change(&lab.world, |world| world.page = counted(count));
        lab.meter.measure(time).await;
    }
    assert!(
        lab.stored("cart", 1005).contains(&"http_in 3".to_owned()),
        "{:?}",
        lab.stored("cart", 1005)
    );
    assert_eq!(change(&lab.world, |world| world.asked), 1, "a node without sight is left alone");

    // Now it sees: what both count is counted once.
    lab.meter.nodes.clear();
    for (time, count) in [(1010, 4), (1015, 9)] {
        change(&lab.world, |world| {
            world.page = counted(count);
            world.traffic = Some(traffic("gw-1", count));
        });
        lab.meter.measure(time).await;
    }
    assert!(
        lab.stored("cart", 1015).contains(&"http_in 5".to_owned()),
        "{:?}",
        lab.stored("cart", 1015)
    );
}

#[tokio::test]
async fn without_components_nobody_is_asked_and_nothing_is_missing() {
    let mut lab = lab().await;
    lab.meter.measure(1000).await;
    lab.meter.measure(1005).await;
    assert_eq!(lab.world.1.watched(), Some((1000, 1005)));
    assert_eq!(change(&lab.world, |world| world.asked), 0);
}
