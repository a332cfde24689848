//! Releases and where they run.

use serde_json::{Value, json};

use super::{Arguments, Ask, ControlPlane, Error, kind};
use crate::objects::Object;
use curtain_platform::types::labels::RESTARTED_AT;

/// Arguments that are members of a binding's spec.
const OVERRIDES: [(&str, &str); 3] = [
    ("component_type_environment_configs", "componentTypeEnvironmentConfigs"),
    ("trait_environment_configs", "traitEnvironmentConfigs"),
    ("workload_overrides", "workloadOverrides"),
];

/// Merges what is given into what is there, as RFC 7396 says: an agent that names one setting means no other.
fn overrides(spec: &mut Value, arguments: &Arguments) {
    for (argument, member) in OVERRIDES {
        if let Some(value) = arguments.value(argument) {
            json_patch::merge(&mut spec[member], value);
        }
    }
}

/// Does to a binding what a call of `update_release_binding` says.
pub(super) fn change_binding(object: &mut Object, arguments: &Arguments) {
    let spec = &mut object.data["spec"];
    if let Some(release) = arguments.optional("release_name") {
        spec["releaseName"] = json!(release);
    }
    if let Some(state) = arguments.optional("release_state") {
        spec["state"] = json!(state);
    }
    overrides(spec, arguments);
    if arguments.flag("restart") == Some(true) {
        let annotations = object.metadata.annotations.get_or_insert_default();
        annotations.insert(RESTARTED_AT.to_owned(), jiff::Timestamp::now().to_string());
    }
}

impl ControlPlane {
    pub(super) async fn create_release_binding(
        &self,
        ask: Ask<'_>,
        arguments: &Arguments,
    ) -> Result<Value, Error> {
        let namespace = arguments.text("namespace_name");
        let (component, environment) =
            (arguments.text("component_name"), arguments.text("environment"));
        let mut spec = json!({
            "owner": {"projectName": arguments.text("project_name"), "componentName": component},
            "environment": environment,
            "releaseName": arguments.text("release_name"),
        });
        overrides(&mut spec, arguments);
        let name = format!("{component}-{environment}");
        let body = json!({"metadata": {"name": name}, "spec": spec});
        self.objects.create(ask, kind("ReleaseBinding"), namespace, body).await?;
        Ok(json!({"name": name, "namespace": namespace, "action": "created"}))
    }

    pub(super) async fn update_release_binding(
        &self,
        ask: Ask<'_>,
        arguments: &Arguments,
    ) -> Result<Value, Error> {
        let (namespace, name) = (arguments.text("namespace_name"), arguments.text("binding_name"));
        let change = |object: &mut Object| {
            change_binding(object, arguments);
            Ok(())
        };
        self.objects.modify(ask, kind("ReleaseBinding"), namespace, name, None, change).await?;
        Ok(json!({"name": name, "namespace": namespace, "action": "patched"}))
    }

    pub(super) async fn create_component_release(
        &self,
        ask: Ask<'_>,
        arguments: &Arguments,
    ) -> Result<Value, Error> {
        let (namespace, component) =
            (arguments.text("namespace_name"), arguments.text("component_name"));
        let wished = arguments.optional("release_name");
        let release = self.objects.generate_release(ask, namespace, component, wished).await?;
        Ok(json!({"name": release.metadata.name, "namespace": namespace, "action": "created"}))
    }
}
