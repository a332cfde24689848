//! The tools of the platform, within the bounds of an alert: its namespace, its environment, the time around it, and the
//! components that were reached from it, or that a report on it names.

use std::sync::Arc;

use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::model::{ToolSpec, Toolbox};
use crate::platform::{Server, Tools};
use crate::sre::alert::Request;
use crate::sre::evidence::Evidence;
use crate::sre::report::Range;

/// Tools that help to find a cause; all of them only read. None shows settings: those that are not secret are in the
/// evidence.
pub(super) const TOOLS: [(Server, &str); 8] = [
    (Server::Observer, "query_topology"),
    (Server::Observer, "query_component_logs"),
    (Server::Observer, "query_component_events"),
    (Server::Observer, "query_resource_metrics"),
    (Server::Observer, "query_http_metrics"),
    (Server::Observer, "query_traces"),
    (Server::Observer, "query_trace_spans"),
    (Server::Control, "get_component_release"),
];

/// How far before and after an alert a question about its report may look.
const AROUND: SignedDuration = SignedDuration::from_hours(1);

pub(in crate::sre) struct Bounds {
    tools: Arc<dyn Tools>,
    specs: Vec<ToolSpec>,
    namespace: String,
    environment: String,
    range: Range,
    /// Projects and components that may be looked at.
    within: Vec<(String, String)>,
    /// Releases that may be looked at.
    releases: Vec<String>,
}

impl Bounds {
    /// The tools that the servers offer, for the alert of `evidence`. The error is a sentence.
    pub(super) async fn new(tools: Arc<dyn Tools>, evidence: &Evidence) -> Result<Self, String> {
        let specs = specs(tools.as_ref(), &[Server::Observer, Server::Control]).await?;
        let request = &evidence.request;
        // Of other projects the report tells nothing that its readers may not see.
        let own = evidence.components.keys().filter(|name| !name.contains('/'));
        let within = own.map(|name| (request.project.clone(), name.clone()));
        let deployed = evidence.components.values().filter_map(|one| one.deployment.as_ref());
        let releases =
            deployed.flat_map(|one| [Some(one.release.clone()), one.previous.clone()]).flatten();
        Ok(Self {
            specs,
            namespace: request.namespace.clone(),
            environment: request.environment.clone(),
            range: evidence.range,
            within: within.collect(),
            releases: releases.collect(),
            tools,
        })
    }

    /// The tools that show what runs, for the alert of `request` and the components of its project that `report` names.
    /// The error is a sentence.
    pub(in crate::sre) async fn around(
        tools: Arc<dyn Tools>,
        request: &Request,
        report: &Value,
    ) -> Result<Self, String> {
        let mut names = vec![request.component.clone()];
        let causes = report["result"]["root_causes"].as_array().into_iter().flatten();
        let findings = causes.flat_map(|cause| cause["supporting_findings"].as_array()).flatten();
        let moments = report["result"]["timeline"].as_array().into_iter().flatten();
        for name in findings.chain(moments).filter_map(|one| one["component"].as_str()) {
            if !name.contains('/') && !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        let fired = request.alert.timestamp;
        let range = Range {
            start: fired.saturating_sub(AROUND).unwrap_or(Timestamp::MIN),
            end: fired.saturating_add(AROUND).unwrap_or(Timestamp::MAX),
        };
        Ok(Self {
            specs: specs(tools.as_ref(), &[Server::Observer]).await?,
            namespace: request.namespace.clone(),
            environment: request.environment.clone(),
            range,
            within: names.into_iter().map(|name| (request.project.clone(), name)).collect(),
            releases: Vec::new(),
            tools,
        })
    }

    /// The tools that [`Self::around`] may have.
    pub(in crate::sre) fn looks() -> impl Iterator<Item = &'static str> {
        TOOLS.iter().filter(|(server, _)| *server == Server::Observer).map(|(_, name)| *name)
    }

    /// The arguments of a call within the bounds. The error tells the model what is outside.
    fn bound(&self, server: Server, mut arguments: Value) -> Result<Value, String> {
        let text = |name: &str| arguments[name].as_str().unwrap_or_default().to_owned();
        if server == Server::Control {
            let name = text("release_name");
            if !self.releases.contains(&name) {
                return Err(format!(
                    "{name} has nothing to do with this alert; known are {}",
                    self.releases.join(", ")
                ));
            }
            arguments["namespace_name"] = self.namespace.as_str().into();
            return Ok(arguments);
        }
        let (project, component) = (text("project"), text("component"));
        let known = self.within.iter().any(|(in_project, name)| {
            *in_project == project && (component.is_empty() || *name == component)
        });
        if !known {
            let all: Vec<String> =
                self.within.iter().map(|(project, name)| format!("{project}/{name}")).collect();
            return Err(format!(
                "{project}/{component} is not connected with this alert; give project and component: {}",
                all.join(", ")
            ));
        }
        let time = |name: &str, otherwise: Timestamp| {
            let asked = arguments[name].as_str().and_then(|time| time.parse().ok());
            asked.unwrap_or(otherwise).clamp(self.range.start, self.range.end)
        };
        let (start, end) = (time("start_time", self.range.start), time("end_time", self.range.end));
        arguments["namespace"] = self.namespace.as_str().into();
        arguments["environment"] = self.environment.as_str().into();
        arguments["start_time"] = start.to_string().into();
        arguments["end_time"] = end.to_string().into();
        Ok(arguments)
    }
}

/// Those of [`TOOLS`] that `servers` offer.
async fn specs(tools: &dyn Tools, servers: &[Server]) -> Result<Vec<ToolSpec>, String> {
    let mut specs = Vec::new();
    for server in servers {
        let listed = tools.offered(*server).await?;
        let helps = |tool: &&Value| {
            TOOLS.iter().any(|one| (one.0, one.1.into()) == (*server, tool["name"].clone()))
        };
        specs.extend(listed.iter().filter(helps).map(spec));
    }
    Ok(specs)
}

fn spec(tool: &Value) -> ToolSpec {
    let text = |name: &str| tool[name].as_str().unwrap_or_default().to_owned();
    ToolSpec {
        name: text("name"),
        description: text("description"),
        input_schema: tool["inputSchema"].clone(),
        read_only: tool["annotations"]["readOnlyHint"] == true,
    }
}

impl Toolbox for Bounds {
    fn specs(&self) -> Vec<ToolSpec> {
        self.specs.clone()
    }

    fn call<'a>(
        &'a self,
        name: &'a str,
        arguments: Value,
    ) -> BoxFuture<'a, Result<String, String>> {
        Box::pin(async move {
            let known = TOOLS.iter().find(|(_, tool)| *tool == name);
            let (server, tool) = known.ok_or_else(|| format!("there is no tool {name}"))?;
            let arguments = self.bound(*server, arguments)?;
            self.tools.call(*server, tool, arguments).await.map(|answer| answer.to_string())
        })
    }
}
