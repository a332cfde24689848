//! Roles and who holds them.

use super::schema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A named set of actions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuthzRoleSpec {
    /// `resource:verb` strings; `*` stands for anything.
    #[schemars(length(min = 1))]
    pub actions: Vec<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Whether a binding grants or refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Effect {
    #[default]
    Allow,
    Deny,
}

/// Whose tokens a binding is about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Entitlement {
    /// A claim of the token, e.g. `groups`.
    pub claim: String,
    /// Its value.
    pub value: String,
}

/// A reference to a role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoleRef {
    /// Namespaced or cluster-scoped.
    pub kind: RoleKind,
    /// Its name.
    pub name: String,
}

/// The kinds of role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub enum RoleKind {
    AuthzRole,
    ClusterAuthzRole,
}

/// A further demand on some actions of a role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoleCondition {
    /// The actions it is about.
    #[schemars(length(min = 1))]
    pub actions: Vec<String>,
    /// A CEL expression that must be true.
    #[schemars(schema_with = "schema::text")]
    pub expression: String,
}

/// Grants within one namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthzRoleBindingSpec {
    /// Grant or refuse; a refusal wins.
    #[serde(default)]
    pub effect: Effect,
    /// Whose tokens.
    pub entitlement: Entitlement,
    /// Which roles, and where.
    #[schemars(length(min = 1))]
    pub role_mappings: Vec<RoleMapping>,
}

/// A role within a namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::rules(&[
    (
        "!has(self.scope) || !has(self.scope.component) || has(self.scope.project)",
        "scope.component requires scope.project",
    ),
    RESOURCE_NEEDS_PROJECT,
    COMPONENT_OR_RESOURCE,
])))]
pub struct RoleMapping {
    /// The role.
    pub role_ref: RoleRef,
    /// Where; the whole namespace when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<RoleScope>,
    /// Further demands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<RoleCondition>,
}

/// A part of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoleScope {
    /// One project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// One of its components.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// One of its resources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
}

/// Grants anywhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::rules(&[(
    "self.roleMappings.all(m, m.roleRef.kind == 'ClusterAuthzRole')",
    "ClusterAuthzRoleBinding can only reference ClusterAuthzRole",
)])))]
pub struct ClusterAuthzRoleBindingSpec {
    /// Grant or refuse; a refusal wins.
    #[serde(default)]
    pub effect: Effect,
    /// Whose tokens.
    pub entitlement: Entitlement,
    /// Which roles, and where.
    #[schemars(length(min = 1))]
    pub role_mappings: Vec<ClusterRoleMapping>,
}

/// A role anywhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::rules(&[
    (
        "!has(self.scope) || (!has(self.scope.project) || has(self.scope.namespace)) && (!has(self.scope.component) || has(self.scope.project))",
        "scope.project requires scope.namespace, and scope.component requires scope.project",
    ),
    RESOURCE_NEEDS_PROJECT,
    COMPONENT_OR_RESOURCE,
])))]
pub struct ClusterRoleMapping {
    /// The role.
    pub role_ref: RoleRef,
    /// Where; everywhere when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<ClusterRoleScope>,
    /// Further demands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<RoleCondition>,
}

/// A part of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClusterRoleScope {
    /// One namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// One of its projects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// One of the project's components.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// One of the project's resources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
}

const RESOURCE_NEEDS_PROJECT: (&str, &str) = (
    "!has(self.scope) || !has(self.scope.resource) || has(self.scope.project)",
    "scope.resource requires scope.project",
);

const COMPONENT_OR_RESOURCE: (&str, &str) = (
    "!has(self.scope) || !has(self.scope.component) || !has(self.scope.resource)",
    "scope.component and scope.resource are mutually exclusive",
);
