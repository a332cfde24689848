//! The table of tools.

use super::{
    Handler,
    shapes::{self, Shape},
};
use crate::{
    mcp::{Access, Arg, ArgKind, Member, Output, Tool},
    objects::{Kind, kind},
};

/// A tool and what it does.
pub(super) struct Row {
    pub(super) tool: Tool,
    pub(super) does: Does,
}

/// What a tool does.
#[derive(Clone, Copy)]
pub(super) enum Does {
    List {
        kind: &'static str,
        key: &'static str,
        shape: &'static Shape,
    },
    Get {
        kind: &'static str,
        argument: &'static str,
        shape: &'static Shape,
    },
    Delete {
        kind: &'static str,
        argument: &'static str,
    },
    /// More than a row can say; `about` as in [`Row::about`].
    Call {
        handler: Handler,
        about: Option<(&'static str, &'static str)>,
    },
}

impl Row {
    /// The row of `tool`.
    pub(super) fn of(tool: &Tool) -> Option<&'static Self> {
        ROWS.iter().find(|row| std::ptr::eq(&row.tool, tool))
    }

    /// The kind of the object that a call is about, or in which it looks, and the argument that names it.
    pub(super) fn about(&self) -> Option<(&'static Kind, &'static str)> {
        match self.does {
            Does::Get { kind: name, argument, .. } | Does::Delete { kind: name, argument } => {
                Some((kind(name), argument))
            }
            Does::List { kind: name, .. } => match kind(name).filter? {
                "project" => Some((kind("Project"), "project_name")),
                _ => Some((kind("Component"), "component_name")),
            },
            Does::Call { about, .. } => about.map(|(name, argument)| (kind(name), argument)),
        }
    }
}

use ArgKind::{Flag, Integer, Object as Json, Objects, OneOf, Text};

const NAMESPACE: Arg = Arg::required("namespace_name", Text);
const PROJECT: Arg = Arg::required("project_name", Text);
const COMPONENT: Arg = Arg::required("component_name", Text);
const WORKLOAD: Arg = Arg::required("workload_name", Text);
const BINDING: Arg = Arg::required("binding_name", Text);
const RELEASE: Arg = Arg::required("release_name", Text);
const RELEASE_BINDING: Arg = Arg::required("release_binding_name", Text);
const NAME: Arg = Arg::required("name", Text);
const DISPLAY_NAME: Arg = Arg::optional("display_name", Text);
const DESCRIPTION: Arg = Arg::optional("description", Text);
const LIMIT: Arg = Arg::optional("limit", Integer);
const CURSOR: Arg = Arg::optional("cursor", Text);
const PARAMETERS: Arg = Arg::optional("parameters", Json);
const SCOPE: Arg = Arg::optional("scope", OneOf(&["namespace", "cluster"]));
const SCOPE_NAMESPACE: Arg = Arg::optional("namespace_name", Text);
const TRAITS: Arg = Arg::optional("traits", Objects)
    .about("Replaces the list; items {name, instanceName, kind, parameters}");
const WORKFLOW: Arg = Arg::optional("workflow", Json);
const SPEC: Arg = Arg::required("workload_spec", Json).about(
    "{container: {image, command?, args?, env?: [{key, value}], files?}, \
     endpoints?: {NAME: {type: HTTP, port, visibility?: [external]}}, dependencies?}",
);
const TYPE_CONFIGS: Arg = Arg::optional("component_type_environment_configs", Json);
const TRAIT_CONFIGS: Arg = Arg::optional("trait_environment_configs", Json);
const OVERRIDES: Arg = Arg::optional("workload_overrides", Json).about(
    "{container: {env: [{key, value}], files}}; a list replaces the former: to remove a variable send the others",
);

macro_rules! rows {
    ($($set:ident $access:ident $name:literal $description:literal
       ($($arg:expr),* $(,)?) needs [$($action:literal),+] $(about $kind:literal in $argument:literal)?
       => $verb:ident ($($how:tt)*);)+) => {
        /// Every tool, grouped as clients choose them.
        pub(super) static ROWS: &[Row] = &[$(Row {
            tool: Tool {
                name: $name,
                description: $description,
                toolsets: rows!(@set $set),
                args: &[$($arg),*],
                actions: &[$($action),+],
                access: Access::$access,
                output: rows!(@output $verb($($how)*)),
            },
            does: rows!(@does [$($kind, $argument)?] $verb($($how)*)),
        }),+];
    };
    (@set component_pe) => { &["component", "pe"] };
    (@set deployment_pe) => { &["deployment", "pe"] };
    (@set $set:ident) => { &[stringify!($set)] };
    (@output list($kind:literal, $key:literal, $shape:ident)) => { Output::List($key, &shapes::$shape) };
    (@output get($kind:literal, $argument:literal, $shape:ident)) => { Output::Item(&shapes::$shape) };
    (@output delete($kind:literal, $argument:literal)) => { Output::Mutation };
    (@output change($method:ident)) => { Output::Mutation };
    (@output call($method:ident, $output:expr)) => { $output };
    (@does [] list($kind:literal, $key:literal, $shape:ident)) => {
        Does::List { kind: $kind, key: $key, shape: &shapes::$shape }
    };
    (@does [] get($kind:literal, $argument:literal, $shape:ident)) => {
        Does::Get { kind: $kind, argument: $argument, shape: &shapes::$shape }
    };
    (@does [] delete($kind:literal, $argument:literal)) => {
        Does::Delete { kind: $kind, argument: $argument }
    };
    (@does [$($about:tt)*] change($method:ident)) => { rows!(@does [$($about)*] call($method, ())) };
    (@does [$($about:tt)*] call($method:ident, $output:expr)) => {
        Does::Call {
            handler: |tools, ask, arguments| Box::pin(tools.$method(ask, arguments)),
            about: rows!(@about $($about)*),
        }
    };
    (@about) => { None };
    (@about $kind:literal, $argument:literal) => { Some(($kind, $argument)) };
}

rows! {
    namespace Read "list_namespaces" "Namespaces of the platform."
        (LIMIT, CURSOR) needs ["namespace:view"]
        => list("Namespace", "namespaces", PLAIN);
    namespace Create "create_namespace" "Make a namespace."
        (NAME, DISPLAY_NAME, DESCRIPTION) needs ["namespace:create"] about "Namespace" in "name"
        => change(create_namespace);

    project Read "list_projects" "Projects of a namespace."
        (NAMESPACE, LIMIT, CURSOR) needs ["project:view"]
        => list("Project", "projects", PROJECT);
    project Create "create_project" "Make a project."
        (NAMESPACE, NAME, DESCRIPTION, Arg::optional("deployment_pipeline", Text),
         Arg::optional("type_name", Text), Arg::optional("type_kind", Text), PARAMETERS)
        needs ["project:create"] about "Project" in "name"
        => change(create_project);
    project Update "update_project" "Change a project's pipeline or texts; what is not given stays."
        (NAMESPACE, PROJECT, Arg::optional("deployment_pipeline", Text), DISPLAY_NAME, DESCRIPTION)
        needs ["project:update"] about "Project" in "project_name"
        => change(update_project);
    project Delete "delete_project" "Remove a project with its components."
        (NAMESPACE, PROJECT) needs ["project:delete"]
        => delete("Project", "project_name");

    component Read "list_components" "Components of a project with status and newest release."
        (NAMESPACE, PROJECT, LIMIT, CURSOR) needs ["component:view"]
        => list("Component", "components", COMPONENT_ROW);
    component Read "get_component" "One component with parameters and conditions."
        (NAMESPACE, COMPONENT) needs ["component:view"]
        => get("Component", "component_name", COMPONENT);
    component Create "create_component" "Make a component; it runs once it has a workload."
        (NAMESPACE, PROJECT, NAME, DISPLAY_NAME, DESCRIPTION,
         Arg::required("component_type", Text).about("workloadType/name, as deployment/service"),
         Arg::optional("auto_deploy", Flag).about("default true"), PARAMETERS, WORKFLOW)
        needs ["component:create"] about "Component" in "name"
        => change(create_component);
    component Update "patch_component" "Change a component; what is not given stays."
        (NAMESPACE, COMPONENT, DISPLAY_NAME, DESCRIPTION, Arg::optional("auto_deploy", Flag), PARAMETERS,
         TRAITS, WORKFLOW)
        needs ["component:update"] about "Component" in "component_name"
        => change(patch_component);
    component Delete "delete_component" "Remove a component and everything deployed of it."
        (NAMESPACE, COMPONENT) needs ["component:delete"]
        => delete("Component", "component_name");
    component Read "list_workloads" "Workloads of a component."
        (NAMESPACE, COMPONENT, LIMIT, CURSOR) needs ["workload:view"]
        => list("Workload", "workloads", WORKLOAD_ROW);
    component Read "get_workload" "One workload with its spec."
        (NAMESPACE, WORKLOAD) needs ["workload:view"]
        => get("Workload", "workload_name", WORKLOAD);
    component Create "create_workload" "Give a component its workload, named COMPONENT-workload."
        (NAMESPACE, COMPONENT, SPEC) needs ["workload:create"] about "Component" in "component_name"
        => change(create_workload);
    component Update "update_workload" "Replace a workload's spec of get_workload: what is left out is removed. auto_deploy rolls it out."
        (NAMESPACE, WORKLOAD, SPEC) needs ["workload:update"] about "Workload" in "workload_name"
        => change(update_workload);
    component Delete "delete_workload" "Remove a workload."
        (NAMESPACE, WORKLOAD) needs ["workload:delete"]
        => delete("Workload", "workload_name");
    component Read "get_workload_schema" "The JSON schema of workload_spec."
        () needs ["workload:view"]
        => call(workload_schema, Output::Schema);
    component Read "get_component_schema" "What a release binding of the component may set per environment."
        (NAMESPACE, COMPONENT) needs ["component:view"] about "Component" in "component_name"
        => call(component_schema, Output::Schema);
    component_pe Read "list_component_types" "Component types; without scope those of namespace and cluster."
        (SCOPE, SCOPE_NAMESPACE, LIMIT, CURSOR)
        needs ["componenttype:view", "clustercomponenttype:view"]
        => call(list_component_types, Output::Lists("component_types", "cluster_component_types", &shapes::COMPONENT_TYPE));
    component_pe Read "get_component_type" "One component type with all templates: long."
        (SCOPE, SCOPE_NAMESPACE, NAME) needs ["componenttype:view", "clustercomponenttype:view"]
        => call(get_component_type, Output::Item(&shapes::WITH_SPEC));
    component_pe Read "get_component_type_schema" "The JSON schema of a type's parameters."
        (SCOPE, SCOPE_NAMESPACE, NAME) needs ["componenttype:view", "clustercomponenttype:view"]
        => call(component_type_schema, Output::Schema);

    deployment Read "list_release_bindings" "Where a component is deployed: environment, release, status, URLs."
        (NAMESPACE, COMPONENT, LIMIT, CURSOR) needs ["releasebinding:view"]
        => list("ReleaseBinding", "bindings", BINDING_ROW);
    deployment Read "get_release_binding" "One deployment with overrides and what is not ready."
        (NAMESPACE, BINDING) needs ["releasebinding:view"]
        => get("ReleaseBinding", "binding_name", BINDING);
    deployment Create "create_release_binding" "Deploy a release to an environment; named COMPONENT-ENVIRONMENT."
        (NAMESPACE, PROJECT, COMPONENT, Arg::required("environment", Text), RELEASE, TYPE_CONFIGS,
         TRAIT_CONFIGS, OVERRIDES)
        needs ["releasebinding:create"] about "Component" in "component_name"
        => change(create_release_binding);
    deployment Update "update_release_binding" "Change release, state or overrides. Objects are merged: what is not given stays, null removes."
        (NAMESPACE, BINDING, Arg::optional("release_name", Text),
         Arg::optional("release_state", OneOf(&["Active", "Undeploy"])), TYPE_CONFIGS, TRAIT_CONFIGS,
         OVERRIDES, Arg::optional("restart", Flag).about("start the pods anew"))
        needs ["releasebinding:update"] about "ReleaseBinding" in "binding_name"
        => change(update_release_binding);
    deployment Delete "delete_release_binding" "Take a component off an environment."
        (NAMESPACE, BINDING) needs ["releasebinding:delete"]
        => delete("ReleaseBinding", "binding_name");
    deployment Delete "delete_component_release" "Remove a release."
        (NAMESPACE, RELEASE) needs ["componentrelease:delete"]
        => delete("ComponentRelease", "release_name");
    deployment Read "list_deployment_pipelines" "Deployment pipelines of a namespace."
        (NAMESPACE, LIMIT, CURSOR) needs ["deploymentpipeline:view"]
        => list("DeploymentPipeline", "deployment_pipelines", PIPELINE_ROW);
    deployment Read "get_deployment_pipeline" "The order in which environments follow each other."
        (NAMESPACE, NAME) needs ["deploymentpipeline:view"]
        => get("DeploymentPipeline", "name", PIPELINE);
    deployment_pe Read "list_environments" "Environments of a namespace."
        (NAMESPACE, LIMIT, CURSOR) needs ["environment:view"]
        => list("Environment", "environments", ENVIRONMENT);

    pe Read "list_component_releases" "Releases of a component."
        (NAMESPACE, COMPONENT, LIMIT, CURSOR) needs ["componentrelease:view"]
        => list("ComponentRelease", "releases", RELEASE_ROW);
    pe Read "get_component_release" "One release: type, image, endpoints, parameters."
        (NAMESPACE, RELEASE) needs ["componentrelease:view"]
        => get("ComponentRelease", "release_name", RELEASE);
    pe Create "create_component_release" "Freeze a component into a release."
        (NAMESPACE, COMPONENT, Arg::optional("release_name", Text)) needs ["componentrelease:create"] about "Component" in "component_name"
        => change(create_component_release);
    pe Read "list_dataplanes" "Data planes; without scope those of namespace and cluster."
        (SCOPE, SCOPE_NAMESPACE, LIMIT, CURSOR) needs ["dataplane:view", "clusterdataplane:view"]
        => call(list_dataplanes, Output::Lists("data_planes", "cluster_data_planes", &shapes::PLANE));
    pe Read "get_resource_tree" "Live Kubernetes objects of a release binding with health; names its pods."
        (NAMESPACE, RELEASE_BINDING) needs ["releasebinding:view"] about "ReleaseBinding" in "release_binding_name"
        => call(resource_tree, Output::Object(&[Member::list("rendered_releases")]));
    pe Read "get_resource_events" "Kubernetes events of one object of a release binding."
        (NAMESPACE, RELEASE_BINDING, Arg::optional("group", Text), Arg::required("version", Text),
         Arg::required("kind", Text), Arg::required("resource_name", Text))
        needs ["releasebinding:view"] about "ReleaseBinding" in "release_binding_name"
        => call(resource_events, Output::Object(&[Member::list("events")]));
    pe Read "get_resource_logs" "The last log lines of a pod of a release binding."
        (NAMESPACE, RELEASE_BINDING, Arg::required("pod_name", Text), Arg::optional("container", Text),
         Arg::optional("since_seconds", Integer),
         Arg::optional("tail_lines", Integer).about("default 50"))
        needs ["logs:view"] about "ReleaseBinding" in "release_binding_name"
        => call(resource_logs, Output::Object(&[Member::list("logEntries"), Member::text("hint")]));
    pe Read "query_audit" "Who did what, newest first: changes of all, and everything agents did."
        (Arg::optional("actor", Text), Arg::optional("action", Text).about("as releasebinding:*"),
         Arg::optional("result", OneOf(&["allowed", "denied", "failed"])), Arg::optional("changes_only", Flag),
         Arg::optional("since", Text).about("as 15m"), SCOPE_NAMESPACE, LIMIT, CURSOR)
        needs ["audit:view"]
        => call(query_audit, Output::Object(&[
            Member::list("records"), Member::text("next_cursor"), Member::text("hint"),
        ]));
}
