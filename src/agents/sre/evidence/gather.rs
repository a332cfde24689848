//! Gathering, through the tools of the platform.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::deployment::{self, Deployment};
use super::{Component, Evidence, State, lines, map};
use crate::platform::{Server, Tools};
use crate::sre::alert::Request;
use crate::sre::report::Range;

/// How long before the alert may be what led to it.
const BEFORE: SignedDuration = SignedDuration::from_secs(90);
/// Components that are looked at closely, at most.
const CLOSELY: usize = 12;
/// Of those, at once.
const AT_ONCE: usize = 4;
/// Lines that are read of each.
const LINES: u32 = 60;
/// The longest that gathering may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Gathers what there is to know about the alert of `request` as of `now`.
pub async fn gather(tools: &dyn Tools, request: &Request, now: Timestamp) -> Evidence {
    let mut evidence = nothing(request, now);
    let all = fill(tools, &mut evidence);
    if tokio::time::timeout(PATIENCE, all).await.is_err() {
        let seconds = PATIENCE.as_secs();
        evidence.gaps.push(format!("the platform did not answer everything within {seconds} s"));
    }
    evidence.gaps.sort();
    evidence
}

fn nothing(request: &Request, now: Timestamp) -> Evidence {
    let start = request.alert.timestamp.saturating_sub(BEFORE).unwrap_or(Timestamp::MIN);
    let range = Range { start, end: now.max(request.alert.timestamp) };
    Evidence {
        request: request.clone(),
        range,
        calls: Vec::new(),
        components: BTreeMap::new(),
        gaps: Vec::new(),
    }
}

async fn fill(tools: &dyn Tools, evidence: &mut Evidence) {
    let request = evidence.request.clone();
    let look = Look { tools, request: &request, range: evidence.range };
    let topology = look.observed("query_topology", &request.component, json!({}), &["component"]);
    let mut states = BTreeMap::new();
    match topology.await {
        Ok(answer) => (evidence.calls, states) = map::read(&answer),
        Err(gap) => evidence.gaps.push(gap),
    }
    let looks = closely(evidence, &states).into_iter().map(|name| {
        let state = states.remove(&name).unwrap_or_default();
        let look = &look;
        async move {
            // Who may see the report need not see more of another project than that it is called.
            let (component, gaps) = match name.contains('/') {
                true => (Component { state, ..Component::default() }, Vec::new()),
                false => look.at(&name, state).await,
            };
            (name, component, gaps)
        }
    });
    let mut looked = stream::iter(looks.collect::<Vec<_>>()).buffer_unordered(AT_ONCE);
    while let Some((name, component, missing)) = looked.next().await {
        evidence.components.insert(name, component);
        evidence.gaps.extend(missing);
    }
}

/// Whom to look at: whoever the component with the alert reaches, those that call it, and those that are not well.
fn closely(evidence: &Evidence, states: &BTreeMap<String, State>) -> Vec<String> {
    let alerted = evidence.alerted();
    let mut names: Vec<String> = Vec::new();
    let callers = evidence.calls.iter().filter(|call| call.to == alerted).map(|call| &call.from);
    let unwell = states.iter().filter(|(_, state)| !state.complaints.is_empty());
    let reached = evidence.reached(alerted);
    let all = reached.into_iter().chain(unwell.map(|(name, _)| name.as_str()));
    for name in all.chain(callers.map(String::as_str)) {
        // Gateways and the world outside have no deployment to look at.
        if !name.contains(':') && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names.truncate(CLOSELY);
    names
}

struct Look<'a> {
    tools: &'a dyn Tools,
    request: &'a Request,
    range: Range,
}

impl Look<'_> {
    /// One component, and what could not be read of it.
    async fn at(&self, name: &str, state: State) -> (Component, Vec<String>) {
        let complaints = json!({"log_levels": ["ERROR", "WARN"], "limit": LINES});
        let (logs, events, deployment) = futures::join!(
            self.observed("query_component_logs", name, complaints, &[]),
            self.observed("query_component_events", name, json!({}), &[]),
            self.deployment(name),
        );
        let mut gaps = Vec::new();
        let unread = logs.is_err();
        let mut known = |answer: Result<Value, String>| {
            answer.map_err(|gap| gaps.push(gap)).unwrap_or_default()
        };
        let lines = lines::lines(&known(logs));
        let events = lines::events(&known(events));
        let deployment = deployment.unwrap_or_else(|gap| {
            gaps.push(gap);
            None
        });
        let spoke = unread || !lines.is_empty();
        let mut component = Component { state, lines, spoke, events, deployment };
        component.forget_predecessors();
        (component, gaps)
    }

    /// How a component is deployed in the environment of the alert; `None` when it is not.
    async fn deployment(&self, name: &str) -> Result<Option<Deployment>, String> {
        let namespace = self.request.namespace.as_str();
        let of = json!({"namespace_name": namespace, "component_name": name});
        let listed = self.controlled("list_release_bindings", of.clone()).await?;
        let bindings = listed["bindings"].as_array().into_iter().flatten();
        let here = |binding: &&Value| binding["environment"] == self.request.environment.as_str();
        let Some(binding) = bindings.clone().find(here).and_then(|one| one["name"].as_str()) else {
            return Ok(None);
        };
        let named = json!({"namespace_name": namespace, "binding_name": binding});
        let tree = json!({"namespace_name": namespace, "release_binding_name": binding});
        let (binding, tree, releases, component, workloads) = futures::join!(
            self.controlled("get_release_binding", named),
            self.controlled("get_resource_tree", tree),
            self.controlled("list_component_releases", of.clone()),
            self.controlled("get_component", of.clone()),
            self.controlled("list_workloads", of),
        );
        let mut deployment = deployment::read(&binding?);
        if let Ok(tree) = tree {
            deployment.take(&tree);
        }
        deployment.previous = releases.ok().and_then(|all| before(&all, &deployment.release));
        deployment.automatic = component?["autoDeploy"] == true;
        let workload = workloads?["workloads"][0]["name"].as_str().map(str::to_owned);
        if let Some(workload) = workload {
            let of = json!({"namespace_name": namespace, "workload_name": workload});
            let workload = self.controlled("get_workload", of).await?;
            let container = &workload["spec"]["container"];
            deployment.settings = deployment::variables(&container["env"]);
            deployment.image = container["image"].as_str().unwrap_or_default().to_owned();
        }
        Ok(Some(deployment))
    }

    /// What a tool of the observer says of a component in the time around the alert, without the arguments `without`.
    async fn observed(
        &self,
        tool: &str,
        name: &str,
        mut arguments: Value,
        without: &[&str],
    ) -> Result<Value, String> {
        let place = [
            ("namespace", self.request.namespace.as_str()),
            ("project", &self.request.project),
            ("component", name),
            ("environment", &self.request.environment),
        ];
        for (argument, value) in place.into_iter().filter(|(name, _)| !without.contains(name)) {
            arguments[argument] = value.into();
        }
        arguments["start_time"] = self.range.start.to_string().into();
        arguments["end_time"] = self.range.end.to_string().into();
        let answer = self.tools.call(Server::Observer, tool, arguments).await;
        answer.map_err(|error| format!("{tool} for {name}: {error}"))
    }

    async fn controlled(&self, tool: &str, arguments: Value) -> Result<Value, String> {
        let answer = self.tools.call(Server::Control, tool, arguments).await;
        answer.map_err(|error| format!("{tool}: {error}"))
    }
}

/// The release that was made before `release`.
fn before(listed: &Value, release: &str) -> Option<String> {
    let mut all: Vec<(&str, &str)> = listed["releases"]
        .as_array()?
        .iter()
        .filter_map(|one| Some((one["createdAt"].as_str()?, one["name"].as_str()?)))
        .collect();
    all.sort_unstable();
    let at = all.iter().position(|(_, name)| *name == release)?;
    at.checked_sub(1).map(|at| all[at].1.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_before_is_the_one_made_before() {
        let listed = json!({"releases": [
            {"name": "b", "createdAt": "2026-01-02T00:00:00Z"},
            {"name": "a", "createdAt": "2026-01-01T00:00:00Z"},
        ]});
        assert_eq!(before(&listed, "b").as_deref(), Some("a"));
        assert_eq!(before(&listed, "a"), None);
        assert_eq!(before(&listed, "c"), None);
    }
}
