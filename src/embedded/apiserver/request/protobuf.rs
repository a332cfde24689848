//! Kubernetes protobuf bodies, decoded by a table.
//!
//! A body is `k8s\0` and a `runtime.Unknown`: the kind's name and the bytes of its message. The table
//! (`protobuf.txt`) says what the bytes mean:
//!
//! ```text
//! =GROUP/VERSION/KIND MESSAGE      a kind and the number of its message
//! @MESSAGE NAME                    a message; its fields follow, one a line
//! NUMBER NAME[?] TYPE              a field; NAME `+` = its fields belong to the message around it
//! ```
//!
//! TYPE is `string bytes bool int double time microtime raw quantity intstr strings` or `&MESSAGE`, after `[]` for
//! lists and `{}` for maps from strings. Go writes zeros of fields that are no pointers: `?` marks those that are,
//! and only they keep a zero.

use std::collections::HashMap;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::super::time;

/// Deeper messages are refused.
const MAX_DEPTH: u8 = 32;
const MAGIC: &[u8] = b"k8s\0";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    String,
    Bytes,
    Bool,
    Int,
    Double,
    Time,
    MicroTime,
    Raw,
    Quantity,
    IntOrString,
    Strings,
    Message(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    One,
    List,
    Map,
}

#[derive(Debug)]
struct Field {
    number: u64,
    name: &'static str,
    keep_zero: bool,
    shape: Shape,
    kind: Type,
}

#[derive(Default)]
struct Table {
    kinds: HashMap<&'static str, usize>,
    messages: Vec<Vec<Field>>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| parse(include_str!("protobuf.txt")));

/// Why a body cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProtobufError {
    /// It does not begin as Kubernetes protobuf does.
    #[error("the body does not begin with the protobuf prefix of Kubernetes")]
    Prefix,
    /// It ends early, or a length is wrong.
    #[error("the body is not valid protobuf")]
    Malformed,
    /// The kind is not in the table.
    #[error("protobuf bodies of {0} are not supported: send JSON")]
    Unknown(String),
}

use ProtobufError::Malformed;

fn parse(text: &'static str) -> Table {
    let mut table = Table::default();
    for line in text.lines() {
        let mut words = line.split(' ');
        let (first, second, third) = (words.next().unwrap_or_default(), words.next(), words.next());
        if first.starts_with('#') {
        } else if let Some(kind) = first.strip_prefix('=') {
            table.kinds.insert(kind, second.and_then(|n| n.parse().ok()).unwrap_or_default());
        } else if first.starts_with('@') {
            table.messages.push(Vec::new());
        } else if let (Some(name), Some(kind), Some(message)) =
            (second, third, table.messages.last_mut())
        {
            let (shape, kind) = match kind.as_bytes() {
                [b'[', ..] => (Shape::List, &kind[2..]),
                [b'{', ..] => (Shape::Map, &kind[2..]),
                _ => (Shape::One, kind),
            };
            let kind = match kind {
                "string" => Type::String,
                "bytes" => Type::Bytes,
                "bool" => Type::Bool,
                "int" => Type::Int,
                "double" => Type::Double,
                "time" => Type::Time,
                "microtime" => Type::MicroTime,
                "raw" => Type::Raw,
                "quantity" => Type::Quantity,
                "intstr" => Type::IntOrString,
                "strings" => Type::Strings,
                other => Type::Message(other.trim_start_matches('&').parse().unwrap_or_default()),
            };
            let keep_zero = name.ends_with('?');
            let number = first.parse().unwrap_or_default();
            message.push(Field {
                number,
                name: name.trim_end_matches('?'),
                keep_zero,
                shape,
                kind,
            });
        }
    }
    table
}

/// Decodes a body into the document that it stands for, `apiVersion` and `kind` included.
pub(crate) fn decode(body: &[u8]) -> Result<Value, ProtobufError> {
    let body = body.strip_prefix(MAGIC).ok_or(ProtobufError::Prefix)?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for entry in Entries(body) {
        match entry? {
            (1, Wire::Bytes(meta)) => {
                for entry in Entries(meta) {
                    match entry? {
                        (1, Wire::Bytes(text)) => api_version = utf8(text)?,
                        (2, Wire::Bytes(text)) => kind = utf8(text)?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let name = match kind.as_str() {
        // Sent in whatever group the deleted object is in.
        "DeleteOptions" => "meta.k8s.io/v1/DeleteOptions".to_owned(),
        _ if api_version.contains('/') => format!("{api_version}/{kind}"),
        _ => format!("/{api_version}/{kind}"),
    };
    let unknown = || ProtobufError::Unknown(format!("{api_version} {kind}"));
    let message = *TABLE.kinds.get(name.as_str()).ok_or_else(unknown)?;
    let mut object = Map::new();
    self::message(raw, message, &mut object, 0)?;
    object.insert("apiVersion".into(), api_version.into());
    object.insert("kind".into(), kind.into());
    Ok(Value::Object(object))
}

enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The entries of a message: field number and content.
struct Entries<'a>(&'a [u8]);

impl<'a> Entries<'a> {
    fn varint(&mut self) -> Result<u64, ProtobufError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(Malformed)?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], ProtobufError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn entry(&mut self) -> Result<(u64, Wire<'a>), ProtobufError> {
        let tag = self.varint()?;
        let little =
            |bytes: &[u8]| bytes.iter().rev().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
        let content = match tag & 7 {
            0 => Wire::Number(self.varint()?),
            1 => Wire::Number(little(self.take(8)?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Number(little(self.take(4)?)),
            _ => return Err(Malformed),
        };
        Ok((tag >> 3, content))
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<(u64, Wire<'a>), ProtobufError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let entry = self.entry();
        if entry.is_err() {
            self.0 = &[];
        }
        Some(entry)
    }
}

fn utf8(bytes: &[u8]) -> Result<String, ProtobufError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Malformed)
}

fn message(
    bytes: &[u8],
    index: usize,
    object: &mut Map<String, Value>,
    depth: u8,
) -> Result<(), ProtobufError> {
    if depth > MAX_DEPTH {
        return Err(Malformed);
    }
    let fields = TABLE.messages.get(index).ok_or(Malformed)?;
    for entry in Entries(bytes) {
        let (number, content) = entry?;
        let Some(field) = fields.iter().find(|field| field.number == number) else { continue };
        match (field.shape, field.kind, content) {
            (Shape::One, Type::Message(inner), Wire::Bytes(bytes)) if field.name == "+" => {
                message(bytes, inner, object, depth + 1)?;
            }
            (Shape::Map, kind, Wire::Bytes(bytes)) => {
                let map = object.entry(field.name).or_insert_with(|| Map::new().into());
                if let (Some(map), (key, value)) =
                    (map.as_object_mut(), map_entry(bytes, kind, depth)?)
                {
                    map.insert(key, value);
                }
            }
            (Shape::List, kind, content) => {
                let list = object.entry(field.name).or_insert_with(|| Vec::<Value>::new().into());
                if let Some(list) = list.as_array_mut() {
                    list.push(value(&content, kind, depth)?);
                }
            }
            (_, kind, content) => {
                let value = value(&content, kind, depth)?;
                if field.keep_zero || !is_zero(&value) {
                    object.insert(field.name.into(), value);
                }
            }
        }
    }
    Ok(())
}

fn map_entry(bytes: &[u8], kind: Type, depth: u8) -> Result<(String, Value), ProtobufError> {
    let (mut key, mut content) = (String::new(), None);
    for entry in Entries(bytes) {
        match entry? {
            (1, Wire::Bytes(text)) => key = utf8(text)?,
            (2, wire) => content = Some(value(&wire, kind, depth)?),
            _ => {}
        }
    }
    let content = match content {
        Some(content) => content,
        None => value(&Wire::Bytes(&[]), kind, depth)?,
    };
    Ok((key, content))
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

/// Integers of all widths are sign-extended varints.
fn signed(number: u64) -> i64 {
    number.cast_signed()
}

fn value(content: &Wire<'_>, kind: Type, depth: u8) -> Result<Value, ProtobufError> {
    Ok(match (kind, content) {
        (Type::String, Wire::Bytes(text)) => utf8(text)?.into(),
        (Type::Bytes, Wire::Bytes(bytes)) => BASE64_STANDARD.encode(bytes).into(),
        (Type::Bool, Wire::Number(number)) => (*number != 0).into(),
        (Type::Int, Wire::Number(number)) => signed(*number).into(),
        (Type::Double, Wire::Number(number)) => f64::from_bits(*number).into(),
        (Type::Time | Type::MicroTime, Wire::Bytes(bytes)) => {
            let (mut seconds, mut nanos) = (0, 0);
            for entry in Entries(bytes) {
                match entry? {
                    (1, Wire::Number(number)) => seconds = signed(number),
                    (2, Wire::Number(number)) => {
                        nanos = i32::try_from(signed(number)).map_err(|_| Malformed)?
                    }
                    _ => {}
                }
            }
            if bytes.is_empty() {
                return Ok(Value::Null);
            }
            let at = Timestamp::new(seconds, nanos).map_err(|_| Malformed)?;
            match kind {
                Type::Time => time::seconds(at).into(),
                _ => time::micros(at).into(),
            }
        }
        (Type::Raw, Wire::Bytes(bytes)) => {
            let raw = Entries(bytes).find_map(|entry| match entry {
                Ok((1, Wire::Bytes(raw))) => Some(raw),
                _ => None,
            });
            raw.and_then(|raw| serde_json::from_slice(raw).ok()).unwrap_or_default()
        }
        (Type::Quantity, Wire::Bytes(bytes)) => {
            let text = Entries(bytes).find_map(|entry| match entry {
                Ok((1, Wire::Bytes(text))) => Some(text),
                _ => None,
            });
            utf8(text.unwrap_or(b"0"))?.into()
        }
        (Type::IntOrString, Wire::Bytes(bytes)) => {
            let (mut is_text, mut number, mut text) = (false, 0, String::new());
            for entry in Entries(bytes) {
                match entry? {
                    (1, Wire::Number(kind)) => is_text = kind == 1,
                    (2, Wire::Number(value)) => number = signed(value),
                    (3, Wire::Bytes(value)) => text = utf8(value)?,
                    _ => {}
                }
            }
            if is_text { text.into() } else { number.into() }
        }
        (Type::Strings, Wire::Bytes(bytes)) => {
            let mut list = Vec::new();
            for entry in Entries(bytes) {
                if let (1, Wire::Bytes(text)) = entry? {
                    list.push(utf8(text)?.into());
                }
            }
            Value::Array(list)
        }
        (Type::Message(inner), Wire::Bytes(bytes)) => {
            let mut object = Map::new();
            message(bytes, inner, &mut object, depth + 1)?;
            object.into()
        }
        _ => return Err(Malformed),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A length-delimited field.
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2, u8::try_from(content.len()).unwrap()];
        out.extend_from_slice(content);
        out
    }

    fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), field(1, &meta), field(2, raw)].concat()
    }

    #[test]
    fn the_table_names_messages_that_exist() {
        assert!(TABLE.messages.len() > 150 && TABLE.kinds.len() >= 29);
        for (kind, message) in &TABLE.kinds {
            assert!(*message < TABLE.messages.len(), "{kind}");
        }
        for field in TABLE.messages.iter().flatten() {
            assert!(field.number > 0, "{field:?}");
            assert!(
                !matches!(field.kind, Type::Message(m) if m >= TABLE.messages.len()),
                "{field:?}"
            );
        }
    }

    #[test]
    fn every_kind_with_a_schema_may_be_sent() {
        let missing: Vec<_> = curtain_schema::builtin::kinds()
            .map(|(group, version, kind)| format!("{group}/{version}/{kind}"))
            .filter(|name| !TABLE.kinds.contains_key(name.as_str()))
            .collect();
        let expected = [
            "apiextensions.k8s.io/v1/CustomResourceDefinition",
            "metrics.k8s.io/v1beta1/NodeMetrics",
            "metrics.k8s.io/v1beta1/PodMetrics",
        ];
        assert_eq!(missing, expected, "the two generators ran on different tables");
    }

    #[test]
    fn zeros_are_dropped_unless_they_are_pointers() {
        let meta = [
            field(1, b"web"),
            field(8, &[]),
            field(11, &[field(1, b"app"), field(2, b"x")].concat()),
        ]
        .concat();
        // minReadySeconds is a number, replicas a pointer: both are written as zero.
        let spec = [vec![1 << 3, 0], vec![5 << 3, 0]].concat();
        let raw = [field(1, &meta), field(2, &spec)].concat();
        assert_eq!(
            decode(&body("apps/v1", "Deployment", &raw)).unwrap(),
            json!({"apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {"name": "web", "labels": {"app": "x"}}, "spec": {"replicas": 0}})
        );
    }

    #[test]
    fn bytes_are_base64_and_options_come_in_any_group() {
        let data = field(2, &[field(1, b"k"), field(2, b"\xff\x00")].concat());
        assert_eq!(decode(&body("v1", "Secret", &data)).unwrap()["data"], json!({"k": "/wA="}));
        let options = decode(&body("apps/v1", "DeleteOptions", &field(4, b"Foreground"))).unwrap();
        assert_eq!(options["propagationPolicy"], "Foreground");
    }

    #[test]
    fn broken_bodies_are_refused() {
        assert_eq!(decode(b"{}"), Err(ProtobufError::Prefix));
        assert_eq!(decode(b"k8s\0\x0a\xff"), Err(Malformed));
        assert_eq!(decode(&body("v1", "Pod", &[0x0a, 9, 1])), Err(Malformed));
        assert_eq!(decode(&body("x/v1", "Y", &[])), Err(ProtobufError::Unknown("x/v1 Y".into())));
        for length in 0..40 {
            let whole = body("v1", "Secret", &field(2, &[field(1, b"k"), field(2, b"v")].concat()));
            let _ = decode(&whole[..length.min(whole.len())]);
        }
    }
}
