//! Labels and annotations with a meaning to the platform; the values are names unless said otherwise.

/// Marks a namespace as a tenant of the control plane (value `true`).
pub const CONTROL_PLANE: &str = "openchoreo.dev/control-plane";
/// The control-plane namespace an object belongs to.
pub const NAMESPACE: &str = "openchoreo.dev/namespace";
/// The project.
pub const PROJECT: &str = "openchoreo.dev/project";
/// The component.
pub const COMPONENT: &str = "openchoreo.dev/component";
/// The environment.
pub const ENVIRONMENT: &str = "openchoreo.dev/environment";
/// The project's uid.
pub const PROJECT_UID: &str = "openchoreo.dev/project-uid";
/// The component's uid.
pub const COMPONENT_UID: &str = "openchoreo.dev/component-uid";
/// The environment's uid.
pub const ENVIRONMENT_UID: &str = "openchoreo.dev/environment-uid";
/// Who keeps a live object in a plane.
pub const MANAGED_BY: &str = "openchoreo.dev/managed-by";
/// Who made a namespace on demand.
pub const CREATED_BY: &str = "openchoreo.dev/created-by";
/// The id of the entry in `RenderedRelease.spec.resources` a live object comes from.
pub const RESOURCE_ID: &str = "openchoreo.dev/rendered-release-resource-id";
/// The uid of the RenderedRelease a live object comes from.
pub const RELEASE_UID: &str = "openchoreo.dev/rendered-release-uid";
/// The name of that RenderedRelease.
pub const RELEASE_NAME: &str = "openchoreo.dev/rendered-release-name";
/// The namespace of that RenderedRelease.
pub const RELEASE_NAMESPACE: &str = "openchoreo.dev/rendered-release-namespace";
/// The workload endpoint a rendered route serves.
pub const ENDPOINT_NAME: &str = "openchoreo.dev/endpoint-name";
/// `external`, or anything else for internal.
pub const ENDPOINT_VISIBILITY: &str = "openchoreo.dev/endpoint-visibility";
/// Pods that NetworkPolicies let in for `internal` and `external` endpoints.
pub const SYSTEM_COMPONENT: &str = "openchoreo.dev/system-component";

/// Annotation: forces a rollout when its value changes.
pub const RESTARTED_AT: &str = "openchoreo.dev/restartedAt";
/// Annotation: replaces the path that statuses show for a rendered route.
pub const ENDPOINT_BASE_PATH: &str = "openchoreo.dev/endpoint-base-path";
/// Annotation on a data plane: `kubernetes` (default) or `cilium`.
pub const NETWORK_POLICY_PROVIDER: &str = "openchoreo.dev/networkpolicyprovider";
/// Annotation: a name for people.
pub const DISPLAY_NAME: &str = "openchoreo.dev/display-name";
/// Annotation: a sentence for people.
pub const DESCRIPTION: &str = "openchoreo.dev/description";
