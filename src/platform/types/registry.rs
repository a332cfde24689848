//! The table of kinds.

use super::kind::{AGE, integer, kinds, text};
use super::*;

kinds! {
    /// A role that bindings of its namespace can grant.
    AuthzRole {
        spec: AuthzRoleSpec, status: NoStatus, subresource: false;
        plural: "authzroles", short: [], scope: Namespaced;
        columns: [AGE]
    }
    /// Grants within one namespace.
    AuthzRoleBinding {
        spec: AuthzRoleBindingSpec, status: NoStatus, subresource: false;
        plural: "authzrolebindings", short: [], scope: Namespaced;
        columns: [AGE]
    }
    /// A role that any binding can grant.
    ClusterAuthzRole {
        spec: AuthzRoleSpec, status: NoStatus, subresource: false;
        plural: "clusterauthzroles", short: [], scope: Cluster;
        columns: [AGE]
    }
    /// Grants anywhere.
    ClusterAuthzRoleBinding {
        spec: ClusterAuthzRoleBindingSpec, status: NoStatus, subresource: false;
        plural: "clusterauthzrolebindings", short: [], scope: Cluster;
        columns: [AGE]
    }
    /// A component type for every namespace.
    ClusterComponentType {
        spec: ComponentTypeSpec, status: NoStatus;
        plural: "clustercomponenttypes", short: ["cct", "ccts"], scope: Cluster;
        columns: [text("WorkloadType", ".spec.workloadType"), AGE],
        adjust: component_type::cluster_only
    }
    /// A data plane for every namespace.
    ClusterDataPlane {
        spec: ClusterDataPlaneSpec, status: PlaneStatus;
        plural: "clusterdataplanes", short: ["cdp", "cdps"], scope: Cluster;
        columns: []
    }
    /// An observability plane for every namespace.
    ClusterObservabilityPlane {
        spec: ClusterObservabilityPlaneSpec, status: PlaneStatus;
        plural: "clusterobservabilityplanes", short: ["cop", "cops"], scope: Cluster;
        columns: []
    }
    /// A trait for every namespace.
    ClusterTrait {
        spec: TraitSpec, status: NoStatus;
        plural: "clustertraits", short: ["ctrait", "ctraits"], scope: Cluster;
        columns: [AGE]
    }
    /// A workflow plane for every namespace.
    ClusterWorkflowPlane {
        spec: ClusterWorkflowPlaneSpec, status: PlaneStatus;
        plural: "clusterworkflowplanes", short: ["cwp", "cwps"], scope: Cluster;
        columns: []
    }
    /// What developers deploy.
    Component {
        spec: ComponentSpec, status: ComponentStatus;
        plural: "components", short: ["comp", "comps"], scope: Namespaced;
        columns: [
            text("Project", ".spec.owner.projectName"),
            text("ComponentType", ".spec.componentType.name"),
            AGE
        ]
    }
    /// A frozen component.
    ComponentRelease {
        spec: ComponentReleaseSpec, status: NoStatus;
        plural: "componentreleases", short: [], scope: Namespaced;
        columns: [
            text("Project", ".spec.owner.projectName"),
            text("Component", ".spec.owner.componentName"),
            AGE
        ]
    }
    /// The order of environments.
    DeploymentPipeline {
        spec: DeploymentPipelineSpec, status: ConditionsStatus;
        plural: "deploymentpipelines", short: ["deppipe", "deppipes"], scope: Namespaced;
        columns: []
    }
    /// A place components are deployed to.
    Environment {
        spec: EnvironmentSpec, status: ConditionsStatus;
        plural: "environments", short: ["env", "envs"], scope: Namespaced;
        columns: []
    }
    /// When what a component does is worth telling somebody.
    ObservabilityAlertRule {
        spec: ObservabilityAlertRuleSpec, status: ObservabilityAlertRuleStatus;
        plural: "observabilityalertrules", short: [], scope: Namespaced;
        columns: [
            text("Severity", ".spec.severity"),
            text("Enabled", ".spec.enabled"),
            text("Phase", ".status.phase"),
            AGE
        ]
    }
    /// How people are told of alerts in an environment.
    ObservabilityAlertsNotificationChannel {
        spec: ObservabilityAlertsNotificationChannelSpec, status: NoStatus;
        plural: "observabilityalertsnotificationchannels", short: [], scope: Namespaced;
        columns: [text("Type", ".spec.type"), AGE, integer("Notifications", ".status.notificationCount")]
    }
    /// The owner of components.
    Project {
        spec: ProjectSpec, status: ProjectStatus;
        plural: "projects", short: ["proj", "projs"], scope: Namespaced;
        columns: []
    }
    /// A component in an environment.
    ReleaseBinding {
        spec: ReleaseBindingSpec, status: ReleaseBindingStatus;
        plural: "releasebindings", short: [], scope: Namespaced;
        columns: [
            text("Project", ".spec.owner.projectName"),
            text("Component", ".spec.owner.componentName"),
            text("Environment", ".spec.environment"),
            AGE
        ]
    }
    /// Manifests applied to a plane.
    RenderedRelease {
        spec: RenderedReleaseSpec, status: RenderedReleaseStatus;
        plural: "renderedreleases", short: [], scope: Namespaced;
        columns: []
    }
    /// A trait of one namespace.
    Trait {
        spec: TraitSpec, status: NoStatus;
        plural: "traits", short: ["trait", "traits"], scope: Namespaced;
        columns: [AGE]
    }
    /// Image, configuration, endpoints and dependencies of a component.
    Workload {
        spec: WorkloadSpec, status: NoStatus;
        plural: "workloads", short: [], scope: Namespaced;
        columns: [
            text("Project", ".spec.owner.projectName"),
            text("Component", ".spec.owner.componentName"),
            AGE
        ]
    }
}
