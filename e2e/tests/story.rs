//! The first minutes: a living shop, trouble in it, and an agent that sees, is refused, is allowed, and fixes.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use curtain_e2e::{Agent, Clients, Instance, Server, binary, eventually, get};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(60);
/// What the agent may read to learn what runs, who calls whom, and what is unhealthy: some six thousand tokens.
const BYTES: usize = 24_000;

/// A place in the shop, and the last minutes.
fn lately(minutes: i64, more: Value) -> Value {
    let now = jiff::Timestamp::now();
    let start = now - jiff::SignedDuration::from_mins(minutes);
    let mut asked = json!({"namespace": "default", "project": "shop", "environment": "development",
        "start_time": start.to_string(), "end_time": now.to_string()});
    for (name, value) in more.as_object().unwrap() {
        asked[name] = value.clone();
    }
    asked
}

/// The status of the incident about `component`.
fn incident(agent: &mut Agent, component: &str) -> Result<String, String> {
    let found = agent.call("query_incidents", lately(10, json!({"component": component})))?;
    let incident = found["incidents"].as_array().and_then(|all| all.first());
    let status = incident.and_then(|one| one["status"].as_str()).map(str::to_owned);
    status.ok_or_else(|| found.to_string())
}

fn has_row(table: &Value, cells: &[&str]) -> bool {
    let rows = table["rows"].as_array().into_iter().flatten();
    rows.into_iter().any(|row| cells.iter().enumerate().all(|(at, cell)| row[at] == *cell))
}

#[test]
fn an_agent_finds_the_cause_is_refused_allowed_and_fixes() {
    let instance = Instance::up();
    let shop = instance.curtain(&["demo", "deploy", "shop"]).success();
    instance.curtain(&["agent", "add", "claude-1"]).success();
    let serve = ["mcp", "serve", "--stdio", "--as", "claude-1", "--name", instance.name()];
    let line: Vec<String> = std::iter::once(binary().to_string_lossy().into_owned())
        .chain(serve.map(String::from))
        .collect();
    let mut claude = eventually("the identity to count", LIMIT, || {
        let mut agent = Agent::connect(&instance, "legacy", &Server::Stdio(&line));
        agent.call("list_namespaces", json!({})).map(|_| agent)
    });

    // What is running, how do the services depend on each other, and is anything unhealthy?
    let running = claude
        .call("list_components", json!({"namespace_name": "default", "project_name": "shop"}))
        .unwrap();
    assert_eq!(running["components"].as_array().unwrap().len(), 11, "{running}");
    let topology = eventually("a customer who buys", LIMIT, || {
        let seen = claude.call("query_topology", lately(1, json!({})))?;
        let calls = [["load", "web"], ["web", "checkout"], ["checkout", "prices"]];
        let all = calls.iter().all(|call| has_row(&seen["calls"], call));
        if all { Ok(seen) } else { Err(seen.to_string()) }
    });
    assert!(running.to_string().len() + topology.to_string().len() < BYTES, "{topology}");
    assert!(!topology.to_string().contains("opentelemetry-collector"), "{topology}");

    // Trouble: an incident opens, and whoever is on call has mail.
    let broken = instance.curtain(&["demo", "break", "checkout"]).success();
    assert!(broken.contains("Told:    shop-on-call-development, once"), "{broken}");
    eventually("an incident", LIMIT, || match incident(&mut claude, "checkout")?.as_str() {
        "active" => Ok(()),
        other => Err(other.to_owned()),
    });
    let selector = "openchoreo.dev/project=shop,openchoreo.dev/environment=development";
    let kubectl = |args: &[&str]| instance.kubectl(Clients::KUBECTLS[1], args).success();
    let cell = kubectl(&["get", "namespace", "-l", selector, "-o", "name"]);
    let cell = cell.trim().trim_start_matches("namespace/");
    eventually("mail about it", LIMIT, || {
        let label = "openchoreo.dev/component=mail";
        let sent = kubectl(&["logs", "-n", cell, "-l", label, "--tail=-1"]);
        if sent.contains("critical: errors of checkout") { Ok(()) } else { Err(sent) }
    });

    // The platform's own agent has looked into it.
    let report = eventually("a report of the SRE agent", LIMIT, || {
        let asked = json!({"namespace": "default", "project": "shop", "component": "checkout"});
        let found = claude.call("list_rca_reports", asked)?;
        let done = found["reports"].as_array().into_iter().flatten();
        let done = done.into_iter().find(|report| report["status"] == "completed");
        let id = done.and_then(|report| report["reportId"].as_str()).map(str::to_owned);
        id.ok_or_else(|| found.to_string())
    });
    let reported = claude.call("get_rca_report", json!({"report_id": report.clone()})).unwrap();
    let cause = &reported["report"]["result"]["root_causes"][0];
    assert!(cause["summary"].as_str().unwrap().contains("TAX_PERCENT=\"nineteen\""), "{reported}");
    assert_eq!(cause["confidence"], "high", "{reported}");
    let actions = &reported["report"]["result"]["recommendations"]["recommended_actions"];
    assert_eq!(actions[0]["status"], "revised", "it was not allowed to make it: {reported}");
    let place = json!({"namespace": "default", "project": "shop", "component": "web",
        "environment": "development"});
    // The incident itself names the fix, where the report is, and who was told.
    let found =
        claude.call("query_incidents", lately(10, json!({"component": "checkout"}))).unwrap();
    let told = &found["incidents"][0];
    assert_eq!(told["proposedFix"], actions[0]["description"], "{found}");
    assert_eq!(told["report"], report, "{found}");
    assert_eq!(told["notified"], "shop-on-call-development: delivered", "{found}");
    let refusal = claude.call("analyze_runtime_state", place).unwrap_err();
    assert!(refusal.contains("unknown tool"), "what it may not do is not offered: {refusal}");

    // The cause is in the logs and in what was changed.
    let logs = lately(5, json!({"component": "checkout", "log_levels": ["ERROR"]}));
    let logs = claude.call("query_component_logs", logs).unwrap().to_string();
    assert!(logs.contains("TAX_PERCENT is"), "{logs}");
    let place = json!({"namespace_name": "default", "binding_name": "checkout-development"});
    let binding = claude.call("get_release_binding", place.clone()).unwrap().to_string();
    assert!(binding.contains("nineteen"), "{binding}");

    // The fix is refused until a person allows it.
    let mut fix = place;
    fix["workload_overrides"] = json!({"container": {"env": []}});
    let refusal = claude.call("update_release_binding", fix.clone()).unwrap_err();
    let command = refusal.split_once("A person can allow it: ").map(|(_, command)| command.trim());
    let command = command.unwrap_or_else(|| panic!("no command in {refusal}"));
    instance.shell(command).success();
    eventually("the grant to count", LIMIT, || claude.call("update_release_binding", fix.clone()));
    assert_eq!(get(shop.trim()).unwrap().status, 200);
    let window = Duration::from_secs(90);
    eventually("the end of the incident", window, || match incident(&mut claude, "checkout")? {
        status if status == "resolved" => Ok(()),
        other => Err(other),
    });

    // What the agent has mended is not broken any more, whoever asks.
    let heal = |service: &[&str]| -> Value {
        let told = instance.curtain(&[&["demo", "heal", "-o", "json"], service].concat());
        serde_json::from_str(&told.success()).unwrap()
    };
    assert_eq!(heal(&["mail"]), json!({"healed": [], "stillBroken": []}));
    let healed = heal(&[]);
    assert_eq!(healed["healed"][0]["mended"], true, "{healed}");
    assert_eq!(healed["healed"][0]["fault"], "bad-config", "{healed}");

    let audit =
        instance.curtain(&["audit", "--by", "claude-1", "--changes", "-o", "json"]).success();
    let audit: Vec<Value> = serde_json::from_str(&audit).unwrap();
    for result in ["denied", "allowed"] {
        let write =
            |one: &&Value| one["call"] == "update_release_binding" && one["result"] == result;
        assert!(audit.iter().any(|one| write(&one)), "{result}: {audit:#?}");
    }
    drop(claude);
    instance.down();
}
