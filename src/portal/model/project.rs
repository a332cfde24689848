//! A project: its components, and how each is doing in every environment.

use super::{Status, pipeline_path, project_named, text, titled};
use crate::backend::User;
use crate::error::BackendError;
use crate::login::encode;
use serde_json::Value;
use std::collections::BTreeMap;

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
    let project = project_named(user, namespace, name).await?;
    let (pipeline, bindings) = (pipeline_path(&base, &project), format!("{base}/releasebindings"));
    let components = format!("{base}/components?project={}", encode(name));
    let known = format!("{base}/environments");
    let (pipeline, components, bindings, known) = tokio::try_join!(
        user.get(&pipeline),
        user.list(&components),
        user.list(&bindings),
        user.list(&known),
    )?;
    let environments = titled(&pipeline, &known);
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
