//! An AI agent that may read, asks, is granted, writes, and is stopped again: with the Python MCP SDK and the commands
//! that are printed.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use curtain_e2e::{Agent, Instance, Server, binary, eventually};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(30);

/// Another setting each time, so that each call is a change.
fn fix(number: u32) -> Value {
    let env = json!([{"key": "CALL", "value": number.to_string()}]);
    json!({"namespace_name": "default", "binding_name": "greeter-development",
        "workload_overrides": {"container": {"env": env}}})
}

#[test]
fn an_agent_reads_asks_is_granted_writes_and_is_stopped() {
    let instance = Instance::up();
    instance.curtain(&["demo", "deploy", "greeter"]).success();
    instance.curtain(&["agent", "add", "claude-1", "--display-name", "Claude"]).success();
    let serve = ["mcp", "serve", "--stdio", "--as", "claude-1", "--name", instance.name()];
    let line: Vec<String> = std::iter::once(binary().to_string_lossy().into_owned())
        .chain(serve.map(String::from))
        .collect();
    // One session from the beginning to the end.
    let mut claude = eventually("the identity to count", LIMIT, || {
        let mut agent = Agent::connect(&instance, "legacy", &Server::Stdio(&line));
        agent.call("list_namespaces", json!({})).map(|_| agent)
    });
    let place = json!({"namespace_name": "default", "component_name": "greeter"});
    // With the one before that is three looks, of which two are within one minute of the clock.
    for _ in 0..2 {
        let bindings = claude.call("list_release_bindings", place.clone()).unwrap();
        assert_eq!(bindings["bindings"][0]["name"], "greeter-development", "{bindings}");
    }

    let mut calls = 0;
    let mut write = |claude: &mut Agent| {
        calls += 1;
        claude.call("update_release_binding", fix(calls))
    };
    let refusal = write(&mut claude).unwrap_err();
    assert!(refusal.starts_with("denied: releasebinding:update in development. "), "{refusal}");
    let command = refusal.split_once("A person can allow it: ").map(|(_, command)| command.trim());
    let command = command.unwrap_or_else(|| panic!("no command in {refusal}"));
    assert!(command.starts_with("curtain agent grant claude-1 config-fix "), "{command}");
    assert!(command.ends_with(&format!(" --for 1h --name {}", instance.name())), "{command}");

    instance.shell(command).success();
    eventually("the grant to count", LIMIT, || write(&mut claude));
    let listed = instance.curtain(&["agent", "list"]).success();
    let granted = listed.lines().find(|line| line.contains("config-fix")).unwrap();
    for word in ["claude-1", "environment development", "59m", "admin@openchoreo.dev"] {
        assert!(granted.contains(word), "{word} is not in {listed}");
    }
    // What was granted is not more than that.
    let refusal = claude.call("delete_component", place).unwrap_err();
    assert!(refusal.contains("component:delete"), "{refusal}");

    instance.curtain(&["agent", "revoke", "claude-1", "config-fix"]).success();
    let refused = |claude: &mut Agent,
                   write: &mut dyn FnMut(&mut Agent) -> Result<Value, String>| {
        eventually("the agent to be stopped", LIMIT, || match write(claude) {
            Err(refusal) if refusal.contains("denied: releasebinding:update") => Ok(()),
            other => Err(format!("{other:?}")),
        });
    };
    refused(&mut claude, &mut write);

    // A grant that ends by itself stops the same session.
    let scale = ["agent", "grant", "claude-1", "config-fix", "--env", "development", "--for", "3s"];
    instance.curtain(&scale).success();
    eventually("the short grant to count", LIMIT, || write(&mut claude));
    refused(&mut claude, &mut write);
    eventually("the ended grant to be gone", Duration::from_secs(90), || {
        let bindings =
            instance.kubectl("kubectl-1.37", &["get", "authzrolebindings", "-A", "-o", "name"]);
        let bindings = bindings.success();
        if bindings.contains("claude-1") { Err(bindings) } else { Ok(()) }
    });

    // All of it is on record: what it looked at, asked in vain, was granted by whom, and did.
    let hour = jiff::SignedDuration::from_hours(1);
    let now = jiff::Timestamp::now();
    let logs = json!({"namespace": "default", "project": "default", "component": "greeter", "environment": "development",
        "start_time": (now - hour).to_string(), "end_time": now.to_string()});
    claude.call("query_component_logs", logs).unwrap();
    let records = |words: &[&str]| -> Vec<Value> {
        let all: Vec<&str> =
            ["audit", "-o", "json"].into_iter().chain(words.iter().copied()).collect();
        serde_json::from_str(&instance.curtain(&all).success()).unwrap()
    };
    let has = |records: &[Value], wanted: Value| {
        let fits =
            |one: &Value| wanted.as_object().unwrap().iter().all(|(key, value)| one[key] == *value);
        assert!(records.iter().any(fits), "no {wanted} in {records:#?}");
    };
    eventually("the observer's query to be on record", LIMIT, || {
        let seen = records(&["--by", "claude-1", "--action", "logs:view"]);
        if seen.iter().any(|one| one["via"] == "observer") {
            Ok(())
        } else {
            Err(format!("{seen:?}"))
        }
    });
    let by_claude = records(&["--by", "claude-1", "--since", "1h", "--limit", "1000"]);
    has(
        &by_claude,
        json!({"call": "list_release_bindings", "result": "allowed", "actorKind": "agent"}),
    );
    has(
        &by_claude,
        json!({"call": "update_release_binding", "result": "denied", "environment": "default/development"}),
    );
    has(
        &by_claude,
        json!({"call": "update_release_binding", "result": "allowed", "action": "releasebinding:update",
            "object": "ReleaseBinding/greeter-development", "grantedBy": "admin@openchoreo.dev"}),
    );
    let by_admin = records(&["--by", "admin"]);
    for action in ["grant", "revoke"] {
        has(
            &by_admin,
            json!({"action": action, "result": "allowed", "actor": "admin@openchoreo.dev"}),
        );
    }
    assert!(records(&["--denied"]).iter().all(|one| one["result"] == "denied"));
    let table = instance.curtain(&["audit", "--by", "claude-1", "--changes"]).success();
    assert!(table.contains("ReleaseBinding/greeter-development"), "{table}");
    assert!(!table.contains(" reads "), "{table}");
    // The whole story: what it looked at, what it was refused, who let it, and what it changed.
    let table = instance.curtain(&["audit", "--by", "claude-1"]).success();
    assert!(table.contains(" reads "), "{table}");
    for told in ["denied", "config-fix to claude-1", "admin@openchoreo.dev", "spec."] {
        assert!(table.contains(told), "{told} is not in {table}");
    }

    instance.curtain(&["agent", "remove", "claude-1"]).success();
    assert!(!instance.curtain(&["agent", "list"]).success().contains("claude-1"));
    drop(claude);
    instance.down();
}

#[test]
fn what_makes_no_sense_is_said_and_changes_nothing() {
    let instance = Instance::up();
    for (words, code, said) in [
        (vec!["agent", "add", "Claude"], 8, "cannot be the name of an agent"),
        (vec!["agent", "add", "admin"], 14, "choose another name"),
        (vec!["agent", "grant", "nobody", "scale"], 3, "there is no agent"),
        (vec!["agent", "remove", "nobody"], 3, "there is no identity"),
        (vec!["agent", "revoke", "nobody", "--all"], 3, "there is no agent"),
        (vec!["audit", "--by", "nobody"], 3, "there is no identity \"nobody\""),
        (vec!["demo", "break", "mail", "full-queue"], 2, "mail --fault full-queue"),
    ] {
        let output = instance.curtain(&words);
        assert!(output.code == code && output.stderr.contains(said), "{words:?}: {output:?}");
    }
    instance.curtain(&["agent", "add", "claude-1"]).success();
    instance.curtain(&["agent", "add", "claude-1"]).success();
    for (words, code, said) in [
        (vec!["everything"], 2, "restart, scale, rollback, config-fix, deploy"),
        (vec!["deploy-image", "--env", "development"], 2, "cannot be kept to one environment"),
        (vec!["scale", "--env", "nowhere"], 3, "Environment not found: nowhere; there are: "),
        (vec!["scale", "--component", "web"], 2, "--project"),
    ] {
        let all: Vec<&str> = ["agent", "grant", "claude-1"].into_iter().chain(words).collect();
        let output = instance.curtain(&all);
        assert!(output.code == code && output.stderr.contains(said), "{all:?}: {output:?}");
        assert!(!output.stderr.contains("answered 40"), "{output:?}");
    }
    instance.down();
}
