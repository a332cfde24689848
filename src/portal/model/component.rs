//! A component: what runs of it in every environment, and who may change that.

use super::overrides::overrides;
use super::{
    Binding, Override, Status, component_named, path, pipeline_path, project_named, text, title,
    titled,
};
use crate::backend::User;
use crate::error::{BackendError, softly};
use crate::health::Health;
use crate::login::encode;
use crate::pages::component::Place;
use serde_json::{Value, json};

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
    /// How it is doing; until [`crate::health::observe`], as far as its binding tells.
    pub(crate) health: Health,
    /// What is wrong with it, if anything is known to be.
    pub(crate) complaint: Option<String>,
    /// What is set for this environment alone.
    pub(crate) overrides: Vec<Override>,
    /// Where its release may go next.
    pub(crate) targets: Vec<String>,
    /// Whether the person may change what runs here, or why not.
    pub(crate) may_change: Result<(), String>,
}

impl Lane {
    pub(crate) fn status(&self) -> Status {
        self.binding.as_ref().map_or(Status::NotDeployed, |binding| binding.status)
    }
}

pub(crate) async fn component(
    user: &User<'_>,
    place: &Place,
) -> Result<ComponentView, BackendError> {
    let base = format!("/namespaces/{}", encode(&place.namespace));
    let component = encode(&place.component);
    let paths = (
        format!("{base}/releasebindings?component={component}"),
        format!("{base}/workloads?component={component}"),
        format!("{base}/environments"),
    );
    let (project, component, bindings, workloads, environments) = tokio::try_join!(
        project_named(user, &place.namespace, &place.project),
        component_named(user, place),
        user.list(&paths.0),
        user.list(&paths.1),
        user.list(&paths.2),
    )?;
    let pipeline = user.get(&pipeline_path(&base, &project)).await?;
    let mut lanes = Vec::new();
    for (name, targets) in path(&pipeline) {
        let environment =
            environments.iter().find(|environment| text(environment, "/metadata/name") == name);
        let bound = bindings.iter().find(|binding| {
            text(binding, "/spec/environment") == name
                && text(binding, "/spec/owner/componentName") == place.component
        });
        let binding = bound.map(Binding::of);
        let overrides = match bound {
            Some(bound) => set_here(user, &base, bound).await?,
            None => Vec::new(),
        };
        let status = binding.as_ref().map_or(Status::NotDeployed, |binding| binding.status);
        lanes.push(Lane {
            health: Health::of(status, false, false),
            complaint: None,
            title: environment.map_or(name.as_str(), title).to_owned(),
            production: environment
                .is_some_and(|environment| environment["spec"]["isProduction"] == true),
            binding,
            overrides,
            targets,
            may_change: Ok(()),
            name,
        });
    }
    let hierarchy = json!({
        "namespace": place.namespace, "project": place.project, "component": place.component,
    });
    let questions: Vec<(&str, Value, Value)> = lanes
        .iter()
        .map(|lane| {
            let action = match lane.binding {
                Some(_) => "releasebinding:update",
                None => "releasebinding:create",
            };
            let environment = format!("{}/{}", place.namespace, lane.name);
            (action, hierarchy.clone(), json!({"environment": environment}))
        })
        .collect();
    let answers = user.may(&questions).await?;
    for (lane, answer) in lanes.iter_mut().zip(answers) {
        lane.may_change = answer;
    }
    let project = title(&project).to_owned();
    Ok(ComponentView { project, component, image: image(&workloads), environments: lanes })
}

/// What a binding sets for its environment alone. Its release is read only if there is something to compare.
async fn set_here(
    user: &User<'_>,
    base: &str,
    binding: &Value,
) -> Result<Vec<Override>, BackendError> {
    let set = overrides(binding, None);
    let release = text(binding, "/spec/releaseName");
    if set.is_empty() || release.is_empty() {
        return Ok(set);
    }
    let path = format!("{base}/componentreleases/{}", encode(release));
    let release = softly(user.get(&path).await)?;
    Ok(release.map_or(set, |release| overrides(binding, Some(&release))))
}

/// What the first workload that says so runs.
fn image(workloads: &[Value]) -> Option<String> {
    let mut images = workloads.iter().map(|workload| text(workload, "/spec/container/image"));
    images.find(|image| !image.is_empty()).map(str::to_owned)
}

/// What stands above each page of a component.
pub(crate) struct Head {
    /// What the project is called.
    pub(crate) project: String,
    pub(crate) component: Value,
    /// What it runs, when a workload says so.
    pub(crate) image: Option<String>,
    /// Name and title, in the order of the pipeline.
    pub(crate) environments: Vec<(String, String)>,
}

/// Reads what stands above each page of a component.
pub(crate) async fn head(user: &User<'_>, place: &Place) -> Result<Head, BackendError> {
    let base = format!("/namespaces/{}", encode(&place.namespace));
    let paths = (
        format!("{base}/environments"),
        format!("{base}/workloads?component={}", encode(&place.component)),
    );
    let (project, component, known, workloads) = tokio::try_join!(
        project_named(user, &place.namespace, &place.project),
        component_named(user, place),
        user.list(&paths.0),
        user.list(&paths.1),
    )?;
    let pipeline = user.get(&pipeline_path(&base, &project)).await?;
    let (image, environments) = (image(&workloads), titled(&pipeline, &known));
    Ok(Head { project: title(&project).to_owned(), component, image, environments })
}

/// A component is found in its own project only.
pub(crate) fn belongs(component: &Value, place: &Place) -> Result<(), BackendError> {
    if text(component, "/spec/owner/projectName") == place.project {
        return Ok(());
    }
    let message = format!("there is no component {} in {}", place.component, place.project);
    Err(BackendError::NotFound(message))
}
