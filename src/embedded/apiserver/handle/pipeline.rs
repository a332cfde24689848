//! The stations of every write: decode, check identity, default, book the manager, prepare, admission, validate,
//! commit. Create, update and every patch differ only in where their document comes from.

use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use curtain_json::managed::{self, Reset, Writer};
use curtain_schema::FieldError;
use serde_json::{Value, json};

use super::super::admission::Operation;
use super::super::kinds::{Part, Schema, ValueExt, validate_metadata};
use super::super::reply::{self, Reply};
use super::super::request::body;
use super::super::request::query::FieldValidation;
use super::super::status::ApiError;
use super::super::store::{Key, Object, Write, WriteError};
use super::super::{Api, quota, time};
use super::{Context, show, update};

/// Which part of the object a write is for.
#[derive(Clone, Copy)]
pub(super) enum Door {
    /// The object itself.
    Main,
    /// Its status.
    Status,
    /// Its replicas, through `scale`.
    Scale,
    /// `finalize` of a namespace.
    Finalize,
    /// What a subresource of its kind changes.
    Part(&'static Part),
}

impl PartialEq for Door {
    fn eq(&self, other: &Self) -> bool {
        self.subresource() == other.subresource()
    }
}

impl Door {
    pub(super) fn subresource(self) -> &'static str {
        match self {
            Door::Main => "",
            Door::Status => "status",
            Door::Scale => "scale",
            Door::Finalize => "finalize",
            Door::Part(part) => part.subresource,
        }
    }

    /// What comes through of a client's document: all of it, or the live object with the part that this is for.
    pub(super) fn admit(self, context: &Context, live: &Value, given: Value) -> Value {
        match self {
            Door::Status => update::with_status(context, live, &given),
            Door::Part(part) => {
                let mut new = (part.take)(live, &given);
                if let Some(managers) = given.at(&["metadata", "managedFields"]) {
                    new["metadata"]["managedFields"] = managers.clone();
                }
                new
            }
            Door::Main | Door::Scale | Door::Finalize => given,
        }
    }
}

/// Decodes a body into a document of the resource's kind. Warnings are about fields that were dropped.
pub(super) fn decode(context: &Context, body: &Bytes) -> Result<(Value, Vec<String>), ApiError> {
    let decoded = body::decode(&context.content_type, body)?;
    let mut value = decoded.value;
    named(context, &value)?;
    identify(context, &mut value)?;
    let warnings = typed(context, &mut value, decoded.duplicates)?;
    Ok((value, warnings))
}

/// Documents of custom resources say what they are, as real servers demand; for others the path says it.
fn named(context: &Context, value: &Value) -> Result<(), ApiError> {
    let resource = &context.resource;
    if !resource.is_custom() || !value.is_object() {
        return Ok(());
    }
    if value.text(&["kind"]).is_empty() {
        let kind = &resource.kind;
        return Err(ApiError::bad_request(format!(
            "the object provided is unrecognized (must be of type {kind}): Object 'Kind' is missing in '{value}'"
        )));
    }
    if value.text(&["apiVersion"]).is_empty() {
        let expected = resource.api_version();
        return Err(ApiError::bad_request(format!(
            "the API version in the data () does not match the expected API version ({expected})"
        )));
    }
    Ok(())
}

/// The document must be of the kind and version that the path names; absent ones are filled in.
pub(super) fn identify(context: &Context, value: &mut Value) -> Result<(), ApiError> {
    let resource = &context.resource;
    if !value.is_object() {
        return Err(ApiError::bad_request("the body is not an object"));
    }
    let (api_version, kind) = (resource.api_version(), resource.kind.as_str());
    value.default_to("apiVersion", api_version.as_str());
    value.default_to("kind", kind);
    if value["kind"] != kind || value["apiVersion"] != *api_version {
        return Err(ApiError::bad_request(format!(
            "the object provided is unrecognized: got {}, Kind={}, the path serves {api_version}, Kind={kind}",
            value.text(&["apiVersion"]),
            value.text(&["kind"]),
        )));
    }
    value.sub("metadata");
    Ok(())
}

/// Checks types, drops unknown fields, and says so as asked.
pub(super) fn typed(
    context: &Context,
    value: &mut Value,
    duplicates: Vec<String>,
) -> Result<Vec<String>, ApiError> {
    let resource = &context.resource;
    conform(context, value, &duplicates).map_err(|why| {
        ApiError::bad_request(cannot_be_handled(&resource.kind, &resource.version, &why))
    })
}

/// As [`typed`], with a bare reason for what is refused.
pub(super) fn conform(
    context: &Context,
    value: &mut Value,
    duplicates: &[String],
) -> Result<Vec<String>, String> {
    let validation = context.query.field_validation();
    let unknown = match &context.resource.schema {
        Schema::Builtin(node) => curtain_schema::builtin::decode(value, *node),
        Schema::Structural(schema) => schema.prune(value),
    };
    let unknown = unknown.map_err(|error| error.to_string())?;
    if validation == FieldValidation::Ignore {
        return Ok(Vec::new());
    }
    let mut complaints: Vec<String> =
        unknown.iter().map(|path| format!("unknown field \"{path}\"")).collect();
    complaints.extend(duplicates.iter().map(|path| format!("duplicate field \"{path}\"")));
    if validation == FieldValidation::Strict && !complaints.is_empty() {
        return Err(format!("strict decoding error: {}", complaints.join(", ")));
    }
    Ok(complaints)
}

fn cannot_be_handled(kind: &str, version: &str, why: &str) -> String {
    format!("{kind} in version {version:?} cannot be handled as a {kind}: {why}")
}

/// Decodes a body of a subresource's own kind, or `DeleteOptions`: an object whose fields have the right types,
/// so that handlers may write into it. Fields that the kind does not have are dropped.
pub(super) fn decode_as(context: &Context, body: &Bytes, kind: SubKind) -> Result<Value, ApiError> {
    let mut value = body::decode(&context.content_type, body)?.value;
    // For typed decoders null is an object that says nothing.
    if value.is_null() {
        value = json!({});
    }
    kind.check(&mut value).map_err(ApiError::bad_request)?;
    Ok(value)
}

/// A kind that only subresources and options use; each has the version v1.
#[derive(Debug, Clone, Copy)]
pub(super) struct SubKind {
    kind: &'static str,
    definition: &'static str,
}

impl SubKind {
    pub(super) const SCALE: Self = Self::v1("Scale", "api.autoscaling.v1.Scale");
    pub(super) const BINDING: Self = Self::v1("Binding", "api.core.v1.Binding");
    pub(super) const EVICTION: Self = Self::v1("Eviction", "api.policy.v1.Eviction");
    pub(super) const TOKEN: Self = Self::v1("TokenRequest", "api.authentication.v1.TokenRequest");
    pub(super) const DELETE_OPTIONS: Self =
        Self::v1("DeleteOptions", "apimachinery.pkg.apis.meta.v1.DeleteOptions");

    const fn v1(kind: &'static str, definition: &'static str) -> Self {
        Self { kind, definition }
    }

    /// Checks the types and drops what is unknown; `Err` says what is wrong.
    pub(super) fn check(self, value: &mut Value) -> Result<(), String> {
        let cannot = |why: &str| cannot_be_handled(self.kind, "v1", why);
        if !value.is_object() {
            return Err(cannot("the body is not an object"));
        }
        let node = curtain_schema::builtin::definition(self.definition)
            .ok_or_else(|| cannot("the kind is not known"))?;
        curtain_schema::builtin::decode(value, node)
            .map(drop)
            .map_err(|error| cannot(&error.to_string()))
    }
}

/// Schema defaults of custom resources, then the kind's own.
pub(super) fn default(context: &Context, value: &mut Value) {
    if let Schema::Structural(schema) = &context.resource.schema {
        schema.default(value);
    }
    (context.resource.strategy.default)(value);
}

/// Books what changed on the request's field manager.
pub(super) fn book(context: &Context, old: Option<&Value>, new: &mut Value, door: Door) {
    let manager = context.manager();
    let now = time::now();
    let writer = writer(context, &manager, &now, door);
    managed::update(old, new, &writer, context.resource.schema.node());
}

pub(super) fn writer<'a>(
    context: &'a Context,
    manager: &'a str,
    now: &'a str,
    door: Door,
) -> Writer<'a> {
    Writer {
        manager,
        api_version: &context.resource.served_api_version,
        subresource: door.subresource(),
        now,
        reset: match door {
            Door::Status => Reset::AllButStatus,
            _ if context.resource.has_status => Reset::Status,
            _ => Reset::Nothing,
        },
    }
}

/// Everything that is wrong with the document, or nothing.
pub(super) fn validate(
    context: &Context,
    new: &Value,
    old: Option<&Value>,
    door: Door,
) -> Result<(), ApiError> {
    let resource = &context.resource;
    let mut errors: Vec<FieldError> = Vec::new();
    validate_metadata(resource, new, old, &mut errors);
    if let Schema::Structural(schema) = &resource.schema {
        errors.extend(schema.validate(new, old));
    }
    match (door, old) {
        (Door::Part(part), Some(old)) => (part.validate)(new, old, &mut errors),
        _ => (resource.strategy.validate)(new, old, &mut errors),
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(resource.invalid(new.text(&["metadata", "name"]), errors))
    }
}

/// What became of a write.
pub(super) enum Outcome {
    /// It is stored (or nothing changed: the stored version).
    Stored(Arc<Object>),
    /// A dry run: what would have been stored.
    Dry(Value),
    /// The last finalizer went: the object is gone.
    Gone(Arc<Object>),
}

impl Outcome {
    pub(super) fn reply(
        self,
        context: &Context,
        code: u16,
        warnings: &[String],
    ) -> Result<Reply, ApiError> {
        let mut reply = match &self {
            Outcome::Stored(object) | Outcome::Gone(object) => show::object(context, code, object)?,
            Outcome::Dry(value) => show::document(context, code, value)?,
        };
        for warning in warnings {
            reply::warn(&mut reply, warning);
        }
        Ok(reply)
    }
}

/// Puts back what only the server writes, so that a client's copy cannot change it.
pub(in crate::apiserver) fn keep_identity(new: &mut Value, old: &Value) {
    const KEPT: [&str; 7] = [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "resourceVersion",
        "selfLink",
    ];
    let metadata = new.sub("metadata");
    for field in KEPT {
        match old.at(&["metadata", field]) {
            Some(value) => metadata[field] = value.clone(),
            None => drop(metadata.drop_field(field)),
        }
    }
    if metadata.text(&["name"]).is_empty() {
        metadata["name"] = old["metadata"]["name"].clone();
    }
    if let Some(namespace) = old.at(&["metadata", "namespace"])
        && metadata.text(&["namespace"]).is_empty()
    {
        metadata["namespace"] = namespace.clone();
    }
    if let Some(generated) = old.at(&["metadata", "generateName"]) {
        metadata["generateName"] = generated.clone();
    }
}

/// What is not stored empty, as in typed servers.
const NOT_EMPTY: [&str; 4] = ["labels", "annotations", "finalizers", "ownerReferences"];

/// Takes what is not stored out of an applied configuration: who owned it would be at odds with the next one who does.
pub(super) fn drop_empty(applied: &mut Value) {
    let Some(metadata) = applied.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    metadata.retain(|name, value| !NOT_EMPTY.contains(&name.as_str()) || !is_empty(value));
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// Empty labels, annotations and finalizers are not stored, nor are empty managers.
pub(in crate::apiserver) fn tidy(object: &mut Value) {
    drop_empty(object);
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    if metadata.get("managedFields").is_some_and(is_empty) {
        metadata.remove("managedFields");
    }
    metadata.remove("selfLink");
    for field in ["creationTimestamp", "generateName"] {
        if metadata.get(field).is_some_and(|v| v.is_null() || v == "") {
            metadata.remove(field);
        }
    }
}

/// Everything but metadata and status: what `generation` counts.
fn specification(object: &Value) -> Value {
    let mut copy = object.clone();
    copy.drop_field("metadata");
    copy.drop_field("status");
    copy
}

/// The second half of every change of an existing object: `new` has its managers booked already.
///
/// `Raced` is for the caller: read again and decide again.
pub(super) async fn revise(
    api: &Api,
    context: &Context,
    live: &Arc<Object>,
    old: &Value,
    mut new: Value,
    door: Door,
    dry_run: bool,
) -> Result<Result<Outcome, WriteError>, ApiError> {
    let resource = &context.resource;
    let strategy = &resource.strategy;
    keep_identity(&mut new, old);
    if resource.has_status && door != Door::Status {
        match old.get("status") {
            Some(status) => new["status"] = status.clone(),
            None => drop(new.drop_field("status")),
        }
    }
    if door == Door::Main || door == Door::Scale {
        (strategy.prepare)(&mut new, Some(old));
    }
    tidy(&mut new);
    let admission = context.admission(api, Operation::Update);
    admission.change(&mut new, Some(old)).await?;
    let reserved = admission.reserved(&new, Some(old));
    validate(context, &new, Some(old), door)?;
    admission.check(Some(&new), Some(old)).await?;
    if resource.generation && door != Door::Status && specification(&new) != specification(old) {
        new["metadata"]["generation"] =
            json!(old.int(&["metadata", "generation"]).unwrap_or(0) + 1);
    }
    managed::keep_times(&mut new, old);
    if new == *old && !is_outdated(context, live) {
        return Ok(Ok(Outcome::Stored(live.clone())));
    }
    if dry_run {
        return Ok(Ok(Outcome::Dry(new)));
    }
    let deleting = new.at(&["metadata", "deletionTimestamp"]).is_some();
    let gone = deleting && !context.held(&new);
    reserved.keep();
    match commit(api, context, Some(live.rv), new.clone(), gone).await {
        Ok(object) if gone => {
            released_all(api, context, &new);
            Ok(Ok(Outcome::Gone(object)))
        }
        Ok(object) => {
            if let (Some(released), Door::Main) = (strategy.released, door) {
                released(api, old, Some(&new));
            }
            Ok(Ok(Outcome::Stored(object)))
        }
        Err(error) => {
            if let (Some(released), Door::Main) = (strategy.released, door) {
                released(api, &new, Some(old));
            }
            Ok(Err(error))
        }
    }
}

/// Would the object be stored as something else if it were written as it is read?
fn is_outdated(context: &Context, live: &Object) -> bool {
    let resource = &context.resource;
    resource.is_custom()
        && (live.field(&["apiVersion"]) != resource.stored_api_version
            || resource.reread(live).is_some())
}

/// The object is gone: what was reserved for it is free.
pub(super) fn released_all(api: &Api, context: &Context, gone: &Value) {
    if let Some(released) = context.resource.strategy.released {
        released(api, gone, None);
    }
}

/// The last station: stores the document in its stored form, and charges the quotas of its namespace.
pub(super) async fn commit(
    api: &Api,
    context: &Context,
    expected: Option<u64>,
    mut value: Value,
    delete: bool,
) -> Result<Arc<Object>, WriteError> {
    let resource = &context.resource;
    if let Some(convert) = resource.strategy.store {
        convert(&mut value);
    }
    value["apiVersion"] = resource.stored_api_version.as_str().into();
    let key = Key::new(value.text(&["metadata", "namespace"]), value.text(&["metadata", "name"]));
    let must_fit = quota::must_fit(resource, &context.path.subresource, expected.is_none());
    let mut write = Write { table: resource.table.clone(), key, expected, value, delete };
    if let Some(along) = resource.strategy.along {
        let queued = {
            // It guards nothing that could be half done.
            let _turn = api.along.lock().unwrap_or_else(PoisonError::into_inner);
            let others = along(api, &mut write);
            api.store.queue(write, others)?
        };
        return queued.await;
    }
    quota::commit(api, resource, write, must_fit).await
}
