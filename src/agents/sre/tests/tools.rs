//! The tools, with a control plane that lets everybody look and knows one project.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::Query;
use axum::routing::{get, post};
use axum::{Json, Router};
use curtain_control::authz::{Gate, Via};
use curtain_control::identity::{Caller, Secret, SubjectKind};
use curtain_control::mcp::{Arguments, Call, Toolbox as _};
use curtain_role::Instance;
use serde_json::{Value, json};

use super::service::{Shop, office};
use super::world::request;
use crate::platform::Tools;
use crate::sre::chat::Chats;
use crate::sre::rest::Office;
use crate::sre::tools::ReportTools;

/// Where it listens.
async fn control() -> String {
    let allowed = json!([{"decision": true,
        "context": {"result": "allowed", "binding": "b", "entitlement": "sub:ann"}}]);
    let names = async |Query(asked): Query<HashMap<String, String>>| {
        let kinds = ["component", "project", "environment", "namespace"];
        let known = ["api", "shop", "development", "default"];
        let mut named = kinds.iter().zip(known);
        let (absent, known) = named
            .find_map(|(kind, known)| asked.get(*kind).map(|name| (name != known, known)))
            .expect("a name");
        Json(json!({"absent": absent, "known": [known], "more": false}))
    };
    let routes = Router::new()
        .route("/api/v1/authz/evaluates", post(move || async move { Json(allowed) }))
        .route("/api/v1/authz/names", get(names));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    base
}

#[tokio::test]
async fn a_place_that_is_not_there_is_told_and_reports_are_in_plain_words() {
    let shop = Shop::default();
    let super::service::Office { analyst, folder } = office(&shop);
    let base = control().await.parse().expect("a URL");
    let gate = Arc::new(Gate::new(&base, Instance::new("ci"), Via::SreAgent));
    let eyes = move |_: Secret| -> Arc<dyn Tools> { Arc::new(shop.clone()) };
    let chats = Chats::new(folder.path().join("model"), Arc::new(eyes));
    let office = Office { analyst: analyst.clone(), gate, chats };
    let tools = ReportTools { office, version: "0".to_owned() };
    let caller = Caller {
        subject: "ann".to_owned(),
        kind: SubjectKind::Agent,
        groups: Vec::new(),
        display_name: String::new(),
        expires: 0,
    };
    let token = Secret::new("theirs");
    let ask = async |name: &str, given: Value| {
        let tool = tools.tools().into_iter().find(|tool| tool.name == name).expect("a tool");
        let given = Arguments::check(tool, given.as_object().cloned()).expect("arguments");
        let call = Call { caller: &caller, token: &token };
        tools.call(call, tool, given).await.map_err(|error| error.to_string())
    };
    let list = async |given| ask("list_rca_reports", given).await;
    for (given, told) in [
        (json!({"namespace": "defalt"}), "there is no namespace \"defalt\"; there are: default"),
        (
            json!({"namespace": "default", "project": "shp"}),
            "there is no project \"shp\" in namespace default; there are: shop",
        ),
        (
            json!({"namespace": "default", "project": "shop", "component": "wep"}),
            "there is no component \"wep\" in project shop; there are: api",
        ),
        (
            json!({"namespace": "default", "environment": "dev"}),
            "there is no environment \"dev\" in namespace default; there are: development",
        ),
    ] {
        assert_eq!(list(given.clone()).await.expect_err("refused"), told, "{given}");
    }
    let there = json!({"namespace": "default", "project": "shop", "component": "api"});
    assert_eq!(list(there).await.expect("an answer"), json!({"reports": [], "total": 0}));
    let wrong = json!({"namespace": "default", "project": "shop", "component": "wep", "environment": "development"});
    let told = ask("analyze_runtime_state", wrong).await.expect_err("refused");
    assert!(told.contains("there is no component \"wep\""), "{told}");

    let row = tools.tools()[2];
    let given = json!({"namespace": "default", "project": "shop"});
    let given = Arguments::check(row, given.as_object().cloned()).expect_err("wrong");
    assert_eq!(given.to_string(), "the arguments component, environment are required");

    // What is reported of is answered, whatever became of it.
    let mut alert = request("web", "errors");
    alert.alert.value = json!("7.000000000000001");
    let begun = analyst.begin(alert).await.expect("begins");
    let kept = analyst.ended(begun, std::time::Duration::from_secs(20)).await.expect("ends");
    assert!(kept.summary.contains("<comp:web> in <env:development>"), "{}", kept.summary);
    let web = json!({"namespace": "default", "project": "shop", "component": "web"});
    let listed = list(web).await.expect("an answer");
    assert_eq!(listed["total"], 1);
    let summary = listed["reports"][0]["summary"].as_str().expect("words");
    assert!(summary.ends_with("fired for web in development."), "{summary}");
    let told = ask("get_rca_report", json!({"report_id": kept.id})).await.expect("an answer");
    assert_eq!(told["report"]["alert_context"]["trigger_value"], "7");
    assert!(!told.to_string().contains("<comp:"), "{told}");
}
