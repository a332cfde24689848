//! A write as others see it: the `AdmissionRequest`, in the version of the resource that they ask for.

use serde_json::{Value, json};

use super::super::handle::scale;
use super::super::kinds::{Resource, ValueExt};
use super::{Admission, Operation};

/// The request without its objects, and these.
pub(super) struct Seen {
    pub(super) request: Value,
    pub(super) object: Option<Value>,
    pub(super) old: Option<Value>,
}

impl Seen {
    pub(super) fn new(
        admission: &Admission<'_>,
        wanted: &Resource,
        document: Option<&Value>,
        old: Option<&Value>,
    ) -> Self {
        let own = admission.resource;
        let namespace = match *own.table == *"/namespaces" {
            true => name(admission, document),
            false => admission.namespace,
        };
        let user = admission.user;
        let extra: serde_json::Map<String, Value> =
            user.extra.iter().map(|(name, values)| (name.clone(), json!(values))).collect();
        let mut request = json!({
            "kind": kind(wanted, admission.subresource),
            "resource": resource(wanted),
            "requestKind": kind(own, admission.subresource),
            "requestResource": resource(own),
            "operation": admission.operation.name(),
            "userInfo": {"username": user.name, "groups": user.groups},
            "dryRun": admission.dry_run,
            "options": options(admission),
        });
        let told = [
            ("subResource", admission.subresource),
            ("requestSubResource", admission.subresource),
            ("name", name(admission, document)),
            ("namespace", namespace),
        ];
        for (field, text) in told.iter().filter(|(_, text)| !text.is_empty()) {
            request[*field] = (*text).into();
        }
        if !user.uid.is_empty() {
            request["userInfo"]["uid"] = user.uid.as_str().into();
        }
        if !extra.is_empty() {
            request["userInfo"]["extra"] = extra.into();
        }
        let shown = |object: &Value| shown(admission, wanted, object);
        Self { request, object: document.map(shown), old: old.map(shown) }
    }
}

/// Of the object that is written, empty as long as it has none.
pub(super) fn name<'a>(admission: &Admission<'a>, document: Option<&'a Value>) -> &'a str {
    match admission.name {
        "" => document.map_or("", |document| document.text(&["metadata", "name"])),
        name => name,
    }
}

fn resource(resource: &Resource) -> Value {
    json!({"group": resource.group, "version": resource.version, "resource": resource.plural})
}

fn kind(resource: &Resource, subresource: &str) -> Value {
    let declared = resource.subresources.iter().find(|sub| sub.name == subresource);
    let own = (resource.group.as_str(), resource.version.as_str(), resource.kind.as_str());
    let (group, version, kind) = match subresource {
        "scale" => ("autoscaling", "v1", "Scale"),
        _ => declared.and_then(|sub| sub.speaks).unwrap_or(own),
    };
    json!({"group": group, "version": version, "kind": kind})
}

/// Those of what is done, which for a patch are not those of the request.
fn options(admission: &Admission<'_>) -> Value {
    let kind = match admission.operation {
        Operation::Create => "CreateOptions",
        Operation::Update => "UpdateOptions",
        Operation::Delete => "DeleteOptions",
    };
    let mut options = json!({"kind": kind, "apiVersion": "meta.k8s.io/v1"});
    for field in ["fieldManager", "fieldValidation", "propagationPolicy"] {
        if let Some(value) = admission.query.get(field) {
            options[field] = value.into();
        }
    }
    if admission.dry_run {
        options["dryRun"] = json!(["All"]);
    }
    options
}

/// Whether the document of the write is another object than the one that is shown.
fn is_scaled(admission: &Admission<'_>) -> bool {
    admission.subresource == "scale"
}

/// Whether the subresource has documents of its own, of one version.
pub(super) fn speaks(
    admission: &Admission<'_>,
) -> Option<(&'static str, &'static str, &'static str)> {
    let declared = admission.resource.subresources.iter();
    declared.filter(|sub| sub.name == admission.subresource).find_map(|sub| sub.speaks)
}

fn convert(object: &mut Value, from: &Resource, to: &Resource) {
    if from.served_api_version == to.served_api_version {
        return;
    }
    if let Some(store) = from.strategy.store {
        store(object);
    }
    if let Some(serve) = to.strategy.serve {
        serve(object);
    }
    object["apiVersion"] = to.served_api_version.as_str().into();
    object["kind"] = to.kind.as_str().into();
}

fn shown(admission: &Admission<'_>, wanted: &Resource, object: &Value) -> Value {
    if let (true, Some(paths)) = (is_scaled(admission), &admission.resource.scale) {
        return scale::scale_of(object, paths);
    }
    let mut shown = object.clone();
    match speaks(admission) {
        Some((group, version, kind)) => {
            shown.default_to("apiVersion", super::super::kinds::api_version(group, version));
            shown.default_to("kind", kind);
        }
        None => convert(&mut shown, admission.resource, wanted),
    }
    shown
}

/// The document with what was made of how it was shown.
pub(super) fn taken_back(
    admission: &Admission<'_>,
    wanted: &Resource,
    mut changed: Value,
    document: &Value,
) -> Result<Value, String> {
    if let (true, Some(paths)) = (is_scaled(admission), &admission.resource.scale) {
        let replicas = changed.int(&["spec", "replicas"]).unwrap_or(0);
        let mut scaled = document.clone();
        scale::set(&mut scaled, &paths.replicas, replicas)?;
        return Ok(scaled);
    }
    if speaks(admission).is_none() {
        convert(&mut changed, wanted, admission.resource);
    }
    Ok(changed)
}
