//! Objects as tools show them: the members that help, and nothing empty.
//!
//! A [`Shape`] is data, from which both the result and its schema come.

use serde_json::{Map, Value, json};

use crate::{
    mcp::{Member, Members},
    objects::{DESCRIPTION, DISPLAY_NAME, Object, condition_status, created_at},
};

/// The members that an object shows beside the common ones, in their order. Empty values are left out.
#[derive(Debug)]
pub(super) struct Shape(&'static [&'static [Field]]);

/// A member, and where its value comes from.
#[derive(Debug)]
struct Field(Member, Source);

#[derive(Debug)]
enum Source {
    /// A path in the spec.
    Spec(&'static [&'static str]),
    /// A path in the status.
    Status(&'static [&'static str]),
    /// Worked out from the object.
    Made(fn(&Object) -> Value),
}

impl Members for Shape {
    fn members(&self) -> Vec<Member> {
        self.0.iter().copied().flatten().map(|Field(member, _)| *member).collect()
    }
}

impl Shape {
    /// The object in this shape: name, namespace, display name, description and time of creation, then its members.
    pub(super) fn show(&self, object: &Object) -> Value {
        let metadata = &object.metadata;
        let annotation = |key: &str| metadata.annotations.as_ref().and_then(|all| all.get(key));
        let mut shown = Map::new();
        for (name, value) in [
            ("name", json!(metadata.name)),
            ("namespace", json!(metadata.namespace)),
            ("displayName", json!(annotation(DISPLAY_NAME))),
            ("description", json!(annotation(DESCRIPTION))),
            ("createdAt", json!(created_at(object))),
        ] {
            put(&mut shown, name, value);
        }
        for Field(member, source) in self.0.iter().copied().flatten() {
            let value = match source {
                Source::Spec(path) => at(&object.data["spec"], path),
                Source::Status(path) => at(&object.data["status"], path),
                Source::Made(make) => make(object),
            };
            put(&mut shown, member.name, value);
        }
        Value::Object(shown)
    }
}

fn put(shown: &mut Map<String, Value>, name: &str, value: Value) {
    let empty = match &value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    };
    if !empty {
        shown.insert(name.to_owned(), value);
    }
}

fn at(value: &Value, path: &[&str]) -> Value {
    path.iter().try_fold(value, |value, key| value.get(key)).cloned().unwrap_or(Value::Null)
}

const fn spec(member: Member, path: &'static [&'static str]) -> Field {
    Field(member, Source::Spec(path))
}

const fn status(member: Member, path: &'static [&'static str]) -> Field {
    Field(member, Source::Status(path))
}

const fn made(member: Member, make: fn(&Object) -> Value) -> Field {
    Field(member, Source::Made(make))
}

const STATUS: Field = made(Member::text("status"), |object| json!(condition_status(object)));
const CONDITIONS: Field = made(Member::list("conditions"), conditions);
const SPEC: Field = spec(Member::object("spec"), &[]);
const LATEST_RELEASE: Field = status(Member::text("latestRelease"), &["latestRelease", "name"]);
const OWNER: &[Field] = &[
    spec(Member::text("projectName"), &["owner", "projectName"]),
    spec(Member::text("componentName"), &["owner", "componentName"]),
];
const COMPONENT_MEMBERS: &[Field] = &[
    spec(Member::text("projectName"), &["owner", "projectName"]),
    made(Member::flag("autoDeploy"), |object| flag(object, "autoDeploy")),
    spec(Member::flag("autoBuild"), &["autoBuild"]),
    STATUS,
    LATEST_RELEASE,
];
const BINDING_MEMBERS: &[Field] = &[
    spec(Member::text("environment"), &["environment"]),
    spec(Member::text("releaseName"), &["releaseName"]),
    spec(Member::text("state"), &["state"]),
    status(Member::list("endpoints"), &["endpoints"]),
    status(Member::list("pendingConnections"), &["pendingConnections"]),
    STATUS,
];

/// Name and what people call it.
pub(super) static PLAIN: Shape = Shape(&[]);
pub(super) static WITH_SPEC: Shape = Shape(&[&[SPEC, STATUS]]);
pub(super) static PROJECT: Shape = Shape(&[&[
    spec(Member::text("deploymentPipelineRef"), &["deploymentPipelineRef", "name"]),
    spec(Member::object("type"), &["type"]),
    STATUS,
    LATEST_RELEASE,
]]);
pub(super) static COMPONENT_ROW: Shape =
    Shape(&[COMPONENT_MEMBERS, &[spec(Member::text("componentType"), &["componentType", "name"])]]);
pub(super) static COMPONENT: Shape = Shape(&[
    COMPONENT_MEMBERS,
    &[
        spec(Member::object("componentType"), &["componentType"]),
        spec(Member::object("parameters"), &["parameters"]),
        spec(Member::list("traits"), &["traits"]),
        spec(Member::object("workflow"), &["workflow"]),
        CONDITIONS,
    ],
]);
pub(super) static WORKLOAD_ROW: Shape = Shape(&[
    OWNER,
    &[
        spec(Member::text("image"), &["container", "image"]),
        made(Member::list("endpoints"), |object| names(&object.data["spec"]["endpoints"])),
    ],
]);
pub(super) static WORKLOAD: Shape = Shape(&[OWNER, &[SPEC]]);
pub(super) static RELEASE_ROW: Shape = Shape(&[OWNER]);
pub(super) static RELEASE: Shape = Shape(&[
    OWNER,
    &[
        made(Member::object("componentType"), |object| {
            let component_type = &object.data["spec"]["componentType"];
            json!({"kind": component_type["kind"], "name": component_type["name"]})
        }),
        spec(Member::text("workloadType"), &["componentType", "spec", "workloadType"]),
        spec(Member::text("image"), &["workload", "container", "image"]),
        made(Member::list("endpoints"), |object| {
            names(&object.data["spec"]["workload"]["endpoints"])
        }),
        spec(Member::object("dependencies"), &["workload", "dependencies"]),
        spec(Member::object("parameters"), &["componentProfile", "parameters"]),
    ],
]);
pub(super) static BINDING_ROW: Shape = Shape(&[OWNER, BINDING_MEMBERS]);
pub(super) static BINDING: Shape = Shape(&[
    OWNER,
    BINDING_MEMBERS,
    &[
        spec(
            Member::object("componentTypeEnvironmentConfigs"),
            &["componentTypeEnvironmentConfigs"],
        ),
        spec(Member::object("traitEnvironmentConfigs"), &["traitEnvironmentConfigs"]),
        spec(Member::object("workloadOverrides"), &["workloadOverrides"]),
        status(Member::list("connectionTargets"), &["connectionTargets"]),
        status(Member::list("resolvedConnections"), &["resolvedConnections"]),
        made(Member::list("notReady"), not_ready),
        made(Member::whole("generation"), |object| json!(object.metadata.generation)),
    ],
]);
pub(super) static ENVIRONMENT: Shape = Shape(&[&[
    made(Member::flag("isProduction"), |object| flag(object, "isProduction")),
    spec(Member::object("dataPlaneRef"), &["dataPlaneRef"]),
    STATUS,
]]);
pub(super) static PIPELINE_ROW: Shape = Shape(&[&[STATUS]]);
pub(super) static PIPELINE: Shape =
    Shape(&[&[STATUS, spec(Member::list("promotionPaths"), &["promotionPaths"]), CONDITIONS]]);
pub(super) static COMPONENT_TYPE: Shape = Shape(&[&[
    spec(Member::text("workloadType"), &["workloadType"]),
    spec(Member::list("allowedWorkflows"), &["allowedWorkflows"]),
]]);
pub(super) static PLANE: Shape = Shape(&[&[
    spec(Member::text("planeID"), &["planeID"]),
    status(Member::flag("agentConnected"), &["agentConnection", "connected"]),
    STATUS,
]]);

/// A truth of the spec; false when it does not say.
fn flag(object: &Object, name: &str) -> Value {
    json!(object.data["spec"][name].as_bool().unwrap_or(false))
}

/// The keys of an object.
fn names(value: &Value) -> Value {
    value.as_object().map(|members| members.keys().cloned().collect()).unwrap_or(Value::Null)
}

/// The conditions without their times.
fn conditions(object: &Object) -> Value {
    let conditions = object.data["status"]["conditions"].as_array().into_iter().flatten();
    let shown = conditions.map(|condition| {
        let mut shown = json!({"type": condition["type"], "status": condition["status"]});
        for member in ["reason", "message"] {
            if condition[member].as_str().is_some_and(|text| !text.is_empty()) {
                shown[member] = condition[member].clone();
            }
        }
        shown
    });
    shown.collect()
}

/// The messages of conditions that are not met: what an agent needs to go on.
fn not_ready(object: &Object) -> Value {
    let conditions = object.data["status"]["conditions"].as_array().into_iter().flatten();
    let messages =
        conditions.filter(|condition| condition["status"] == "False").filter_map(|one| {
            let message = one["message"].as_str().filter(|text| !text.is_empty())?;
            let kind = one["type"].as_str().unwrap_or_default();
            Some(Value::String(format!("{kind}: {message}")))
        });
    messages.collect()
}
