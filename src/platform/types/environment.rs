//! Environments and the pipelines that order them.

use super::{Condition, GatewaySpec, schema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A place components are deployed to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::rules(&[(
    "!has(oldSelf.dataPlaneRef) || oldSelf.dataPlaneRef == self.dataPlaneRef",
    "dataPlaneRef is immutable once set",
)])))]
pub struct EnvironmentSpec {
    /// The data plane; the plane named `default` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_plane_ref: Option<DataPlaneRef>,
    /// Gateways that replace the data plane's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<GatewaySpec>,
    /// Whether people rely on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_production: Option<bool>,
}

/// A reference to a data plane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DataPlaneRef {
    /// Namespaced or cluster-scoped.
    pub kind: DataPlaneKind,
    /// Name of the plane.
    pub name: String,
}

/// The kinds of data plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub enum DataPlaneKind {
    DataPlane,
    ClusterDataPlane,
}

/// A status of conditions alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConditionsStatus {
    /// The generation this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The aspects that controllers report.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// The order in which releases go from environment to environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentPipelineSpec {
    /// The edges of the promotion graph.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub promotion_paths: Vec<PromotionPath>,
}

impl DeploymentPipelineSpec {
    /// The environment releases enter: the first source that is never a target.
    pub fn root(&self) -> Option<&str> {
        let targeted = |name: &str| {
            self.promotion_paths
                .iter()
                .flat_map(|p| &p.target_environment_refs)
                .any(|t| t.name == name)
        };
        self.promotion_paths
            .iter()
            .map(|p| p.source_environment_ref.name.as_str())
            .find(|name| !targeted(name))
    }

    /// Every environment of the graph, once, sources first in their order.
    pub fn environments(&self) -> Vec<&str> {
        let mut names = Vec::new();
        let all = self.promotion_paths.iter().flat_map(|p| {
            std::iter::once(&p.source_environment_ref).chain(&p.target_environment_refs)
        });
        for reference in all {
            if !names.contains(&reference.name.as_str()) {
                names.push(&reference.name);
            }
        }
        names
    }

    /// Where a release may go from `environment`.
    pub fn targets<'a>(&'a self, environment: &'a str) -> impl Iterator<Item = &'a str> {
        self.promotion_paths
            .iter()
            .filter(move |p| p.source_environment_ref.name == environment)
            .flat_map(|p| &p.target_environment_refs)
            .map(|t| t.name.as_str())
    }
}

/// One source and where its releases may go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PromotionPath {
    /// From here.
    pub source_environment_ref: EnvironmentRef,
    /// To any of these.
    pub target_environment_refs: Vec<EnvironmentRef>,
}

/// A reference to an environment of the same namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EnvironmentRef {
    /// Always `Environment`.
    #[serde(default)]
    pub kind: EnvironmentKind,
    /// Its name.
    #[schemars(schema_with = "schema::name63")]
    pub name: String,
}

/// The one kind of environment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub enum EnvironmentKind {
    #[default]
    Environment,
}
