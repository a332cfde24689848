//! Schemas that a caller's values must meet.

use serde_json::{Map, Value, json};

use super::{Ask, Error, Object, Objects, kind, view::text_at};

/// The schema of the parameters of a component type or trait; an empty object schema when there are none.
pub fn parameters_schema(object: &Object) -> Value {
    section(&object.data["spec"], "parameters").unwrap_or_else(nothing)
}

fn section(spec: &Value, name: &str) -> Option<Value> {
    let schema = spec.get(name)?.get("openAPIV3Schema")?;
    schema.is_object().then(|| schema.clone())
}

fn nothing() -> Value {
    json!({"type": "object", "properties": {}})
}

impl Objects {
    /// What a binding of `component` may set per environment: of its type, and of each trait instance.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the component, its type or a trait; [`Error::Denied`].
    pub async fn component_schema(
        &self,
        ask: Ask<'_>,
        namespace: &str,
        component: &str,
    ) -> Result<Value, Error> {
        let component = self.get(ask, kind("Component"), namespace, component).await?;
        let spec = &component.data["spec"];
        let full = text_at(spec, &["componentType", "name"]);
        let name = full.split_once('/').map_or(full.as_str(), |(_, name)| name);
        let component_type = self.peek(kind("ClusterComponentType"), namespace, name).await?;
        let mut properties = Map::new();
        if let Some(schema) = section(&component_type.data["spec"], "environmentConfigs") {
            properties.insert("componentTypeEnvironmentConfigs".to_owned(), schema);
        }
        let mut of_traits = Map::new();
        let built_in = component_type.data["spec"]["traits"].as_array().into_iter().flatten();
        for used in built_in.chain(spec["traits"].as_array().into_iter().flatten()) {
            let cluster = text_at(used, &["kind"]) == "ClusterTrait";
            let row = kind(if cluster { "ClusterTrait" } else { "Trait" });
            let found = self.peek(row, namespace, &text_at(used, &["name"])).await?;
            if let Some(schema) = section(&found.data["spec"], "environmentConfigs") {
                of_traits.insert(text_at(used, &["instanceName"]), schema);
            }
        }
        if !of_traits.is_empty() {
            let schema = json!({"type": "object", "properties": of_traits});
            properties.insert("traitEnvironmentConfigs".to_owned(), schema);
        }
        Ok(json!({"type": "object", "properties": properties}))
    }
}
