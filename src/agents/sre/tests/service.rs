//! From an alert to a kept report, with a platform that answers from memory.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use curtain_role::Shutdown;
use futures::future::BoxFuture;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::world::{ALERT, at, request};
use crate::platform::{Server, Tools};
use crate::sre::leave::{Leave, Place};
use crate::sre::store::{Stage, Store, Wanted};
use crate::sre::work::Analyst;

/// A shop whose checkout has a bad setting, and what was asked of it.
#[derive(Clone, Default)]
pub(super) struct Shop {
    pub(super) calls: Arc<Mutex<Vec<(String, Value)>>>,
    /// Whether it may write.
    pub(super) granted: bool,
}

impl Shop {
    pub(super) fn asked(&self, tool: &str) -> Vec<Value> {
        let calls = self.calls.lock().expect("lock");
        calls.iter().filter(|(name, _)| name == tool).map(|(_, given)| given.clone()).collect()
    }
}

fn topology() -> Value {
    json!({
        "calls": {"columns": ["from", "to", "protocol", "requests/s", "failed", "p99 ms", "note"],
            "rows": [["web", "checkout", "http1", 1.0, "76%", 20.0, "500 x9"]]},
        "components": {"columns": ["component", "pods ready", "requests/s", "failed", "p99 ms"],
            "rows": [["web", "1/1", 4.0, "10%", 30.0], ["checkout", "1/1", 1.0, "76%", 20.0]]},
        "unhealthy": {"checkout": ["76 % of 12 requests failed"]},
    })
}

impl Tools for Shop {
    fn call<'a>(
        &'a self,
        _: Server,
        tool: &'a str,
        arguments: Value,
    ) -> BoxFuture<'a, Result<Value, String>> {
        let of = |name: &str| arguments[name].as_str().unwrap_or_default().to_owned();
        let checkout =
            [of("component"), of("component_name"), of("binding_name"), of("workload_name")]
                .iter()
                .any(|name| name.starts_with("checkout"));
        let answer = match tool {
            "query_topology" => topology(),
            "query_component_logs" if checkout => json!({"logs": [{"level": "ERROR",
                "timestamp": at(ALERT).to_string(), "log": "TAX_PERCENT is \"nineteen\""}]}),
            "list_release_bindings" => json!({"bindings": [
                {"name": if checkout { "checkout-development" } else { "web-development" }, "environment": "development"},
            ]}),
            "get_release_binding" if checkout => {
                json!({"name": "checkout-development", "status": "Ready",
                "workloadOverrides": {"container": {"env": [{"key": "TAX_PERCENT", "value": "nineteen"}]}}})
            }
            "get_release_binding" => json!({"name": "web-development", "status": "Ready"}),
            "get_resource_tree" => json!({"rendered_releases": [{"nodes": [
                {"kind": "Pod", "name": "x-1", "created_at": at(ALERT - 10).to_string()},
            ]}]}),
            _ => json!({}),
        };
        self.calls.lock().expect("lock").push((tool.to_owned(), arguments));
        Box::pin(async move { Ok(answer) })
    }

    fn offered(&self, server: Server) -> BoxFuture<'_, Result<Vec<Value>, String>> {
        let tool = |name: &str| {
            json!({"name": name, "description": "looks", "annotations": {"readOnlyHint": true},
                "inputSchema": {"type": "object"}})
        };
        let tools = match server {
            // What could be granted is offered to an agent, too.
            Server::Control => vec![tool("get_release_binding"), tool("update_release_binding")],
            Server::Observer => vec![tool("query_component_logs")],
        };
        Box::pin(async move { Ok(tools) })
    }
}

impl Leave for Shop {
    fn to_change<'a>(&'a self, place: &'a Place, _: bool) -> BoxFuture<'a, Result<(), String>> {
        let why = format!("denied in {}. A person can allow it: grant", place.environment);
        Box::pin(async move { if self.granted { Ok(()) } else { Err(why) } })
    }
}

pub(super) struct Office {
    pub(super) analyst: Analyst,
    pub(super) folder: tempfile::TempDir,
}

pub(super) fn office(shop: &Shop) -> Office {
    let folder = tempfile::tempdir().expect("a folder");
    Office { analyst: analyst(shop, folder.path().into()), folder }
}

fn analyst(shop: &Shop, folder: PathBuf) -> Analyst {
    let store = Store::open(&folder.join("reports.db")).expect("opens");
    let (tools, leave) = (Arc::new(shop.clone()), Arc::new(shop.clone()));
    Analyst::new(store, (tools, leave), folder.join("model"), Shutdown::default())
}

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn an_alert_has_one_report_however_often_it_is_told() {
    let shop = Shop::default();
    let Office { analyst, .. } = &office(&shop);
    let begun = analyst.begin(request("web", "errors")).await.expect("begins");
    assert_eq!(begun.stage, Stage::Pending);
    let kept = analyst.ended(begun.clone(), LONG).await.expect("ends");
    assert_eq!(kept.stage, Stage::Completed);
    assert!(kept.summary.contains("TAX_PERCENT=\"nineteen\""), "{}", kept.summary);
    let report = kept.report.expect("a report");
    let change = &report["result"]["recommendations"]["recommended_actions"][0]["change"];
    assert_eq!(change["release_binding"], "checkout-development");
    assert_eq!(change["remove_env"], json!(["TAX_PERCENT"]));
    let again = analyst.begin(request("web", "errors")).await.expect("begins");
    assert_eq!((again.id, again.stage), (begun.id, Stage::Completed));
    let all = analyst.stored(|store| store.list(&Wanted::default())).await.expect("lists");
    assert_eq!(all.1, 1);
    let row = crate::sre::rest::row(&all.0[0]);
    assert_eq!((&row["component"], &row["causeComponent"]), (&json!("web"), &json!("checkout")));
}

#[tokio::test]
async fn an_analysis_that_was_interrupted_is_begun_again() {
    let shop = Shop::default();
    let office = office(&shop);
    let pending =
        office.analyst.stored(|store| store.begin(&request("web", "errors"), Timestamp::now()));
    let (kept, _) = pending.await.expect("begins");
    // Another process, with the same database.
    let next = analyst(&shop, office.folder.path().into());
    next.resume().await.expect("goes on");
    assert_eq!(next.ended(kept, LONG).await.expect("ends").stage, Stage::Completed);
}

#[tokio::test]
async fn a_change_is_made_only_where_it_is_allowed() {
    let shop = Shop { granted: true, ..Shop::default() };
    let Office { analyst, .. } = &office(&shop);
    let begun = analyst.begin(request("web", "errors")).await.expect("begins");
    analyst.ended(begun.clone(), LONG).await.expect("ends");
    let report = noted(analyst, &begun.id, "Tried to change").await;
    let actions = &report["result"]["recommendations"]["recommended_actions"];
    assert_eq!(actions[0]["status"], "applied");
    let made = shop.asked("update_release_binding");
    assert_eq!(made.len(), 1, "{made:?}");
    assert_eq!(made[0]["binding_name"], "checkout-development");
    assert_eq!(made[0]["workload_overrides"]["container"]["env"], json!([]));
}

#[tokio::test]
async fn what_is_not_allowed_is_proposed_and_not_tried() {
    let shop = Shop::default();
    let Office { analyst, .. } = &office(&shop);
    let begun = analyst.begin(request("web", "errors")).await.expect("begins");
    let report = noted(analyst, &begun.id, "Proposed to change").await;
    assert!(shop.asked("update_release_binding").is_empty(), "nobody allowed it to write");
    let actions = &report["result"]["recommendations"]["recommended_actions"];
    assert_eq!(actions[0]["status"], "revised");
    let step =
        report["investigation_path"].as_array().and_then(|path| path.last()).expect("a step");
    assert_eq!(step["outcome"], "left to a person");
    let rationale = step["rationale"].as_str().expect("text");
    assert!(rationale.contains("denied in development. A person can allow it"), "{rationale}");
}

/// The report `id` once it says that the agent `did` something with checkout's binding: that is noted after it is kept.
async fn noted(analyst: &Analyst, id: &str, did: &str) -> Value {
    let step = format!("{did} release binding checkout-development");
    let until = tokio::time::Instant::now() + LONG;
    loop {
        let id = id.to_owned();
        let kept = analyst.stored(move |store| store.get(&id)).await.expect("reads");
        let report = kept.expect("there").report.unwrap_or_default();
        if report["investigation_path"].to_string().contains(&step) {
            return report;
        }
        assert!(tokio::time::Instant::now() < until, "{report}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
