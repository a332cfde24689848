//! The components there are, and how each is in its environments.
//!
//! Invariant: a namespace or project that is not there is told with those that are, and is no empty list.

use std::collections::BTreeMap;

use http::Method;
use serde::Serialize;
use serde_json::Value;

use crate::{
    Error,
    access::{Access, encode},
    component::{list as every, project_of},
    demo::external,
};

/// A component, as `component list -o json` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Component {
    /// Its name.
    pub name: String,
    /// Its project.
    pub project: String,
    /// Where it is.
    pub namespace: String,
    /// Its component type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it is deployed.
    pub environments: Vec<Deployed>,
}

/// A component in an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deployed {
    /// The environment.
    pub environment: String,
    /// The release that it runs, or is to run.
    pub release: String,
    /// How far it is rolled out: `Ready`, `Undeployed`, or the controller's reason why it is not ready. How well it does
    /// its work is another matter.
    pub state: String,
    /// Where it answers, if it is open to the outside.
    pub urls: Vec<String>,
}

/// Every component in `namespace`, or in a project of it, by project and name.
///
/// # Errors
/// [`Error::UnknownPlace`] with those there are; what the control plane refuses.
pub async fn list(
    access: &Access,
    namespace: &str,
    project: Option<&str>,
) -> Result<Vec<Component>, Error> {
    let base = format!("/namespaces/{}", encode(namespace));
    let only = project.map(|name| format!("project={}&", encode(name))).unwrap_or_default();
    let found = match every(access, &format!("{base}/components?{only}")).await {
        // Of a project that is not there.
        Err(Error::Answered { status: 404, .. }) => Vec::new(),
        found => found?,
    };
    if found.is_empty() {
        is_there(access, namespace, None).await?;
        if project.is_some() {
            is_there(access, namespace, project).await?;
        }
        return Ok(Vec::new());
    }
    let bindings = every(access, &format!("{base}/releasebindings?{only}")).await?;
    Ok(joined(&found, &bindings, &access.endpoints().gateway))
}

/// Refuses a namespace, or a project of it, that is not there.
async fn is_there(access: &Access, namespace: &str, project: Option<&str>) -> Result<(), Error> {
    let (what, name) = match project {
        Some(project) => ("project", project),
        None => ("namespace", namespace),
    };
    let mut path = format!("/authz/names?namespace={}", encode(namespace));
    if let Some(project) = project {
        path.push_str(&format!("&project={}", encode(project)));
    }
    let answer = access.api(&format!("look up {what} {name}"), Method::GET, &path, None).await?;
    if answer["absent"] != true {
        return Ok(());
    }
    let known = answer["known"].as_array().into_iter().flatten();
    Err(Error::UnknownPlace {
        what,
        name: name.to_owned(),
        namespace: project.map(|_| namespace.to_owned()),
        known: known.filter_map(|name| Some(name.as_str()?.to_owned())).collect(),
    })
}

/// `components` with what `bindings` say of each; `gateway` is where applications answer.
fn joined(components: &[Value], bindings: &[Value], gateway: &str) -> Vec<Component> {
    let mut places: BTreeMap<&str, Vec<Deployed>> = BTreeMap::new();
    for binding in bindings {
        let owner = text(binding, "/spec/owner/componentName");
        places.entry(owner).or_default().push(deployed(binding, gateway));
    }
    let mut all: Vec<Component> = components
        .iter()
        .map(|component| {
            let name = text(component, "/metadata/name");
            let mut environments = places.remove(name).unwrap_or_default();
            environments.sort_by(|a, b| a.environment.cmp(&b.environment));
            Component {
                name: name.to_owned(),
                project: project_of(component).to_owned(),
                namespace: text(component, "/metadata/namespace").to_owned(),
                kind: text(component, "/spec/componentType/name").to_owned(),
                environments,
            }
        })
        .collect();
    all.sort_by(|a, b| (&a.project, &a.name).cmp(&(&b.project, &b.name)));
    all
}

fn deployed(binding: &Value, gateway: &str) -> Deployed {
    let endpoints = binding["status"]["endpoints"].as_array().into_iter().flatten();
    Deployed {
        environment: text(binding, "/spec/environment").to_owned(),
        release: text(binding, "/spec/releaseName").to_owned(),
        state: state(binding),
        urls: endpoints.filter_map(|one| external(one, gateway)).collect(),
    }
}

fn state(binding: &Value) -> String {
    if text(binding, "/spec/state") == "Undeploy" {
        return "Undeployed".to_owned();
    }
    let conditions = binding.pointer("/status/conditions").and_then(Value::as_array);
    let ready = conditions.into_iter().flatten().find(|one| one["type"] == "Ready");
    match ready {
        Some(ready) if ready["status"] == "True" => "Ready".to_owned(),
        Some(ready) if !text(ready, "/reason").is_empty() => text(ready, "/reason").to_owned(),
        _ => "Pending".to_owned(),
    }
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn components_are_sorted_and_tell_how_they_are_where() {
        let component = |name: &str, project: &str| {
            json!({
                "metadata": {"name": name, "namespace": "default"},
                "spec": {"owner": {"projectName": project}, "componentType": {"name": "deployment/service"}},
            })
        };
        let binding = |environment: &str, state: &str, condition: Value| {
            json!({
                "spec": {
                    "owner": {"componentName": "web"}, "environment": environment, "releaseName": "web-1",
                    "state": state,
                },
                "status": {"conditions": [condition], "endpoints": [
                    {"externalURLs": {"http": {"host": "development-default.x.localhost", "path": "/web"}}},
                    {"name": "internal"},
                ]},
            })
        };
        let ready = |status: &str, reason: &str| json!({"type": "Ready", "status": status, "reason": reason});
        let bindings = [
            binding("staging", "Active", ready("False", "ResourcesDegraded")),
            binding("development", "Active", ready("True", "Ready")),
            binding("production", "Undeploy", ready("True", "ResourcesUndeployed")),
            binding("test", "Active", json!({"type": "Rendered"})),
        ];
        let components =
            [component("web", "shop"), component("my", "shop"), component("z", "bank")];
        let all = joined(&components, &bindings, "http://localhost:19080");
        let names: Vec<_> =
            all.iter().map(|one| (one.project.as_str(), one.name.as_str())).collect();
        assert_eq!(names, [("bank", "z"), ("shop", "my"), ("shop", "web")]);
        let places: Vec<_> = all[2]
            .environments
            .iter()
            .map(|one| (one.environment.as_str(), one.state.as_str()))
            .collect();
        let expected = [
            ("development", "Ready"),
            ("production", "Undeployed"),
            ("staging", "ResourcesDegraded"),
            ("test", "Pending"),
        ];
        assert_eq!(places, expected);
        assert_eq!(
            all[2].environments[0].urls,
            ["http://localhost:19080/@development-default/web/"]
        );
        assert!(all[0].environments.is_empty());
    }
}
