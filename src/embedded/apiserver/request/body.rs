//! Request bodies: JSON, YAML and protobuf documents, with the fields that appear twice.

use std::fmt;

use bytes::Bytes;
use curtain_json::{MAX_DEPTH, deeper_than};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::super::status::ApiError;
use super::protobuf::{self, ProtobufError};

/// Larger bodies are refused with 413.
pub(crate) const MAX_BODY: usize = 3 << 20;

/// A decoded body.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    /// The document; of a repeated field, the last value.
    pub value: Value,
    /// Paths of repeated fields, as `spec.replicas`.
    pub duplicates: Vec<String>,
}

/// Decodes by content type (parameters are ignored; absent means JSON).
pub(crate) fn decode(content_type: &str, body: &Bytes) -> Result<Decoded, ApiError> {
    let decoded = read(content_type, body)?;
    // What is stored must be readable with what is written around it.
    if deeper_than(&decoded.value, MAX_DEPTH) {
        return Err(ApiError::bad_request(format!(
            "the body nests more than {MAX_DEPTH} objects and lists inside each other"
        )));
    }
    Ok(decoded)
}

fn read(content_type: &str, body: &Bytes) -> Result<Decoded, ApiError> {
    match media_type(content_type) {
        "" | "application/json" => json(body),
        "application/yaml" | "application/x-yaml" | "text/yaml" => yaml(body),
        "application/vnd.kubernetes.protobuf" => {
            let value = protobuf::decode(body).map_err(|error| match error {
                ProtobufError::Unknown(_) => {
                    ApiError::plain(415, "UnsupportedMediaType", error.to_string())
                }
                _ => ApiError::bad_request(error.to_string()),
            })?;
            Ok(Decoded { value, duplicates: Vec::new() })
        }
        _ => Err(ApiError::unsupported_media_type(&[
            "application/json",
            "application/yaml",
            "application/vnd.kubernetes.protobuf",
        ])),
    }
}

/// The media type without its parameters.
pub(crate) fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

fn json(body: &Bytes) -> Result<Decoded, ApiError> {
    let mut duplicates = Vec::new();
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = Document { path: &Path::Root, duplicates: &mut duplicates }
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|error| ApiError::bad_request(format!("the body is not valid JSON: {error}")))?;
    Ok(Decoded { value, duplicates })
}

/// Decodes YAML (of which JSON is a part).
pub(crate) fn yaml(body: &Bytes) -> Result<Decoded, ApiError> {
    let fail = |error: &dyn fmt::Display| {
        ApiError::bad_request(format!("error converting YAML to JSON: {error}"))
    };
    let text = std::str::from_utf8(body).map_err(|e| fail(&e))?;
    let value = serde_saphyr::from_str(text).map_err(|e| fail(&e))?;
    Ok(Decoded { value, duplicates: Vec::new() })
}

/// Where a value stands; written out only when something has to be said about it.
enum Path<'p> {
    Root,
    Field(&'p Path<'p>, &'p str),
    Item(&'p Path<'p>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Field(Path::Root, name) => f.write_str(name),
            Path::Field(parent, name) => write!(f, "{parent}.{name}"),
            Path::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

struct Document<'a, 'p> {
    path: &'p Path<'p>,
    duplicates: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Document<'_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Document<'_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let seed =
                Document { path: &Path::Item(self.path, list.len()), duplicates: self.duplicates };
            match items.next_element_seed(seed)? {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let path = Path::Field(self.path, &name);
            let value =
                entries.next_value_seed(Document { path: &path, duplicates: self.duplicates })?;
            if map.contains_key(&name) {
                self.duplicates.push(path.to_string());
            }
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_keeps_the_last_and_names_the_repeated() {
        let body = Bytes::from_static(br#"{"a":1,"b":[{"c":1,"c":2}],"a":-3}"#);
        let decoded = decode("application/json; charset=utf-8", &body).unwrap();
        assert_eq!(decoded.value, json!({"a": -3, "b": [{"c": 2}]}));
        assert_eq!(decoded.duplicates, ["b[0].c", "a"]);
    }

    #[test]
    fn yaml_is_read_and_other_formats_are_refused() {
        let body = Bytes::from_static(b"a: {b: [1, 'x', true]}\n");
        assert_eq!(
            decode("application/yaml", &body).unwrap().value,
            json!({"a": {"b": [1, "x", true]}})
        );
        assert_eq!(decode("application/vnd.kubernetes.protobuf", &body).unwrap_err().code, 400);
        assert_eq!(decode("text/plain", &body).unwrap_err().code, 415);
        assert_eq!(decode("", &body).unwrap_err().code, 400);
        assert_eq!(decode("", &Bytes::from_static(b"{} x")).unwrap_err().code, 400);
    }
}
