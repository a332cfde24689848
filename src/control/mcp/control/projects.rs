//! Namespaces and projects.

use serde_json::{Value, json};

use super::{Arguments, Ask, ControlPlane, Error, kind};
use crate::objects::{DESCRIPTION, DISPLAY_NAME, Object};

/// The two annotations for people, as far as they were given.
pub(super) fn annotations(arguments: &Arguments) -> Value {
    let mut annotations = json!({});
    for (key, argument) in [(DISPLAY_NAME, "display_name"), (DESCRIPTION, "description")] {
        if let Some(text) = arguments.optional(argument) {
            annotations[key] = json!(text);
        }
    }
    annotations
}

/// Sets the two annotations for people, as far as they were given.
pub(super) fn annotate(object: &mut Object, arguments: &Arguments) {
    for (key, argument) in [(DISPLAY_NAME, "display_name"), (DESCRIPTION, "description")] {
        if let Some(text) = arguments.optional(argument) {
            let annotations = object.metadata.annotations.get_or_insert_default();
            annotations.insert(key.to_owned(), text.to_owned());
        }
    }
}

impl ControlPlane {
    pub(super) async fn create_namespace(
        &self,
        ask: Ask<'_>,
        arguments: &Arguments,
    ) -> Result<Value, Error> {
        let name = arguments.text("name");
        let body = json!({"metadata": {"name": name, "annotations": annotations(arguments)}});
        self.objects.create(ask, kind("Namespace"), "", body).await?;
        Ok(json!({"name": name, "action": "created"}))
    }

    pub(super) async fn create_project(
        &self,
        ask: Ask<'_>,
        arguments: &Arguments,
    ) -> Result<Value, Error> {
        let (namespace, name) = (arguments.text("namespace_name"), arguments.text("name"));
        let mut spec = json!({});
        if let Some(pipeline) = arguments.optional("deployment_pipeline") {
            spec["deploymentPipelineRef"] = json!({"kind": "DeploymentPipeline", "name": pipeline});
        }
        if let Some(type_name) = arguments.optional("type_name") {
            let type_kind = arguments.optional("type_kind").unwrap_or("ProjectType");
            spec["type"] = json!({"kind": type_kind, "name": type_name});
        }
        if let Some(parameters) = arguments.value("parameters") {
            spec["parameters"] = parameters.clone();
        }
        let metadata = json!({"name": name, "annotations": annotations(arguments)});
        let body = json!({"metadata": metadata, "spec": spec});
        self.objects.create(ask, kind("Project"), namespace, body).await?;
        Ok(json!({"name": name, "namespace": namespace, "action": "created"}))
    }

    pub(super) async fn update_project(
        &self,
        ask: Ask<'_>,
        arguments: &Arguments,
    ) -> Result<Value, Error> {
        let (namespace, name) = (arguments.text("namespace_name"), arguments.text("project_name"));
        let change = |object: &mut Object| {
            annotate(object, arguments);
            if let Some(pipeline) = arguments.optional("deployment_pipeline") {
                object.data["spec"]["deploymentPipelineRef"] =
                    json!({"kind": "DeploymentPipeline", "name": pipeline});
            }
            Ok(())
        };
        let changed =
            self.objects.modify(ask, kind("Project"), namespace, name, None, change).await?;
        let pipeline = &changed.data["spec"]["deploymentPipelineRef"]["name"];
        Ok(json!({
            "name": name, "namespace": namespace, "action": "updated", "deploymentPipelineRef": pipeline,
        }))
    }
}
