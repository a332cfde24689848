//! Workloads.

use serde_json::{Value, json};

use super::{Arguments, Ask, ControlPlane, Error, kind};
use crate::objects::{Object, text_at};

impl ControlPlane {
    pub(super) async fn create_workload(
        &self,
        ask: Ask<'_>,
        arguments: &Arguments,
    ) -> Result<Value, Error> {
        let (namespace, component) =
            (arguments.text("namespace_name"), arguments.text("component_name"));
        let owner = self.objects.peek(kind("Component"), namespace, component).await?;
        let mut spec = spec(arguments);
        spec["owner"] = json!({
            "projectName": text_at(&owner.data, &["spec", "owner", "projectName"]),
            "componentName": component,
        });
        let name = format!("{component}-workload");
        let body = json!({"metadata": {"name": name}, "spec": spec});
        self.objects.create(ask, kind("Workload"), namespace, body).await?;
        Ok(json!({"name": name, "namespace": namespace, "action": "created"}))
    }

    pub(super) async fn update_workload(
        &self,
        ask: Ask<'_>,
        arguments: &Arguments,
    ) -> Result<Value, Error> {
        let (namespace, name) = (arguments.text("namespace_name"), arguments.text("workload_name"));
        let change = |object: &mut Object| {
            let mut spec = spec(arguments);
            spec["owner"] = object.data["spec"]["owner"].take();
            object.data["spec"] = spec;
            Ok(())
        };
        self.objects.modify(ask, kind("Workload"), namespace, name, None, change).await?;
        Ok(json!({"name": name, "namespace": namespace, "action": "updated"}))
    }

    /// Our own CRD without the owner, which tools set themselves.
    pub(super) async fn workload_schema(&self, _: Ask<'_>, _: &Arguments) -> Result<Value, Error> {
        use curtain_platform::types::{Kind as _, Workload, crd};
        let mut crd = crd(Workload::INFO);
        let path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";
        let mut schema = crd.pointer_mut(path).map(Value::take).unwrap_or_else(|| json!({}));
        if let Some(properties) = schema["properties"].as_object_mut() {
            properties.remove("owner");
        }
        if let Some(required) = schema["required"].as_array_mut() {
            required.retain(|name| name != "owner");
        }
        strip(&mut schema);
        Ok(schema)
    }
}

/// Leaves out what only an API server needs.
fn strip(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.retain(|key, _| !key.starts_with("x-kubernetes-"));
            members.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

fn spec(arguments: &Arguments) -> Value {
    let mut spec = arguments.value("workload_spec").cloned().unwrap_or_else(|| json!({}));
    if let Some(members) = spec.as_object_mut() {
        members.remove("owner");
    }
    spec
}
