//! Swagger documents as protocol buffers: the messages of `openapi.v2` in google/gnostic's OpenAPIv2.proto.
//!
//! A message is a table of its fields here, with their numbers and how their values are written; a document is written by
//! walking through it and the tables at the same time. What has no field is a vendor extension, which travels as YAML.

use prost::encoding::{WireType, encode_key, encode_varint};
use serde_json::Value;

/// A field of a message: its name, its number, and what it holds.
type Field = (&'static str, u32, Kind);
type Message = [Field];

/// What a field holds.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Texts,
    Flag,
    Whole,
    Number,
    /// Whatever there is, as YAML.
    Any,
    Anys,
    /// Another message.
    One(&'static Message),
    /// A message in others, each of which has it in the first field, or in the one given.
    In(&'static [u32], &'static Message),
    /// Pairs of names and messages, in a message of their own.
    Named(&'static Message),
    /// A list of texts in a message of its own; one text is a list, too.
    Types,
    /// A schema, or whether there may be anything.
    Additional,
    Parameters,
    Responses,
    /// Not a field, but all pairs whose name begins with a slash.
    Paths,
}

/// The field of what has no other.
const EXTENSION: &str = "x-";

const DOCUMENT: &Message = &[
    ("swagger", 1, Kind::Text),
    ("info", 2, Kind::One(INFO)),
    ("paths", 8, Kind::Paths),
    ("definitions", 9, Kind::Named(&SCHEMA)),
    (EXTENSION, 16, Kind::Any),
];
const INFO: &Message =
    &[("title", 1, Kind::Text), ("version", 2, Kind::Text), (EXTENSION, 7, Kind::Any)];
const PATH_ITEM: &Message = &[
    ("get", 2, Kind::One(OPERATION)),
    ("put", 3, Kind::One(OPERATION)),
    ("post", 4, Kind::One(OPERATION)),
    ("delete", 5, Kind::One(OPERATION)),
    ("patch", 8, Kind::One(OPERATION)),
    ("parameters", 9, Kind::Parameters),
    (EXTENSION, 10, Kind::Any),
];
const OPERATION: &Message = &[
    ("description", 3, Kind::Text),
    ("operationId", 5, Kind::Text),
    ("produces", 6, Kind::Texts),
    ("consumes", 7, Kind::Texts),
    ("parameters", 8, Kind::Parameters),
    ("responses", 9, Kind::Responses),
    (EXTENSION, 13, Kind::Any),
];
const BODY_PARAMETER: &Message = &[
    ("description", 1, Kind::Text),
    ("name", 2, Kind::Text),
    ("in", 3, Kind::Text),
    ("required", 4, Kind::Flag),
    ("schema", 5, Kind::One(&SCHEMA)),
    (EXTENSION, 6, Kind::Any),
];
const QUERY_PARAMETER: &Message = &[
    ("required", 1, Kind::Flag),
    ("in", 2, Kind::Text),
    ("description", 3, Kind::Text),
    ("name", 4, Kind::Text),
    ("type", 6, Kind::Text),
    ("format", 7, Kind::Text),
    ("uniqueItems", 20, Kind::Flag),
    (EXTENSION, 23, Kind::Any),
];
const PATH_PARAMETER: &Message = &[
    ("required", 1, Kind::Flag),
    ("in", 2, Kind::Text),
    ("description", 3, Kind::Text),
    ("name", 4, Kind::Text),
    ("type", 5, Kind::Text),
    ("format", 6, Kind::Text),
    ("uniqueItems", 19, Kind::Flag),
    (EXTENSION, 22, Kind::Any),
];
const RESPONSE: &Message = &[
    ("description", 1, Kind::Text),
    ("schema", 2, Kind::In(&[1], &SCHEMA)),
    (EXTENSION, 5, Kind::Any),
];
static SCHEMA: [Field; 27] = [
    ("$ref", 1, Kind::Text),
    ("format", 2, Kind::Text),
    ("title", 3, Kind::Text),
    ("description", 4, Kind::Text),
    ("default", 5, Kind::Any),
    ("multipleOf", 6, Kind::Number),
    ("maximum", 7, Kind::Number),
    ("exclusiveMaximum", 8, Kind::Flag),
    ("minimum", 9, Kind::Number),
    ("exclusiveMinimum", 10, Kind::Flag),
    ("maxLength", 11, Kind::Whole),
    ("minLength", 12, Kind::Whole),
    ("pattern", 13, Kind::Text),
    ("maxItems", 14, Kind::Whole),
    ("minItems", 15, Kind::Whole),
    ("uniqueItems", 16, Kind::Flag),
    ("maxProperties", 17, Kind::Whole),
    ("minProperties", 18, Kind::Whole),
    ("required", 19, Kind::Texts),
    ("enum", 20, Kind::Anys),
    ("additionalProperties", 21, Kind::Additional),
    ("type", 22, Kind::Types),
    ("items", 23, Kind::In(&[1], &SCHEMA)),
    ("allOf", 24, Kind::One(&SCHEMA)),
    ("properties", 25, Kind::Named(&SCHEMA)),
    ("example", 30, Kind::Any),
    (EXTENSION, 31, Kind::Any),
];

/// A Swagger document, written.
pub(super) fn encode(document: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    message(DOCUMENT, document, &mut out);
    out
}

fn message(fields: &'static Message, value: &Value, out: &mut Vec<u8>) {
    let Value::Object(pairs) = value else { return };
    for (name, value) in pairs {
        match fields.iter().find(|field| field.0 == name) {
            Some((_, number, kind)) => field(*kind, *number, value, out),
            None if name.starts_with(EXTENSION) => {
                let own = fields.iter().find(|field| field.0 == EXTENSION);
                if let Some((_, number, _)) = own {
                    named(*number, name, out, |out| yaml(2, value, out));
                }
            }
            // Version 2 has no place for it.
            None => {}
        }
    }
}

fn field(kind: Kind, number: u32, value: &Value, out: &mut Vec<u8>) {
    match kind {
        Kind::Text => text(number, value.as_str().unwrap_or_default(), out),
        Kind::Texts => texts(number, value, out),
        Kind::Flag => varint(number, u64::from(value == true), out),
        Kind::Whole => varint(number, value.as_i64().unwrap_or_default().cast_unsigned(), out),
        Kind::Number => {
            encode_key(number, WireType::SixtyFourBit, out);
            out.extend(value.as_f64().unwrap_or_default().to_le_bytes());
        }
        Kind::Any => yaml(number, value, out),
        Kind::Anys => each(value, |one| yaml(number, one, out)),
        Kind::One(inner) => match value {
            Value::Array(all) => {
                all.iter().for_each(|one| within(number, out, |out| message(inner, one, out)));
            }
            one => within(number, out, |out| message(inner, one, out)),
        },
        Kind::In(way, inner) => within(number, out, |out| nested(way, inner, value, out)),
        Kind::Named(inner) => within(number, out, |out| {
            for (name, value) in value.as_object().into_iter().flatten() {
                named(1, name, out, |out| within(2, out, |out| message(inner, value, out)));
            }
        }),
        Kind::Types => within(number, out, |out| match value {
            Value::String(one) => text(1, one, out),
            all => texts(1, all, out),
        }),
        Kind::Additional => within(number, out, |out| match value {
            Value::Bool(may) => varint(2, u64::from(*may), out),
            schema => within(1, out, |out| message(&SCHEMA, schema, out)),
        }),
        Kind::Parameters => each(value, |one| within(number, out, |out| parameter(one, out))),
        Kind::Responses => within(number, out, |out| {
            for (code, response) in value.as_object().into_iter().flatten() {
                // A response, and not a reference to one.
                let response = |out: &mut Vec<u8>| nested(&[2, 1], RESPONSE, response, out);
                named(1, code, out, response);
            }
        }),
        Kind::Paths => within(number, out, |out| {
            for (path, item) in value.as_object().into_iter().flatten() {
                named(2, path, out, |out| within(2, out, |out| message(PATH_ITEM, item, out)));
            }
        }),
    }
}

/// A parameter, and not a reference to one.
fn parameter(parameter: &Value, out: &mut Vec<u8>) {
    let (way, fields): (&[u32], _) = match parameter["in"].as_str() {
        Some("body") => (&[1, 1], BODY_PARAMETER),
        Some("path") => (&[1, 2, 4], PATH_PARAMETER),
        _ => (&[1, 2, 3], QUERY_PARAMETER),
    };
    nested(way, fields, parameter, out);
}

/// A message in a field of a message in a field, and so on.
fn nested(way: &[u32], fields: &'static Message, value: &Value, out: &mut Vec<u8>) {
    match way {
        [] => message(fields, value, out),
        [number, rest @ ..] => within(*number, out, |out| nested(rest, fields, value, out)),
    }
}

/// A name, and what it stands for.
fn named(number: u32, name: &str, out: &mut Vec<u8>, value: impl FnOnce(&mut Vec<u8>)) {
    within(number, out, |out| {
        text(1, name, out);
        value(out);
    });
}

/// JSON is YAML.
fn yaml(number: u32, value: &Value, out: &mut Vec<u8>) {
    within(number, out, |out| text(2, &value.to_string(), out));
}

fn each(list: &Value, one: impl FnMut(&Value)) {
    list.as_array().into_iter().flatten().for_each(one);
}

fn texts(number: u32, list: &Value, out: &mut Vec<u8>) {
    each(list, |one| text(number, one.as_str().unwrap_or_default(), out));
}

fn text(number: u32, text: &str, out: &mut Vec<u8>) {
    bytes(number, text.as_bytes(), out);
}

fn varint(number: u32, value: u64, out: &mut Vec<u8>) {
    encode_key(number, WireType::Varint, out);
    encode_varint(value, out);
}

/// A message, which is written before its length is known.
fn within(number: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    write(&mut inner);
    bytes(number, &inner, out);
}

fn bytes(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}
