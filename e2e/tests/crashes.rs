//! Parts of the observability plane are killed in the middle of trouble, again and again: nothing is lost or told twice.

#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    process::Command,
    time::{Duration, Instant},
};

use curtain_e2e::{Clients, Instance, eventually, get_as, post_as};
use jiff::Timestamp;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(90);
/// Killed in turns, each of them every few seconds.
const ROLES: [&str; 3] = ["observer", "collector", "sre-agent"];

/// The process that plays `role`; tests run apart, so there is no other instance's.
fn process(role: &str) -> Option<u32> {
    let wanted = [b"/curtain".as_slice(), role.as_bytes()];
    std::fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let pid = entry.file_name().to_string_lossy().parse::<u32>().ok()?;
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        line.split(|byte| *byte == 0).take(2).eq(wanted).then_some(pid)
    })
}

fn kill(role: &str) {
    let pid = eventually(role, LIMIT, || process(role).ok_or_else(|| "not running".to_owned()));
    Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
}

struct Shop<'a> {
    instance: &'a Instance,
    token: String,
    since: Timestamp,
}

impl Shop<'_> {
    fn ask(&self, what: &str, component: &str) -> Result<Value, String> {
        let url = format!("{}/observer/api/{what}", self.instance.endpoint("portal"));
        let place = json!({"namespace": "default", "project": "shop", "component": component,
            "environment": "development"});
        let body = json!({"startTime": self.since.to_string(), "limit": 1000, "sortOrder": "asc",
            "endTime": Timestamp::now().to_string(), "searchScope": place});
        post_as(&self.token, &url, &body)
    }

    fn incidents(&self) -> Result<Vec<Value>, String> {
        let mut found = self.ask("v1alpha1/incidents/query", "checkout")?;
        match found["incidents"].take() {
            Value::Array(incidents) => Ok(incidents),
            _ => Err(found.to_string()),
        }
    }

    /// The lines of checkout that the observer has, each by its span.
    fn kept(&self) -> Result<Vec<String>, String> {
        let found = self.ask("v1/logs/query", "checkout")?;
        let lines = found["logs"].as_array().ok_or_else(|| found.to_string())?;
        Ok(lines.iter().filter_map(|line| span(line["log"].as_str()?)).collect())
    }
}

/// What tells a line from all others.
fn span(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    Some(line["trace_id"].as_str()?.to_owned() + line["span_id"].as_str()?)
}

#[test]
fn no_line_is_lost_and_no_incident_told_twice_whoever_is_killed() {
    let instance = Instance::up();
    instance.curtain(&["demo", "deploy", "shop"]).success();
    let shop =
        Shop { token: instance.token("admin"), since: Timestamp::now(), instance: &instance };
    instance.curtain(&["demo", "break", "checkout"]).success();
    eventually("an incident", LIMIT, || match shop.incidents()?.len() {
        0 => Err("none".to_owned()),
        _ => Ok(()),
    });
    let begun = Instant::now();
    for role in ROLES.iter().cycle() {
        kill(role);
        std::thread::sleep(Duration::from_secs(2));
        if begun.elapsed() > Duration::from_secs(24) {
            break;
        }
    }
    // The one incident goes on, and has one report.
    let incidents = eventually("the observer", LIMIT, || shop.incidents());
    assert_eq!(incidents.len(), 1, "{incidents:#?}");
    assert_eq!(incidents[0]["status"], "active");
    let reports = format!(
        "{}/sre-agent/api/v1/rca-agent/reports?namespace=default&alertId={}",
        instance.endpoint("portal"),
        incidents[0]["alertId"].as_str().unwrap()
    );
    eventually("its report", LIMIT, || {
        let found = get_as(&shop.token, &reports)?;
        match (&found["totalCount"], &found["reports"][0]["status"]) {
            (Value::Number(total), Value::String(status)) if status == "completed" => {
                assert_eq!(total.as_u64(), Some(1), "{found}");
                Ok(())
            }
            _ => Err(found.to_string()),
        }
    });

    // What checkout wrote until now arrives, once.
    let selector = "openchoreo.dev/project=shop,openchoreo.dev/environment=development";
    let kubectl = |args: &[&str]| instance.kubectl(Clients::KUBECTLS[1], args).success();
    let cell = kubectl(&["get", "namespace", "-l", selector, "-o", "name"]);
    let cell = cell.trim().trim_start_matches("namespace/").to_owned();
    let since = format!("--since-time={}", shop.since);
    let label = "openchoreo.dev/component=checkout";
    let written = kubectl(&["logs", "-n", &cell, "-l", label, "--tail=-1", &since]);
    let written: BTreeSet<String> = written.lines().filter_map(span).collect();
    assert!(written.len() > 10, "{written:?}");
    eventually("every line", LIMIT, || {
        let kept = shop.kept()?;
        let once: BTreeSet<&String> = kept.iter().collect();
        assert_eq!(once.len(), kept.len(), "a line is there twice");
        let lost: Vec<_> = written.iter().filter(|line| !once.contains(line)).collect();
        if lost.is_empty() { Ok(()) } else { Err(format!("{lost:?} of {}", written.len())) }
    });

    // What is mended is over, once.
    instance.curtain(&["demo", "heal", "checkout"]).success();
    eventually("the end of the incident", LIMIT, || match shop.incidents()?.as_slice() {
        [one] if one["status"] == "resolved" => Ok(()),
        other => Err(format!("{other:#?}")),
    });
    instance.down();
}
