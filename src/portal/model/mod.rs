//! What the pages show, put together from the API's objects.

mod binding;
mod component;
mod endpoint;
mod named;
mod overrides;
mod project;
mod release;

pub(crate) use binding::{Binding, Status, reason};
pub(crate) use component::{ComponentView, Head, Lane, belongs, component, head};
pub(crate) use endpoint::{Endpoint, Inner};
pub(crate) use named::{component_named, project_named};
pub(crate) use overrides::{Override, Was};
pub(crate) use project::{ComponentRow, ProjectView, project};
pub(crate) use release::{is_way_back, releases};

use crate::backend::User;
use crate::error::BackendError;
use crate::login::encode;
use serde_json::Value;
use std::collections::BTreeSet;

/// The text at a JSON pointer, or nothing.
pub(crate) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The name people gave an object, or else its own.
pub(crate) fn title(object: &Value) -> &str {
    let display = object["metadata"]["annotations"]["openchoreo.dev/display-name"].as_str();
    display.filter(|name| !name.is_empty()).unwrap_or_else(|| text(object, "/metadata/name"))
}

pub(crate) fn description(object: &Value) -> &str {
    object["metadata"]["annotations"]["openchoreo.dev/description"].as_str().unwrap_or_default()
}

/// The items of a list, taken out of an answer.
pub(crate) fn taken(list: &mut Value) -> Vec<Value> {
    match list.take() {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}

/// Namespace and name of the project with components, if beside `default` there is exactly one.
pub(crate) async fn only_project(
    user: &User<'_>,
) -> Result<Option<(String, String)>, BackendError> {
    let mut used = BTreeSet::new();
    for namespace in user.list("/namespaces").await? {
        let namespace = text(&namespace, "/metadata/name");
        let path = format!("/namespaces/{}/components", encode(namespace));
        for component in user.list(&path).await? {
            let project = text(&component, "/spec/owner/projectName");
            if !["", "default"].contains(&project) {
                used.insert((namespace.to_owned(), project.to_owned()));
            }
        }
    }
    Ok(if used.len() == 1 { used.pop_first() } else { None })
}

/// The environments of a pipeline in the order releases go through them, with the ones each leads
/// to.
pub(crate) fn path(pipeline: &Value) -> Vec<(String, Vec<String>)> {
    let mut order: Vec<(String, Vec<String>)> = Vec::new();
    for edge in pipeline["spec"]["promotionPaths"].as_array().into_iter().flatten() {
        let source = text(edge, "/sourceEnvironmentRef/name").to_owned();
        let targets: Vec<String> = edge["targetEnvironmentRefs"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|target| text(target, "/name").to_owned())
            .collect();
        for name in std::iter::once(&source).chain(&targets) {
            if !order.iter().any(|(known, _)| known == name) {
                order.push((name.clone(), Vec::new()));
            }
        }
        if let Some((_, known)) = order.iter_mut().find(|(name, _)| *name == source) {
            known.extend(targets);
        }
    }
    order
}

/// Name and title of each environment of a pipeline, in order.
fn titled(pipeline: &Value, known: &[Value]) -> Vec<(String, String)> {
    let titled = |name: String| {
        let found = known.iter().find(|found| text(found, "/metadata/name") == name);
        let title = found.map_or(name.as_str(), title).to_owned();
        (name, title)
    };
    path(pipeline).into_iter().map(|(name, _)| titled(name)).collect()
}

fn pipeline_path(base: &str, project: &Value) -> String {
    let name = text(project, "/spec/deploymentPipelineRef/name");
    let name = if name.is_empty() { "default" } else { name };
    format!("{base}/deploymentpipelines/{}", encode(name))
}

#[cfg(test)]
mod tests {
    use super::path;
    use serde_json::json;

    #[test]
    fn pipelines_give_an_order() {
        let pipeline = json!({"spec": {"promotionPaths": [
            {"sourceEnvironmentRef": {"name": "development"}, "targetEnvironmentRefs": [{"name": "staging"}]},
            {"sourceEnvironmentRef": {"name": "staging"}, "targetEnvironmentRefs": [{"name": "production"}]},
        ]}});
        let order = path(&pipeline);
        let names: Vec<&str> = order.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["development", "staging", "production"]);
        assert_eq!(order[0].1, ["staging"]);
        assert!(order[2].1.is_empty());
    }
}
