//! The catalogue of actions.

use super::condition::Attribute;

/// The lowest place an action can happen at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The whole installation.
    Cluster,
    /// A namespace.
    Namespace,
    /// A project.
    Project,
    /// A component.
    Component,
    /// A resource of a project.
    Resource,
}

/// One action: `resource:verb` and where it can happen.
#[derive(Debug, Clone, Copy)]
pub struct Action {
    /// Such as `component`.
    pub resource: &'static str,
    /// Such as `create`.
    pub verb: &'static str,
    /// The lowest level.
    pub level: Level,
}

impl Action {
    /// `resource:verb`.
    pub fn name(&self) -> String {
        format!("{}:{}", self.resource, self.verb)
    }

    /// The attributes a condition on this action may look at.
    pub fn attributes(&self) -> &'static [Attribute] {
        match (self.resource, self.verb) {
            ("releasebinding" | "resourcereleasebinding" | "projectreleasebinding", _)
            | ("component", "exec")
            | ("logs" | "wirelogs" | "metrics" | "traces", "view") => &[Attribute::Environment],
            ("component", "create" | "update" | "delete") => &[Attribute::ComponentType],
            ("resource", "create" | "update" | "delete") => &[Attribute::ResourceType],
            ("workflowrun", "create" | "update" | "delete") => &[Attribute::Workflow],
            _ => &[],
        }
    }
}

macro_rules! catalogue {
    ($($resource:literal $level:ident: $($verb:literal)+;)+) => {
        /// Every action, in the order in which it is listed to clients.
        pub static ACTIONS: &[Action] = &[
            $($(Action { resource: $resource, verb: $verb, level: Level::$level },)+)+
        ];
    };
}

catalogue! {
    "namespace" Cluster: "create";
    "namespace" Namespace: "view" "update" "delete";
    "project" Namespace: "create";
    "project" Project: "view" "update" "delete";
    "component" Project: "create";
    "component" Component: "view" "update" "delete" "exec";
    "resource" Project: "create";
    "resource" Resource: "view" "update" "delete";
    "componentrelease" Component: "view" "create" "delete";
    "resourcerelease" Resource: "view" "create" "delete";
    "projectrelease" Project: "view" "create" "delete";
    "projectreleasebinding" Project: "view" "create" "update" "delete";
    "releasebinding" Component: "view" "create" "update" "delete";
    "resourcereleasebinding" Resource: "view" "create" "update" "delete";
    "componenttype" Namespace: "view" "create" "update" "delete";
    "resourcetype" Namespace: "view" "create" "update" "delete";
    "projecttype" Namespace: "view" "create" "update" "delete";
    "workflow" Namespace: "view" "create" "update" "delete";
    "workflowrun" Component: "create" "view" "update" "delete";
    "trait" Namespace: "view" "create" "update" "delete";
    "environment" Namespace: "view" "create" "update" "delete";
    "dataplane" Namespace: "view" "create" "update" "delete";
    "workflowplane" Namespace: "view" "create" "update" "delete";
    "observabilityplane" Namespace: "view" "create" "update" "delete";
    "clustercomponenttype" Cluster: "view" "create" "update" "delete";
    "clusterresourcetype" Cluster: "view" "create" "update" "delete";
    "clusterprojecttype" Cluster: "view" "create" "update" "delete";
    "clustertrait" Cluster: "view" "create" "update" "delete";
    "clusterworkflow" Cluster: "view" "create" "update" "delete";
    "clusterdataplane" Cluster: "view" "create" "update" "delete";
    "clusterworkflowplane" Cluster: "view" "create" "update" "delete";
    "clusterobservabilityplane" Cluster: "view" "create" "update" "delete";
    "deploymentpipeline" Namespace: "view" "create" "update" "delete";
    "observabilityalertsnotificationchannel" Namespace: "view" "create" "update" "delete";
    "secretreference" Namespace: "view" "create" "update" "delete";
    "secret" Namespace: "view" "create" "update" "delete";
    "workload" Component: "view" "create" "update" "delete";
    "clusterauthzrole" Cluster: "view" "create" "update" "delete";
    "authzrole" Namespace: "view" "create" "update" "delete";
    "clusterauthzrolebinding" Cluster: "view" "create" "update" "delete";
    "authzrolebinding" Namespace: "view" "create" "update" "delete";
    "logs" Component: "view";
    "events" Component: "view";
    "wirelogs" Component: "view";
    "metrics" Component: "view";
    "traces" Project: "view";
    "alerts" Component: "view";
    "incidents" Component: "view" "update";
    "rcareport" Project: "view" "update";
    "finopsreport" Project: "view" "update";
    "finops" Component: "view";
    "audit" Namespace: "view";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn has_every_action_once() {
        // OpenChoreo's, and audit:view.
        let names: BTreeSet<_> = ACTIONS.iter().map(Action::name).collect();
        assert_eq!((names.len(), ACTIONS.len()), (160, 160));
    }
}
