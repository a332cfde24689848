//! What runs in the planes.

use serde_json::{Value, json};

use super::{Arguments, Ask, ControlPlane, Error};
use crate::{
    live::LogQuery,
    mcp::economy::{MOST, TYPICAL, cost, cut, fit},
};

/// Lines of a container when the client does not say.
const DEFAULT_LINES: i64 = 50;
/// The most lines of a container.
const MOST_LINES: i64 = 500;

impl ControlPlane {
    /// Without the objects themselves, which would fill the context.
    pub(super) async fn resource_tree(
        &self,
        ask: Ask<'_>,
        arguments: &Arguments,
    ) -> Result<Value, Error> {
        let (namespace, name) =
            (arguments.text("namespace_name"), arguments.text("release_binding_name"));
        let tree = self.live.tree(ask, namespace, name).await?;
        let releases = tree["renderedReleases"].as_array().into_iter().flatten();
        let shown: Vec<Value> = releases
            .map(|release| {
                let nodes = release["nodes"].as_array().into_iter().flatten();
                json!({
                    "name": release["name"],
                    "target_plane": release["targetPlane"],
                    "nodes": nodes.map(node).collect::<Vec<_>>(),
                })
            })
            .collect();
        Ok(json!({ "rendered_releases": shown }))
    }

    pub(super) async fn resource_events(
        &self,
        ask: Ask<'_>,
        arguments: &Arguments,
    ) -> Result<Value, Error> {
        let (namespace, name) =
            (arguments.text("namespace_name"), arguments.text("release_binding_name"));
        let (kind, object) = (arguments.text("kind"), arguments.text("resource_name"));
        self.live.events(ask, namespace, name, kind, object).await
    }

    pub(super) async fn resource_logs(
        &self,
        ask: Ask<'_>,
        arguments: &Arguments,
    ) -> Result<Value, Error> {
        let (namespace, name) =
            (arguments.text("namespace_name"), arguments.text("release_binding_name"));
        let tail = arguments.integer("tail_lines").unwrap_or(DEFAULT_LINES).clamp(1, MOST_LINES);
        let query = LogQuery {
            pod: arguments.text("pod_name"),
            container: arguments.optional("container"),
            since_seconds: arguments.integer("since_seconds"),
            tail_lines: Some(tail),
        };
        let mut lines = self.live.logs(ask, namespace, name, query).await?;
        let full = i64::try_from(lines.len()).is_ok_and(|count| count >= tail);
        lines.iter_mut().for_each(|line| line.log = cut(&line.log));
        // The newest ones count.
        lines.reverse();
        let asked = arguments.integer("tail_lines").is_some();
        let budget = if asked { MOST } else { TYPICAL };
        let gone = fit(&mut lines, budget, |line| cost(&line.log) + line.container.len() + 70);
        lines.reverse();
        let mut result = json!({ "logEntries": lines });
        if gone > 0 {
            result["hint"] = json!(format!(
                "{gone} older lines were left out; ask with tail_lines, or narrow with since_seconds and container"
            ));
        } else if full {
            result["hint"] = json!(
                "the last lines only; raise tail_lines or narrow with since_seconds and container"
            );
        }
        Ok(result)
    }
}

fn node(node: &Value) -> Value {
    let mut shown = json!({});
    for (from, to) in [
        ("group", "group"),
        ("version", "version"),
        ("kind", "kind"),
        ("namespace", "namespace"),
        ("name", "name"),
        ("createdAt", "created_at"),
        ("health", "health"),
    ] {
        if !node[from].is_null() {
            shown[to] = node[from].clone();
        }
    }
    let parents: Vec<Value> = node["parentRefs"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|parent| json!({"kind": parent["kind"], "name": parent["name"], "uid": parent["uid"]}))
        .collect();
    if !parents.is_empty() {
        shown["parent_refs"] = json!(parents);
    }
    shown
}
