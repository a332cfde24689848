//! Parts of the observability plane, and the node that all of it runs on, are killed in the middle of trouble, again and
//! again: nothing is lost or told twice.

#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    process::Command,
    time::{Duration, Instant},
};

use curtain_e2e::{Clients, Instance, eventually, get, get_as, post_as};
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
    end(pid);
}

fn end(pid: u32) {
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
}

struct Shop<'a> {
    instance: &'a Instance,
    /// Of its pages.
    url: String,
    token: String,
    since: Timestamp,
}

impl<'a> Shop<'a> {
    /// Deploys the shop and breaks it, until there is an incident.
    fn in_trouble(instance: &'a Instance) -> Self {
        let url = instance.curtain(&["demo", "deploy", "shop"]).success().trim().to_owned();
        let shop = Self { url, token: instance.token("admin"), since: Timestamp::now(), instance };
        instance.curtain(&["demo", "break", "checkout"]).success();
        eventually("an incident", LIMIT, || match shop.incidents()?.len() {
            0 => Err("none".to_owned()),
            _ => Ok(()),
        });
        shop
    }

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

    /// What a component of the shop wrote, by its log files.
    fn written(&self, component: &str) -> Result<String, String> {
        let release = Clients::KUBECTLS[1];
        let selector = "openchoreo.dev/project=shop,openchoreo.dev/environment=development";
        let get = ["get", "namespace", "-l", selector, "-o", "name"];
        let cell = self.instance.kubectl(release, &get).ok()?;
        let cell = cell.trim().trim_start_matches("namespace/").to_owned();
        let since = format!("--since-time={}", self.since);
        let label = format!("openchoreo.dev/component={component}");
        let logs = ["logs", "-n", &cell, "-l", &label, "--tail=-1", &since];
        self.instance.kubectl(release, &logs).ok()
    }

    /// What checkout wrote until now arrives, once.
    fn has_every_line(&self) {
        let written: BTreeSet<String> =
            self.written("checkout").unwrap().lines().filter_map(span).collect();
        assert!(written.len() > 10, "{written:?}");
        eventually("every line", LIMIT, || {
            let kept = self.kept()?;
            let once: BTreeSet<&String> = kept.iter().collect();
            assert_eq!(once.len(), kept.len(), "a line is there twice");
            let lost: Vec<_> = written.iter().filter(|line| !once.contains(line)).collect();
            if lost.is_empty() { Ok(()) } else { Err(format!("{lost:?} of {}", written.len())) }
        });
    }

    /// What is mended is over, once.
    fn heals(&self) {
        self.instance.curtain(&["demo", "heal", "checkout"]).success();
        eventually("the end of the incident", LIMIT, || match self.incidents()?.as_slice() {
            [one] if one["status"] == "resolved" => Ok(()),
            other => Err(format!("{other:#?}")),
        });
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
    let shop = Shop::in_trouble(&instance);
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

    shop.has_every_line();
    shop.heals();
    instance.down();
}

#[test]
fn no_line_is_lost_and_no_incident_told_twice_when_the_node_is_killed() {
    let instance = Instance::up();
    let shop = Shop::in_trouble(&instance);
    let told = |shop: &Shop| -> Result<usize, String> {
        Ok(shop.written("mail")?.matches("critical: errors of checkout").count())
    };
    eventually("mail about it", LIMIT, || match told(&shop)? {
        0 => Err("none".to_owned()),
        _ => Ok(()),
    });
    let incident = shop.incidents().unwrap().remove(0)["incidentId"].clone();
    let acknowledged = eventually("lines of it", LIMIT, || match shop.kept()? {
        lines if lines.len() > 10 => Ok(lines),
        lines => Err(format!("{lines:?}")),
    });

    // Its visitors go on all the time. Nobody has to help: what asks waits until the node is back.
    let mut killed = BTreeSet::new();
    for _ in 0..4 {
        let node = instance.processes(&["node", "run"]);
        assert!(node.len() == 1 && killed.insert(node[0]), "{node:?} after {killed:?}");
        end(node[0]);
        let get = ["get", "namespaces", "-o", "name", "--request-timeout=20s"];
        instance.kubectl(Clients::KUBECTLS[1], &get).success();
        std::thread::sleep(Duration::from_secs(4));
    }
    instance.curtain(&["status"]).success();
    eventually("the shop to answer", LIMIT, || match get(&shop.url)? {
        answer if answer.status == 200 => Ok(()),
        answer => Err(format!("{answer:?}")),
    });

    let kept = eventually("the observer", LIMIT, || shop.kept());
    let lost: Vec<_> = acknowledged.iter().filter(|line| !kept.contains(line)).collect();
    assert!(lost.is_empty(), "{lost:?} were there before");
    shop.has_every_line();
    let incidents = shop.incidents().unwrap();
    assert_eq!(incidents.len(), 1, "{incidents:#?}");
    assert_eq!(
        (&incidents[0]["incidentId"], &incidents[0]["status"]),
        (&incident, &json!("active"))
    );
    shop.heals();
    assert_eq!(told(&shop), Ok(1));
    instance.down();
}
