//! The table of tools.

use super::{
    Handler,
    shapes::{self, members},
};
use crate::{
    mcp::{Access, Arg, ArgKind, Member, Output, Tool},
    objects::Object,
};

/// A tool and what it does.
pub(super) struct Row {
    pub(super) tool: Tool,
    pub(super) does: Does,
}

/// What a tool does.
#[derive(Clone, Copy)]
pub(super) enum Does {
    List { kind: &'static str, key: &'static str, shape: fn(&Object) -> serde_json::Value },
    Get { kind: &'static str, argument: &'static str, shape: fn(&Object) -> serde_json::Value },
    Delete { kind: &'static str, argument: &'static str },
    Call(Handler),
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
const OVERRIDES: Arg = Arg::optional("workload_overrides", Json).about("{container: {env, files}}");

macro_rules! rows {
    ($($set:ident $access:ident $name:literal $description:literal
       ($($arg:expr),* $(,)?) needs [$($action:literal),+] gives $output:expr => $does:expr;)+) => {
        /// Every tool, grouped as clients choose them.
        pub(super) static ROWS: &[Row] = &[$(Row {
            tool: Tool {
                name: $name,
                description: $description,
                toolsets: rows!(@set $set),
                args: &[$($arg),*],
                actions: &[$($action),+],
                access: Access::$access,
                output: $output,
            },
            does: $does,
        }),+];
    };
    (@set component_pe) => { &["component", "pe"] };
    (@set deployment_pe) => { &["deployment", "pe"] };
    (@set $set:ident) => { &[stringify!($set)] };
}

macro_rules! call {
    ($method:ident) => {
        Does::Call(|tools, ask, arguments| Box::pin(tools.$method(ask, arguments)))
    };
}

rows! {
    namespace Read "list_namespaces" "Namespaces of the platform."
        (LIMIT, CURSOR) needs ["namespace:view"] gives Output::List("namespaces", &[])
        => Does::List { kind: "Namespace", key: "namespaces", shape: shapes::plain };
    namespace Create "create_namespace" "Make a namespace."
        (NAME, DISPLAY_NAME, DESCRIPTION) needs ["namespace:create"] gives Output::Mutation
        => call!(create_namespace);

    project Read "list_projects" "Projects of a namespace."
        (NAMESPACE, LIMIT, CURSOR) needs ["project:view"] gives Output::List("projects", members::PROJECT)
        => Does::List { kind: "Project", key: "projects", shape: shapes::project };
    project Create "create_project" "Make a project."
        (NAMESPACE, NAME, DESCRIPTION, Arg::optional("deployment_pipeline", Text),
         Arg::optional("type_name", Text), Arg::optional("type_kind", Text), PARAMETERS)
        needs ["project:create"] gives Output::Mutation => call!(create_project);
    project Update "update_project" "Change a project's pipeline or texts; what is not given stays."
        (NAMESPACE, PROJECT, Arg::optional("deployment_pipeline", Text), DISPLAY_NAME, DESCRIPTION)
        needs ["project:update"] gives Output::Mutation => call!(update_project);
    project Delete "delete_project" "Remove a project with its components."
        (NAMESPACE, PROJECT) needs ["project:delete"] gives Output::Mutation
        => Does::Delete { kind: "Project", argument: "project_name" };

    component Read "list_components" "Components of a project with status and newest release."
        (NAMESPACE, PROJECT, LIMIT, CURSOR) needs ["component:view"] gives Output::List("components", members::COMPONENT_ROW)
        => Does::List { kind: "Component", key: "components", shape: shapes::component_row };
    component Read "get_component" "One component with parameters and conditions."
        (NAMESPACE, COMPONENT) needs ["component:view"] gives Output::Item(members::COMPONENT)
        => Does::Get { kind: "Component", argument: "component_name", shape: shapes::component_full };
    component Create "create_component" "Make a component; it runs once it has a workload."
        (NAMESPACE, PROJECT, NAME, DISPLAY_NAME, DESCRIPTION,
         Arg::required("component_type", Text).about("workloadType/name, as deployment/service"),
         Arg::optional("auto_deploy", Flag).about("default true"), PARAMETERS, WORKFLOW)
        needs ["component:create"] gives Output::Mutation => call!(create_component);
    component Update "patch_component" "Change a component; what is not given stays."
        (NAMESPACE, COMPONENT, DISPLAY_NAME, DESCRIPTION, Arg::optional("auto_deploy", Flag), PARAMETERS,
         TRAITS, WORKFLOW)
        needs ["component:update"] gives Output::Mutation => call!(patch_component);
    component Delete "delete_component" "Remove a component and everything deployed of it."
        (NAMESPACE, COMPONENT) needs ["component:delete"] gives Output::Mutation
        => Does::Delete { kind: "Component", argument: "component_name" };
    component Read "list_workloads" "Workloads of a component."
        (NAMESPACE, COMPONENT, LIMIT, CURSOR) needs ["workload:view"] gives Output::List("workloads", members::WORKLOAD_ROW)
        => Does::List { kind: "Workload", key: "workloads", shape: shapes::workload_row };
    component Read "get_workload" "One workload with its spec."
        (NAMESPACE, WORKLOAD) needs ["workload:view"] gives Output::Item(members::WORKLOAD)
        => Does::Get { kind: "Workload", argument: "workload_name", shape: shapes::workload_full };
    component Create "create_workload" "Give a component its workload, named COMPONENT-workload."
        (NAMESPACE, COMPONENT, SPEC) needs ["workload:create"] gives Output::Mutation
        => call!(create_workload);
    component Update "update_workload" "Replace the spec of a workload; auto_deploy rolls it out."
        (NAMESPACE, WORKLOAD, SPEC) needs ["workload:update"] gives Output::Mutation
        => call!(update_workload);
    component Delete "delete_workload" "Remove a workload."
        (NAMESPACE, WORKLOAD) needs ["workload:delete"] gives Output::Mutation
        => Does::Delete { kind: "Workload", argument: "workload_name" };
    component Read "get_workload_schema" "The JSON schema of workload_spec."
        () needs ["workload:view"] gives Output::Schema => call!(workload_schema);
    component Read "get_component_schema" "What a release binding of the component may set per environment."
        (NAMESPACE, COMPONENT) needs ["component:view"] gives Output::Schema => call!(component_schema);
    component_pe Read "list_component_types" "Component types; without scope those of namespace and cluster."
        (SCOPE, SCOPE_NAMESPACE, LIMIT, CURSOR)
        needs ["componenttype:view", "clustercomponenttype:view"]
        gives Output::Lists("component_types", "cluster_component_types", members::COMPONENT_TYPE) => call!(list_component_types);
    component_pe Read "get_component_type" "One component type with all templates: long."
        (SCOPE, SCOPE_NAMESPACE, NAME) needs ["componenttype:view", "clustercomponenttype:view"]
        gives Output::Item(members::WITH_SPEC) => call!(get_component_type);
    component_pe Read "get_component_type_schema" "The JSON schema of a type's parameters."
        (SCOPE, SCOPE_NAMESPACE, NAME) needs ["componenttype:view", "clustercomponenttype:view"]
        gives Output::Schema => call!(component_type_schema);

    deployment Read "list_release_bindings" "Where a component is deployed: environment, release, status, URLs."
        (NAMESPACE, COMPONENT, LIMIT, CURSOR) needs ["releasebinding:view"] gives Output::List("bindings", members::BINDING_ROW)
        => Does::List { kind: "ReleaseBinding", key: "bindings", shape: shapes::binding_row };
    deployment Read "get_release_binding" "One deployment with overrides and what is not ready."
        (NAMESPACE, BINDING) needs ["releasebinding:view"] gives Output::Item(members::BINDING)
        => Does::Get { kind: "ReleaseBinding", argument: "binding_name", shape: shapes::binding_full };
    deployment Create "create_release_binding" "Deploy a release to an environment; named COMPONENT-ENVIRONMENT."
        (NAMESPACE, PROJECT, COMPONENT, Arg::required("environment", Text), RELEASE, TYPE_CONFIGS,
         TRAIT_CONFIGS, OVERRIDES)
        needs ["releasebinding:create"] gives Output::Mutation => call!(create_release_binding);
    deployment Update "update_release_binding" "Change release, state or overrides; what is not given stays."
        (NAMESPACE, BINDING, Arg::optional("release_name", Text),
         Arg::optional("release_state", OneOf(&["Active", "Undeploy"])), TYPE_CONFIGS, TRAIT_CONFIGS,
         OVERRIDES)
        needs ["releasebinding:update"] gives Output::Mutation => call!(update_release_binding);
    deployment Delete "delete_release_binding" "Take a component off an environment."
        (NAMESPACE, BINDING) needs ["releasebinding:delete"] gives Output::Mutation
        => Does::Delete { kind: "ReleaseBinding", argument: "binding_name" };
    deployment Delete "delete_component_release" "Remove a release."
        (NAMESPACE, RELEASE) needs ["componentrelease:delete"] gives Output::Mutation
        => Does::Delete { kind: "ComponentRelease", argument: "release_name" };
    deployment Read "list_deployment_pipelines" "Deployment pipelines of a namespace."
        (NAMESPACE, LIMIT, CURSOR) needs ["deploymentpipeline:view"]
        gives Output::List("deployment_pipelines", members::PIPELINE_ROW)
        => Does::List { kind: "DeploymentPipeline", key: "deployment_pipelines", shape: shapes::pipeline_row };
    deployment Read "get_deployment_pipeline" "The order in which environments follow each other."
        (NAMESPACE, NAME) needs ["deploymentpipeline:view"] gives Output::Item(members::PIPELINE)
        => Does::Get { kind: "DeploymentPipeline", argument: "name", shape: shapes::pipeline_full };
    deployment_pe Read "list_environments" "Environments of a namespace."
        (NAMESPACE, LIMIT, CURSOR) needs ["environment:view"] gives Output::List("environments", members::ENVIRONMENT_ROW)
        => Does::List { kind: "Environment", key: "environments", shape: shapes::environment };

    pe Read "list_component_releases" "Releases of a component."
        (NAMESPACE, COMPONENT, LIMIT, CURSOR) needs ["componentrelease:view"] gives Output::List("releases", members::RELEASE_ROW)
        => Does::List { kind: "ComponentRelease", key: "releases", shape: shapes::release_row };
    pe Read "get_component_release" "One release: type, image, endpoints, parameters."
        (NAMESPACE, RELEASE) needs ["componentrelease:view"] gives Output::Item(members::RELEASE)
        => Does::Get { kind: "ComponentRelease", argument: "release_name", shape: shapes::release_full };
    pe Create "create_component_release" "Freeze a component into a release."
        (NAMESPACE, COMPONENT, Arg::optional("release_name", Text)) needs ["componentrelease:create"]
        gives Output::Mutation => call!(create_component_release);
    pe Read "list_dataplanes" "Data planes; without scope those of namespace and cluster."
        (SCOPE, SCOPE_NAMESPACE, LIMIT, CURSOR) needs ["dataplane:view", "clusterdataplane:view"]
        gives Output::Lists("data_planes", "cluster_data_planes", members::PLANE) => call!(list_dataplanes);
    pe Read "get_resource_tree" "Live Kubernetes objects of a release binding with health; names its pods."
        (NAMESPACE, RELEASE_BINDING) needs ["releasebinding:view"] gives Output::Object(&[Member::list("rendered_releases")])
        => call!(resource_tree);
    pe Read "get_resource_events" "Kubernetes events of one object of a release binding."
        (NAMESPACE, RELEASE_BINDING, Arg::optional("group", Text), Arg::required("version", Text),
         Arg::required("kind", Text), Arg::required("resource_name", Text))
        needs ["releasebinding:view"] gives Output::Object(&[Member::list("events")]) => call!(resource_events);
    pe Read "get_resource_logs" "The last log lines of a pod of a release binding."
        (NAMESPACE, RELEASE_BINDING, Arg::required("pod_name", Text), Arg::optional("container", Text),
         Arg::optional("since_seconds", Integer),
         Arg::optional("tail_lines", Integer).about("default 50"))
        needs ["logs:view"] gives Output::Object(&[Member::list("logEntries"), Member::text("hint")]) => call!(resource_logs);
}
