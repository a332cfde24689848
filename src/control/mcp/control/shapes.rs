//! Objects as tools show them: the members that help, and nothing empty.

use serde_json::{Map, Value, json};

use crate::{
    mcp::Member,
    objects::{DESCRIPTION, DISPLAY_NAME, Object, condition_status, created_at},
};

/// The members that the shapes below add to the common ones; a test holds the two together.
pub(super) mod members {
    use super::Member;

    const PROJECT_NAME: Member = Member::text("projectName");
    const COMPONENT_NAME: Member = Member::text("componentName");
    const STATUS: Member = Member::text("status");
    const SPEC: Member = Member::object("spec");
    const LATEST_RELEASE: Member = Member::text("latestRelease");
    const CONDITIONS: Member = Member::list("conditions");
    const ENDPOINTS: Member = Member::list("endpoints");
    const AUTO_DEPLOY: Member = Member::flag("autoDeploy");
    const AUTO_BUILD: Member = Member::flag("autoBuild");
    const ENVIRONMENT: Member = Member::text("environment");
    const RELEASE_NAME: Member = Member::text("releaseName");
    const STATE: Member = Member::text("state");
    const PENDING: Member = Member::list("pendingConnections");

    pub(in super::super) const WITH_SPEC: &[Member] = &[SPEC, STATUS];
    pub(in super::super) const PROJECT: &[Member] =
        &[Member::text("deploymentPipelineRef"), Member::object("type"), STATUS, LATEST_RELEASE];
    pub(in super::super) const COMPONENT_ROW: &[Member] = &[
        PROJECT_NAME,
        Member::text("componentType"),
        AUTO_DEPLOY,
        AUTO_BUILD,
        STATUS,
        LATEST_RELEASE,
    ];
    pub(in super::super) const COMPONENT: &[Member] = &[
        PROJECT_NAME,
        Member::object("componentType"),
        AUTO_DEPLOY,
        AUTO_BUILD,
        STATUS,
        LATEST_RELEASE,
        Member::object("parameters"),
        Member::list("traits"),
        Member::object("workflow"),
        CONDITIONS,
    ];
    pub(in super::super) const WORKLOAD_ROW: &[Member] =
        &[PROJECT_NAME, COMPONENT_NAME, Member::text("image"), ENDPOINTS];
    pub(in super::super) const WORKLOAD: &[Member] = &[PROJECT_NAME, COMPONENT_NAME, SPEC];
    pub(in super::super) const RELEASE_ROW: &[Member] = &[PROJECT_NAME, COMPONENT_NAME];
    pub(in super::super) const RELEASE: &[Member] = &[
        PROJECT_NAME,
        COMPONENT_NAME,
        Member::object("componentType"),
        Member::text("workloadType"),
        Member::text("image"),
        ENDPOINTS,
        Member::object("dependencies"),
        Member::object("parameters"),
    ];
    pub(in super::super) const BINDING_ROW: &[Member] = &[
        PROJECT_NAME,
        COMPONENT_NAME,
        ENVIRONMENT,
        RELEASE_NAME,
        STATE,
        ENDPOINTS,
        PENDING,
        STATUS,
    ];
    pub(in super::super) const BINDING: &[Member] = &[
        PROJECT_NAME,
        COMPONENT_NAME,
        ENVIRONMENT,
        RELEASE_NAME,
        STATE,
        ENDPOINTS,
        PENDING,
        STATUS,
        Member::object("componentTypeEnvironmentConfigs"),
        Member::object("traitEnvironmentConfigs"),
        Member::object("workloadOverrides"),
        Member::list("connectionTargets"),
        Member::list("resolvedConnections"),
        Member::list("notReady"),
    ];
    pub(in super::super) const ENVIRONMENT_ROW: &[Member] =
        &[Member::flag("isProduction"), Member::object("dataPlaneRef"), STATUS];
    pub(in super::super) const PIPELINE_ROW: &[Member] = &[STATUS];
    pub(in super::super) const PIPELINE: &[Member] =
        &[STATUS, Member::list("promotionPaths"), CONDITIONS];
    pub(in super::super) const COMPONENT_TYPE: &[Member] =
        &[Member::text("workloadType"), Member::list("allowedWorkflows")];
    pub(in super::super) const PLANE: &[Member] =
        &[Member::text("planeID"), Member::flag("agentConnected"), STATUS];
}

/// A result under construction; empty values are left out.
pub(super) struct Shape(Map<String, Value>);

impl Shape {
    /// Name, namespace, display name, description and time of creation.
    pub(super) fn of(object: &Object) -> Self {
        let metadata = &object.metadata;
        let annotation = |key: &str| {
            metadata.annotations.as_ref().and_then(|all| all.get(key)).cloned().unwrap_or_default()
        };
        Self(Map::new())
            .with("name", json!(metadata.name))
            .with("namespace", json!(metadata.namespace))
            .with("displayName", json!(annotation(DISPLAY_NAME)))
            .with("description", json!(annotation(DESCRIPTION)))
            .with("createdAt", json!(created_at(object)))
    }

    /// Adds `value` unless it is null or empty.
    pub(super) fn with(mut self, key: &str, value: Value) -> Self {
        let empty = match &value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(members) => members.is_empty(),
            Value::Bool(_) | Value::Number(_) => false,
        };
        if !empty {
            self.0.insert(key.to_owned(), value);
        }
        self
    }

    /// Adds the member `from` of the spec as `key`.
    fn spec(self, object: &Object, key: &str, from: &[&str]) -> Self {
        self.with(key, at(&object.data["spec"], from))
    }

    /// Adds the member `from` of the status as `key`.
    fn status(self, object: &Object, key: &str, from: &[&str]) -> Self {
        self.with(key, at(&object.data["status"], from))
    }

    /// Adds the word for the condition Ready.
    fn ready(self, object: &Object) -> Self {
        self.with("status", json!(condition_status(object)))
    }

    /// Adds the conditions without their times.
    fn conditions(self, object: &Object) -> Self {
        let conditions: Vec<Value> = object.data["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|condition| {
                let mut shown = json!({"type": condition["type"], "status": condition["status"]});
                for member in ["reason", "message"] {
                    if condition[member].as_str().is_some_and(|text| !text.is_empty()) {
                        shown[member] = condition[member].clone();
                    }
                }
                shown
            })
            .collect();
        self.with("conditions", json!(conditions))
    }

    pub(super) fn done(self) -> Value {
        Value::Object(self.0)
    }
}

fn at(value: &Value, path: &[&str]) -> Value {
    path.iter().try_fold(value, |value, key| value.get(key)).cloned().unwrap_or(Value::Null)
}

/// The keys of an object.
fn names(value: &Value) -> Value {
    value.as_object().map(|members| members.keys().cloned().collect()).unwrap_or(Value::Null)
}

/// Name and what people call it.
pub(super) fn plain(object: &Object) -> Value {
    Shape::of(object).done()
}

/// The same with the whole spec.
pub(super) fn with_spec(object: &Object) -> Value {
    Shape::of(object).with("spec", object.data["spec"].clone()).ready(object).done()
}

pub(super) fn project(object: &Object) -> Value {
    Shape::of(object)
        .spec(object, "deploymentPipelineRef", &["deploymentPipelineRef", "name"])
        .spec(object, "type", &["type"])
        .ready(object)
        .status(object, "latestRelease", &["latestRelease", "name"])
        .done()
}

pub(super) fn component_row(object: &Object) -> Value {
    component(object).spec(object, "componentType", &["componentType", "name"]).done()
}

pub(super) fn component_full(object: &Object) -> Value {
    component(object)
        .spec(object, "componentType", &["componentType"])
        .spec(object, "parameters", &["parameters"])
        .spec(object, "traits", &["traits"])
        .spec(object, "workflow", &["workflow"])
        .conditions(object)
        .done()
}

fn component(object: &Object) -> Shape {
    let auto_deploy = object.data["spec"]["autoDeploy"].as_bool().unwrap_or(false);
    Shape::of(object)
        .spec(object, "projectName", &["owner", "projectName"])
        .with("autoDeploy", json!(auto_deploy))
        .spec(object, "autoBuild", &["autoBuild"])
        .ready(object)
        .status(object, "latestRelease", &["latestRelease", "name"])
}

pub(super) fn workload_row(object: &Object) -> Value {
    owned(object)
        .spec(object, "image", &["container", "image"])
        .with("endpoints", names(&object.data["spec"]["endpoints"]))
        .done()
}

pub(super) fn workload_full(object: &Object) -> Value {
    owned(object).with("spec", object.data["spec"].clone()).done()
}

fn owned(object: &Object) -> Shape {
    Shape::of(object).spec(object, "projectName", &["owner", "projectName"]).spec(
        object,
        "componentName",
        &["owner", "componentName"],
    )
}

pub(super) fn release_row(object: &Object) -> Value {
    owned(object).done()
}

pub(super) fn release_full(object: &Object) -> Value {
    let spec = &object.data["spec"];
    let component_type = json!({
        "kind": spec["componentType"]["kind"],
        "name": spec["componentType"]["name"],
    });
    owned(object)
        .with("componentType", component_type)
        .spec(object, "workloadType", &["componentType", "spec", "workloadType"])
        .spec(object, "image", &["workload", "container", "image"])
        .with("endpoints", names(&spec["workload"]["endpoints"]))
        .spec(object, "dependencies", &["workload", "dependencies"])
        .spec(object, "parameters", &["componentProfile", "parameters"])
        .done()
}

pub(super) fn binding_row(object: &Object) -> Value {
    binding(object).done()
}

pub(super) fn binding_full(object: &Object) -> Value {
    binding(object)
        .spec(object, "componentTypeEnvironmentConfigs", &["componentTypeEnvironmentConfigs"])
        .spec(object, "traitEnvironmentConfigs", &["traitEnvironmentConfigs"])
        .spec(object, "workloadOverrides", &["workloadOverrides"])
        .status(object, "connectionTargets", &["connectionTargets"])
        .status(object, "resolvedConnections", &["resolvedConnections"])
        .with("notReady", not_ready(object))
        .done()
}

fn binding(object: &Object) -> Shape {
    owned(object)
        .spec(object, "environment", &["environment"])
        .spec(object, "releaseName", &["releaseName"])
        .spec(object, "state", &["state"])
        .status(object, "endpoints", &["endpoints"])
        .status(object, "pendingConnections", &["pendingConnections"])
        .ready(object)
}

/// The messages of conditions that are not met: what an agent needs to go on.
fn not_ready(object: &Object) -> Value {
    let conditions = object.data["status"]["conditions"].as_array().into_iter().flatten();
    let messages: Vec<String> = conditions
        .filter(|condition| condition["status"] == "False")
        .filter_map(|condition| {
            let message = condition["message"].as_str().filter(|text| !text.is_empty())?;
            Some(format!("{}: {message}", condition["type"].as_str().unwrap_or_default()))
        })
        .collect();
    json!(messages)
}

pub(super) fn environment(object: &Object) -> Value {
    let production = object.data["spec"]["isProduction"].as_bool().unwrap_or(false);
    Shape::of(object)
        .with("isProduction", json!(production))
        .spec(object, "dataPlaneRef", &["dataPlaneRef"])
        .ready(object)
        .done()
}

pub(super) fn pipeline_row(object: &Object) -> Value {
    Shape::of(object).ready(object).done()
}

pub(super) fn pipeline_full(object: &Object) -> Value {
    Shape::of(object)
        .ready(object)
        .spec(object, "promotionPaths", &["promotionPaths"])
        .conditions(object)
        .done()
}

pub(super) fn component_type(object: &Object) -> Value {
    Shape::of(object)
        .spec(object, "workloadType", &["workloadType"])
        .spec(object, "allowedWorkflows", &["allowedWorkflows"])
        .done()
}

pub(super) fn plane(object: &Object) -> Value {
    Shape::of(object)
        .spec(object, "planeID", &["planeID"])
        .status(object, "agentConnected", &["agentConnection", "connected"])
        .ready(object)
        .done()
}
