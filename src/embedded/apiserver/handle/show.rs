//! Objects as the client wants to see them: as they are, as table rows, or metadata only.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::kinds::{Resource, Schema};
use super::super::reply::{self, Reply};
use super::super::request::accept::Shape;
use super::super::request::selector::Fields;
use super::super::status::ApiError;
use super::super::store::Object;
use super::Context;

/// What a Table row carries beside its cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowObject {
    None,
    Metadata,
    Object,
}

impl RowObject {
    pub(super) fn of(context: &Context) -> Result<Self, ApiError> {
        match context.query.get("includeObject") {
            None | Some("Metadata") => Ok(Self::Metadata),
            Some("None") => Ok(Self::None),
            Some("Object") => Ok(Self::Object),
            Some(other) => Err(ApiError::bad_request(format!(
                "includeObject: Unsupported value: \"{other}\": supported values: \"Metadata\", \"None\", \"Object\""
            ))),
        }
    }
}

/// The bytes as this version serves them.
pub(super) fn bytes(resource: &Resource, object: &Object) -> Bytes {
    let reread = resource.reread(object);
    let object = reread.as_ref().unwrap_or(object);
    let served = &resource.served_api_version;
    let stored = object.bytes.strip_prefix(b"{\"apiVersion\":\"".as_slice());
    let same = stored
        .and_then(|rest| rest.strip_prefix(served.as_bytes()))
        .is_some_and(|rest| rest.starts_with(b"\""));
    if same && resource.strategy.serve.is_none() {
        return object.bytes.clone();
    }
    form(resource, object.value()).to_string().into()
}

/// A stored object as this version serves it.
pub(in crate::apiserver) fn value(resource: &Resource, object: &Object) -> Value {
    form(resource, resource.reread(object).as_ref().unwrap_or(object).value())
}

/// A document in this version's form.
fn form(resource: &Resource, mut value: Value) -> Value {
    if let Some(convert) = resource.strategy.serve {
        convert(&mut value);
    }
    if let Schema::Structural(schema) = &resource.schema
        && value["apiVersion"] != *resource.served_api_version
    {
        // Fields that only other versions have. Metadata, which alone can fail, has been read before.
        let _ = schema.prune(&mut value);
    }
    value["apiVersion"] = resource.api_version().into();
    value["kind"] = resource.kind.as_str().into();
    value
}

/// Have the fields of the object these values, as it is read?
pub(super) fn has(resource: &Resource, fields: &Fields, object: &Object) -> bool {
    fields.is_empty() || fields.matches(resource.reread(object).as_ref().unwrap_or(object))
}

/// One object as an answer.
pub(super) fn object(context: &Context, code: u16, object: &Object) -> Result<Reply, ApiError> {
    Ok(match context.shape()? {
        Shape::Object => reply::json_bytes(code, bytes(&context.resource, object)),
        Shape::Metadata => reply::json(code, &metadata(value(&context.resource, object))),
        Shape::Table => {
            let rows = RowObject::of(context)?;
            let rv = object.rv.to_string();
            reply::json(
                code,
                &table(&context.resource, &[value(&context.resource, object)], rows, rv, true),
            )
        }
    })
}

/// One document that is not stored (dry runs) as an answer.
pub(super) fn document(context: &Context, code: u16, document: &Value) -> Result<Reply, ApiError> {
    let key = super::super::store::Key::new("", "");
    let bytes = serde_json::to_vec(document).unwrap_or_default();
    object(context, code, &Object::stored(0, key, bytes.into()))
}

/// A `PartialObjectMetadata`.
pub(super) fn metadata(mut object: Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"].take()})
}

/// A `Table`; `headed` adds the column definitions.
pub(super) fn table(
    resource: &Resource,
    objects: &[Value],
    rows: RowObject,
    rv: String,
    headed: bool,
) -> Value {
    let now = Timestamp::now();
    let row = |object: &Value| {
        let cells = resource.columns.cells(object, now);
        let mut row = Map::from_iter([("cells".to_owned(), Value::Array(cells))]);
        match rows {
            RowObject::None => {}
            RowObject::Metadata => {
                row.insert("object".into(), metadata(json!({"metadata": object["metadata"]})));
            }
            RowObject::Object => {
                row.insert("object".into(), object.clone());
            }
        }
        Value::Object(row)
    };
    let columns: Vec<Value> = match headed {
        false => Vec::new(),
        true => resource
            .columns
            .headings()
            .into_iter()
            .map(|c| {
                json!({"name": c.name, "type": c.kind, "format": c.format, "description": c.description,
                    "priority": c.priority})
            })
            .collect(),
    };
    let rows: Vec<Value> = objects.iter().map(row).collect();
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": rv},
        "columnDefinitions": columns, "rows": rows})
}

/// The objects of a list in the asked shape, encoded.
pub(super) fn item(resource: &Resource, shape: Shape, object: &Arc<Object>) -> Bytes {
    match shape {
        Shape::Metadata => metadata(value(resource, object)).to_string().into(),
        _ => bytes(resource, object),
    }
}
