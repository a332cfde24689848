//! What the pages show, put together from the API's objects.

use crate::backend::User;
use crate::error::BackendError;
use crate::login::encode;
use crate::pages::component::Place;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

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

/// How a component is doing in an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    NotDeployed,
    Undeployed,
    Ready,
    Progressing,
    Failed,
}

impl Status {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Status::NotDeployed => "Not deployed",
            Status::Undeployed => "Undeployed",
            Status::Ready => "Ready",
            Status::Progressing => "In progress",
            Status::Failed => "Failed",
        }
    }

    /// The class that colours it.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Status::NotDeployed | Status::Undeployed => "idle",
            Status::Ready => "good",
            Status::Progressing => "busy",
            Status::Failed => "bad",
        }
    }

    /// Read off a ReleaseBinding.
    pub(crate) fn of(binding: &Value) -> Status {
        if text(binding, "/spec/state") == "Undeploy" {
            return Status::Undeployed;
        }
        let Some(ready) = ready(binding) else { return Status::Progressing };
        match (text(ready, "/status"), text(ready, "/reason")) {
            ("True", _) => Status::Ready,
            (
                _,
                "RenderingFailed"
                | "ResourceApplyFailed"
                | "ResourcesDegraded"
                | "JobFailed"
                | "ReleaseUpdateFailed"
                | "ReleaseOwnershipConflict"
                | "ReleaseDeletionFailed"
                | "InvalidReleaseConfiguration",
            ) => Status::Failed,
            (_, reason) if reason.ends_with("NotFound") => Status::Failed,
            _ => Status::Progressing,
        }
    }
}

fn ready(object: &Value) -> Option<&Value> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|condition| condition["type"] == "Ready")
}

/// Why an object is not ready, in the controller's words.
pub(crate) fn reason(object: &Value) -> String {
    let Some(ready) = ready(object) else { return String::new() };
    match (text(ready, "/reason"), text(ready, "/message")) {
        (reason, "") => reason.to_owned(),
        (_, message) => message.to_owned(),
    }
}

/// A component in an environment.
#[derive(Debug, Clone)]
pub(crate) struct Binding {
    pub(crate) name: String,
    pub(crate) release: String,
    pub(crate) status: Status,
    pub(crate) reason: String,
    pub(crate) updated: String,
    pub(crate) endpoints: Vec<Endpoint>,
}

/// Where an endpoint answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) name: String,
    pub(crate) kind: String,
    /// Open to the browser.
    pub(crate) external: Option<String>,
    /// The same without a name below `localhost`, which some systems do not resolve.
    pub(crate) plain: Option<String>,
    /// Within the data plane.
    pub(crate) service: Option<String>,
}

impl Binding {
    fn of(object: &Value) -> Binding {
        let status = Status::of(object);
        Binding {
            name: text(object, "/metadata/name").to_owned(),
            release: text(object, "/spec/releaseName").to_owned(),
            status,
            reason: if status == Status::Ready { String::new() } else { reason(object) },
            updated: ready(object)
                .map(|ready| text(ready, "/lastTransitionTime"))
                .filter(|time| !time.is_empty())
                .unwrap_or_else(|| text(object, "/metadata/creationTimestamp"))
                .to_owned(),
            endpoints: object["status"]["endpoints"]
                .as_array()
                .into_iter()
                .flatten()
                .map(Endpoint::of)
                .collect(),
        }
    }
}

impl Endpoint {
    fn of(status: &Value) -> Endpoint {
        let external = ["https", "http", "tls"]
            .iter()
            .map(|listener| &status["externalURLs"][*listener])
            .find(|url| url["host"].is_string());
        Endpoint {
            name: text(status, "/name").to_owned(),
            kind: text(status, "/type").to_owned(),
            external: external.map(address),
            plain: external.and_then(plain),
            service: Some(&status["serviceURL"]).filter(|url| url["host"].is_string()).map(address),
        }
    }
}

fn address(url: &Value) -> String {
    let mut address = String::new();
    if let Some(scheme) = url["scheme"].as_str().filter(|scheme| !scheme.is_empty()) {
        address.push_str(&format!("{scheme}://"));
    }
    address.push_str(url["host"].as_str().unwrap_or_default());
    let usual = matches!(
        (url["scheme"].as_str(), url["port"].as_i64()),
        (Some("http"), Some(80)) | (Some("https"), Some(443))
    );
    if let Some(port) = url["port"].as_i64().filter(|_| !usual) {
        address.push_str(&format!(":{port}"));
    }
    address.push_str(url["path"].as_str().unwrap_or_default());
    address
}

/// `http://localhost:19080/@first-label/path` for a host below `.localhost`.
fn plain(url: &Value) -> Option<String> {
    let host = url["host"].as_str()?.strip_suffix(".localhost")?;
    if url["scheme"].as_str()? != "http" {
        return None;
    }
    let label = host.split('.').next()?;
    let (port, path) = (url["port"].as_i64()?, url["path"].as_str().unwrap_or_default());
    Some(format!("http://localhost:{port}/@{label}{path}"))
}

/// Every project that the person may see, by namespace.
pub(crate) async fn projects(user: &User<'_>) -> Result<Vec<(Value, Vec<Value>)>, BackendError> {
    let mut all = Vec::new();
    for namespace in user.list("/namespaces").await? {
        let path = format!("/namespaces/{}/projects", encode(text(&namespace, "/metadata/name")));
        let projects = user.list(&path).await?;
        all.push((namespace, projects));
    }
    Ok(all)
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

/// A project with its components and how each is doing where.
pub(crate) struct ProjectView {
    pub(crate) project: Value,
    /// Name and title, in the order of the pipeline.
    pub(crate) environments: Vec<(String, String)>,
    pub(crate) components: Vec<ComponentRow>,
}

pub(crate) struct ComponentRow {
    pub(crate) component: Value,
    /// One per environment.
    pub(crate) status: Vec<Status>,
}

pub(crate) async fn project(
    user: &User<'_>,
    namespace: &str,
    name: &str,
) -> Result<ProjectView, BackendError> {
    let base = format!("/namespaces/{}", encode(namespace));
    let project = user.get(&format!("{base}/projects/{}", encode(name))).await?;
    let (pipeline, bindings) = (pipeline_path(&base, &project), format!("{base}/releasebindings"));
    let components = format!("{base}/components?project={}", encode(name));
    let known = format!("{base}/environments");
    let (pipeline, components, bindings, known) = tokio::try_join!(
        user.get(&pipeline),
        user.list(&components),
        user.list(&bindings),
        user.list(&known),
    )?;
    let titled = |name: String| {
        let found = known.iter().find(|found| text(found, "/metadata/name") == name);
        let title = found.map_or(name.as_str(), title).to_owned();
        (name, title)
    };
    let environments: Vec<(String, String)> =
        path(&pipeline).into_iter().map(|(name, _)| titled(name)).collect();
    let mut statuses: BTreeMap<(&str, &str), Status> = BTreeMap::new();
    for binding in &bindings {
        if text(binding, "/spec/owner/projectName") == name {
            let owner = text(binding, "/spec/owner/componentName");
            statuses.insert((owner, text(binding, "/spec/environment")), Status::of(binding));
        }
    }
    let components = components
        .into_iter()
        .map(|component| {
            let name = text(&component, "/metadata/name").to_owned();
            let status = environments
                .iter()
                .map(|(environment, _)| {
                    let found = statuses.get(&(name.as_str(), environment.as_str()));
                    found.copied().unwrap_or(Status::NotDeployed)
                })
                .collect();
            ComponentRow { component, status }
        })
        .collect();
    Ok(ProjectView { project, environments, components })
}

fn pipeline_path(base: &str, project: &Value) -> String {
    let name = text(project, "/spec/deploymentPipelineRef/name");
    let name = if name.is_empty() { "default" } else { name };
    format!("{base}/deploymentpipelines/{}", encode(name))
}

/// A component with its environments in the order of the pipeline.
pub(crate) struct ComponentView {
    /// What the project is called.
    pub(crate) project: String,
    pub(crate) component: Value,
    /// What it runs, when a workload says so.
    pub(crate) image: Option<String>,
    pub(crate) environments: Vec<Lane>,
}

/// A component's place in the pipeline.
pub(crate) struct Lane {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) production: bool,
    pub(crate) binding: Option<Binding>,
    /// Where its release may go next.
    pub(crate) targets: Vec<String>,
    /// Whether the person may change what runs here, or why not.
    pub(crate) may_change: Result<(), String>,
}

pub(crate) async fn component(
    user: &User<'_>,
    place: &Place,
) -> Result<ComponentView, BackendError> {
    let base = format!("/namespaces/{}", encode(&place.namespace));
    let (project, component) = (encode(&place.project), encode(&place.component));
    let paths = (
        format!("{base}/projects/{project}"),
        format!("{base}/components/{component}"),
        format!("{base}/releasebindings?component={component}"),
        format!("{base}/workloads?component={component}"),
        format!("{base}/environments"),
    );
    let (project, component, bindings, workloads, environments) = tokio::try_join!(
        user.get(&paths.0),
        user.get(&paths.1),
        user.list(&paths.2),
        user.list(&paths.3),
        user.list(&paths.4),
    )?;
    if text(&component, "/spec/owner/projectName") != place.project {
        let message = format!("there is no component {} in {}", place.component, place.project);
        return Err(BackendError::NotFound(message));
    }
    let pipeline = user.get(&pipeline_path(&base, &project)).await?;
    let mut lanes = Vec::new();
    for (name, targets) in path(&pipeline) {
        let environment =
            environments.iter().find(|environment| text(environment, "/metadata/name") == name);
        let binding = bindings
            .iter()
            .find(|binding| {
                text(binding, "/spec/environment") == name
                    && text(binding, "/spec/owner/componentName") == place.component
            })
            .map(Binding::of);
        lanes.push(Lane {
            title: environment.map_or(name.as_str(), title).to_owned(),
            production: environment
                .is_some_and(|environment| environment["spec"]["isProduction"] == true),
            binding,
            targets,
            may_change: Ok(()),
            name,
        });
    }
    let hierarchy = json!({
        "namespace": place.namespace, "project": place.project, "component": place.component,
    });
    let questions: Vec<(&str, Value, String)> = lanes
        .iter()
        .map(|lane| {
            let action = match lane.binding {
                Some(_) => "releasebinding:update",
                None => "releasebinding:create",
            };
            (action, hierarchy.clone(), format!("{}/{}", place.namespace, lane.name))
        })
        .collect();
    let answers = user.may(&questions).await?;
    for (lane, answer) in lanes.iter_mut().zip(answers) {
        lane.may_change = answer;
    }
    let image = workloads
        .iter()
        .map(|workload| text(workload, "/spec/container/image"))
        .find(|image| !image.is_empty())
        .map(str::to_owned);
    let project = title(&project).to_owned();
    Ok(ComponentView { project, component, image, environments: lanes })
}

#[cfg(test)]
mod tests {
    use super::{Binding, Status, path};
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

    #[test]
    fn bindings_tell_how_they_are_doing() {
        let binding = |state: &str, status: &str, reason: &str| {
            Status::of(&json!({"spec": {"state": state}, "status": {"conditions": [
                {"type": "Ready", "status": status, "reason": reason},
            ]}}))
        };
        assert_eq!(binding("Active", "True", "Ready"), Status::Ready);
        assert_eq!(binding("Active", "False", "ResourcesProgressing"), Status::Progressing);
        assert_eq!(binding("Active", "False", "RenderingFailed"), Status::Failed);
        assert_eq!(binding("Active", "False", "EnvironmentNotFound"), Status::Failed);
        assert_eq!(binding("Undeploy", "False", "ResourcesUndeployed"), Status::Undeployed);
        assert_eq!(Status::of(&json!({})), Status::Progressing);
    }

    #[test]
    fn addresses_have_a_plain_form_below_localhost() {
        let binding = Binding::of(&json!({"metadata": {"name": "b"}, "status": {"endpoints": [{
            "name": "http", "type": "HTTP",
            "serviceURL": {"scheme": "http", "host": "g.cell.svc.cluster.local", "port": 80},
            "externalURLs": {"http": {"scheme": "http", "port": 19080, "path": "/greeter-http",
                "host": "development-default.openchoreoapis.localhost"}},
        }]}}));
        let endpoint = &binding.endpoints[0];
        let external = "http://development-default.openchoreoapis.localhost:19080/greeter-http";
        assert_eq!(endpoint.external.as_deref(), Some(external));
        let plain = "http://localhost:19080/@development-default/greeter-http";
        assert_eq!(endpoint.plain.as_deref(), Some(plain));
        assert_eq!(endpoint.service.as_deref(), Some("http://g.cell.svc.cluster.local"));
    }
}
