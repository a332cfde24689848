//! Kinds that upstream has both in namespaces and in the cluster.
//!
//! Only the cluster's are served here, so a namespace has none of its own: its list is empty, and a name is not found.

use serde_json::{Value, json};

use super::{
    Arguments, Ask, ControlPlane, Error, kind,
    shapes::{self, Shape},
};
use crate::objects::{Object, parameters_schema};

impl ControlPlane {
    async fn list_both(
        &self,
        ask: Ask<'_>,
        kind_name: &str,
        keys: (&str, &str),
        shape: &Shape,
        arguments: &Arguments,
    ) -> Result<Value, Error> {
        self.check_namespace(ask, arguments).await?;
        let (namespaced, cluster) = keys;
        let none: [Value; 0] = [];
        match arguments.text("scope") {
            "namespace" if arguments.text("namespace_name").is_empty() => Err(Error::BadRequest(
                "namespace_name is required when scope is \"namespace\"".to_owned(),
            )),
            "namespace" => {
                let hint = "namespaces have none of their own here; ask with scope \"cluster\"";
                Ok(json!({ namespaced: none, "hint": hint }))
            }
            scope => {
                let mut result = self.list(ask, kind_name, cluster, shape, arguments).await?;
                if scope.is_empty() {
                    result[namespaced] = json!(none);
                }
                Ok(result)
            }
        }
    }

    /// Refuses a namespace that is named and not there.
    async fn check_namespace(&self, ask: Ask<'_>, arguments: &Arguments) -> Result<(), Error> {
        match arguments.text("namespace_name") {
            "" => Ok(()),
            namespace => self.objects.check_namespace_is_there(ask, namespace).await,
        }
    }

    async fn cluster_type(&self, ask: Ask<'_>, arguments: &Arguments) -> Result<Object, Error> {
        self.check_namespace(ask, arguments).await?;
        let given = arguments.text("name");
        if arguments.text("scope") == "namespace" {
            return Err(Error::NotFound { kind: "ComponentType", name: given.to_owned() });
        }
        // Components name their type with its workload type in front; take that too.
        let name = given.split_once('/').map_or(given, |(_, name)| name);
        self.objects.get(ask, kind("ClusterComponentType"), "", name).await
    }

    pub(super) async fn list_component_types(
        &self,
        ask: Ask<'_>,
        arguments: &Arguments,
    ) -> Result<Value, Error> {
        let keys = ("component_types", "cluster_component_types");
        self.list_both(ask, "ClusterComponentType", keys, &shapes::COMPONENT_TYPE, arguments).await
    }

    pub(super) async fn get_component_type(
        &self,
        ask: Ask<'_>,
        arguments: &Arguments,
    ) -> Result<Value, Error> {
        Ok(shapes::WITH_SPEC.show(&self.cluster_type(ask, arguments).await?))
    }

    pub(super) async fn component_type_schema(
        &self,
        ask: Ask<'_>,
        arguments: &Arguments,
    ) -> Result<Value, Error> {
        Ok(parameters_schema(&self.cluster_type(ask, arguments).await?))
    }

    pub(super) async fn list_dataplanes(
        &self,
        ask: Ask<'_>,
        arguments: &Arguments,
    ) -> Result<Value, Error> {
        let keys = ("data_planes", "cluster_data_planes");
        self.list_both(ask, "ClusterDataPlane", keys, &shapes::PLANE, arguments).await
    }
}
