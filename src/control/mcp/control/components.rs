//! Components.

use serde_json::{Value, json};

use super::{
    Arguments, Ask, ControlPlane, Error, kind,
    projects::{annotate, annotations},
};
use crate::objects::{Object, text_at};

impl ControlPlane {
    pub(super) async fn create_component(
        &self,
        ask: Ask<'_>,
        arguments: &Arguments,
    ) -> Result<Value, Error> {
        let (namespace, name) = (arguments.text("namespace_name"), arguments.text("name"));
        let component_type = self.resolve_type(arguments.text("component_type")).await?;
        let mut spec = json!({
            "owner": {"projectName": arguments.text("project_name")},
            "componentType": {"kind": "ClusterComponentType", "name": component_type},
            "autoDeploy": arguments.flag("auto_deploy").unwrap_or(true),
        });
        for part in ["parameters", "workflow"] {
            if let Some(value) = arguments.value(part) {
                spec[part] = value.clone();
            }
        }
        let metadata = json!({"name": name, "annotations": annotations(arguments)});
        let body = json!({"metadata": metadata, "spec": spec});
        self.objects.create(ask, kind("Component"), namespace, body).await?;
        Ok(json!({
            "name": name, "namespace": namespace, "action": "created", "componentType": component_type,
        }))
    }

    /// `workloadType/name` of an existing type; the name alone is enough.
    async fn resolve_type(&self, wanted: &str) -> Result<String, Error> {
        let name = type_name(wanted);
        let found = self.objects.peek(kind("ClusterComponentType"), "", name).await?;
        let full = format!("{}/{name}", text_at(&found.data, &["spec", "workloadType"]));
        if wanted.contains('/') && wanted != full {
            return Err(Error::BadRequest(format!(
                "component type {wanted:?} not found; did you mean {full:?}?"
            )));
        }
        Ok(full)
    }

    pub(super) async fn patch_component(
        &self,
        ask: Ask<'_>,
        arguments: &Arguments,
    ) -> Result<Value, Error> {
        let (namespace, name) =
            (arguments.text("namespace_name"), arguments.text("component_name"));
        let change = |object: &mut Object| {
            annotate(object, arguments);
            let spec = &mut object.data["spec"];
            if let Some(auto_deploy) = arguments.flag("auto_deploy") {
                spec["autoDeploy"] = json!(auto_deploy);
            }
            for part in ["parameters", "traits", "workflow"] {
                if let Some(value) = arguments.value(part) {
                    spec[part] = value.clone();
                }
            }
            Ok(())
        };
        self.objects.modify(ask, kind("Component"), namespace, name, None, change).await?;
        Ok(json!({"name": name, "namespace": namespace, "action": "patched"}))
    }

    pub(super) async fn component_schema(
        &self,
        ask: Ask<'_>,
        arguments: &Arguments,
    ) -> Result<Value, Error> {
        let (namespace, name) =
            (arguments.text("namespace_name"), arguments.text("component_name"));
        self.objects.component_schema(ask, namespace, name).await
    }
}

/// The name of the type that is written `workloadType/name` or `name`.
pub(super) fn type_name(written: &str) -> &str {
    written.split_once('/').map_or(written, |(_, name)| name)
}
