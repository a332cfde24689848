//! Reading a JSON object as a built-in kind: what a typed decoder would drop, and what it would refuse.

use serde_json::Value;

use crate::node::{Kind, Node};

/// Why an object cannot be read as its kind. `Display` is the decoder's message, which a Status precedes
/// with `KIND in version "VERSION" cannot be handled as a KIND: `.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A value of the wrong JSON type.
    #[error("json: cannot unmarshal {found} into Go struct field {field} of type {wanted}")]
    Type {
        /// What is there: string, number, bool, object or array; for a number that does not fit, `number N`.
        found: String,
        /// The definition's name and the field's path, such as `DeploymentSpec.spec.replicas`.
        field: String,
        /// What should be there, in the reference implementation's words, such as `int32`.
        wanted: String,
    },
    /// A whole value that is of the wrong JSON type, such as a custom resource's `metadata`.
    #[error("json: cannot unmarshal {found} into Go value of type {wanted}")]
    Whole {
        /// What is there, as in [`DecodeError::Type`].
        found: String,
        /// What should be there, such as `v1.ObjectMeta`.
        wanted: String,
    },
    /// A malformed quantity.
    #[error(
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    )]
    Quantity,
    /// A malformed time.
    #[error("parsing time {0:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {0:?} as \"2006\"")]
    Time(String),
    /// A malformed base64 string.
    #[error("illegal base64 data at input byte {0}")]
    Base64(usize),
}

/// Reads `object` as what `root` describes: drops fields the kind does not have and nulls, which mean
/// "not set". Returns the dropped fields as paths such as `spec.containers[0].nonsense`, in order, for
/// `strict decoding error: unknown field "…"` or a warning of the same words.
///
/// # Errors
/// [`DecodeError`] for the first value of a wrong type; the object may be partly cleaned.
pub fn decode(object: &mut Value, root: Node<'_>) -> Result<Vec<String>, DecodeError> {
    let mut walker =
        Walker { unknown: Vec::new(), at: String::new(), plain: String::new(), owner: "" };
    walker.walk(object, root)?;
    Ok(walker.unknown)
}

/// As [`decode`], at `path` inside a larger object.
pub(crate) fn decode_at(
    value: &mut Value,
    node: Node<'_>,
    path: &str,
    unknown: &mut Vec<String>,
) -> Result<(), DecodeError> {
    let mut walker = Walker {
        unknown: std::mem::take(unknown),
        at: path.to_owned(),
        plain: path.to_owned(),
        owner: "",
    };
    let result = walker.walk(value, node);
    *unknown = walker.unknown;
    result
}

struct Walker {
    unknown: Vec<String>,
    /// The path with list indices.
    at: String,
    /// The path without them.
    plain: String,
    /// The definition that holds the field.
    owner: &'static str,
}

impl Walker {
    fn walk(&mut self, value: &mut Value, node: Node<'_>) -> Result<(), DecodeError> {
        match (node.kind(), &mut *value) {
            (Kind::Any, _) => Ok(()),
            (Kind::Object, Value::Object(_)) => self.object(value, node),
            (Kind::Array, Value::Array(items)) => {
                let Some(item) = node.item() else { return Ok(()) };
                let length = self.at.len();
                for (index, value) in items.iter_mut().enumerate() {
                    self.at.push_str(&format!("[{index}]"));
                    self.walk(value, item)?;
                    self.at.truncate(length);
                }
                Ok(())
            }
            (_, Value::Null) => Ok(()),
            (Kind::String, Value::String(_))
            | (Kind::Boolean, Value::Bool(_))
            | (Kind::Number, Value::Number(_))
            | (Kind::IntOrString, Value::String(_)) => Ok(()),
            (Kind::Bytes, Value::String(text)) => base64(text).map_err(DecodeError::Base64),
            (Kind::Time, Value::String(text)) => text
                .parse::<jiff::Timestamp>()
                .map(drop)
                .map_err(|_| DecodeError::Time(text.clone())),
            (Kind::Quantity, Value::String(text)) if !quantity(text) => Err(DecodeError::Quantity),
            (Kind::Quantity, Value::String(_) | Value::Number(_)) => Ok(()),
            (Kind::Int32 | Kind::IntOrString, Value::Number(number)) => match number.as_i64() {
                Some(n) if i32::try_from(n).is_ok() => Ok(()),
                _ => Err(self.wrong(&format!("number {number}"), node)),
            },
            (Kind::Int64 | Kind::Integer, Value::Number(number)) => match number.as_i64() {
                Some(_) => Ok(()),
                None => Err(self.wrong(&format!("number {number}"), node)),
            },
            (_, value) => {
                let found = match value {
                    Value::Bool(_) => "bool",
                    Value::Number(_) => "number",
                    Value::Array(_) => "array",
                    Value::Object(_) => "object",
                    _ => "string",
                };
                Err(self.wrong(found, node))
            }
        }
    }

    fn object(&mut self, value: &mut Value, node: Node<'_>) -> Result<(), DecodeError> {
        let Value::Object(fields) = value else { return Ok(()) };
        if node.is_open() {
            return Ok(());
        }
        let outer = self.owner;
        if let Some(name) = node.definition() {
            self.owner = name.rsplit('.').next().unwrap_or(name);
        }
        let (at, plain) = (self.at.len(), self.plain.len());
        let mut drop = Vec::new();
        for (name, value) in fields.iter_mut() {
            if at > 0 {
                self.at.push('.');
                self.plain.push('.');
            }
            self.at.push_str(name);
            self.plain.push_str(name);
            match node.field(name) {
                // A null in a map is an empty value; a null in a struct is no value.
                Some(_) if value.is_null() && node.declared(name).is_some() => {
                    drop.push(name.clone())
                }
                Some(below) if value.is_null() => *value = zero(below),
                Some(below) => self.walk(value, below)?,
                None => {
                    drop.push(name.clone());
                    self.unknown.push(self.at.clone());
                }
            }
            self.at.truncate(at);
            self.plain.truncate(plain);
        }
        for name in drop {
            fields.remove(&name);
        }
        self.owner = outer;
        Ok(())
    }

    fn wrong(&self, found: &str, node: Node<'_>) -> DecodeError {
        if self.owner.is_empty() {
            return DecodeError::Whole { found: found.to_owned(), wanted: type_name(node) };
        }
        DecodeError::Type {
            found: found.to_owned(),
            field: format!("{}.{}", self.owner, self.plain),
            wanted: type_name(node),
        }
    }
}

fn zero(node: Node<'_>) -> Value {
    match node.kind() {
        Kind::String | Kind::Bytes | Kind::Quantity => Value::from(""),
        Kind::Boolean => Value::from(false),
        Kind::Int32 | Kind::Int64 | Kind::Integer | Kind::Number | Kind::IntOrString => {
            Value::from(0)
        }
        _ => Value::Null,
    }
}

/// The type in the words of the reference implementation.
fn type_name(node: Node<'_>) -> String {
    match node.kind() {
        Kind::String => "string".into(),
        Kind::Bytes => "[]uint8".into(),
        Kind::Int32 => "int32".into(),
        Kind::Int64 | Kind::Integer => "int64".into(),
        Kind::Number => "float64".into(),
        Kind::Boolean => "bool".into(),
        Kind::IntOrString => "intstr.IntOrString".into(),
        Kind::Quantity => "resource.Quantity".into(),
        Kind::Time => "v1.Time".into(),
        Kind::Any => "interface {}".into(),
        Kind::Array => format!("[]{}", node.item().map_or_else(String::new, type_name)),
        Kind::Object => match (node.definition(), node.values()) {
            (Some(name), _) => {
                let mut parts = name.rsplit('.');
                let (kind, version) =
                    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
                format!("{version}.{kind}")
            }
            (None, Some(values)) => format!("map[string]{}", type_name(values)),
            (None, None) => "map[string]interface {}".into(),
        },
    }
}

/// `Err` is the index of the first byte that does not belong.
pub(crate) fn base64(text: &str) -> Result<(), usize> {
    let bytes: Vec<(usize, u8)> =
        text.bytes().enumerate().filter(|(_, b)| !matches!(b, b'\n' | b'\r')).collect();
    let padding = bytes.iter().rev().take_while(|(_, b)| *b == b'=').count();
    let body = &bytes[..bytes.len() - padding];
    if let Some((at, _)) =
        body.iter().find(|(_, b)| !b.is_ascii_alphanumeric() && !matches!(b, b'+' | b'/'))
    {
        return Err(*at);
    }
    if padding > 2 || !bytes.len().is_multiple_of(4) { Err(text.len()) } else { Ok(()) }
}

/// Whether the text is a Kubernetes quantity, such as `100m`, `1.5Gi` or `1e3`.
pub fn quantity(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = digits.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(digits.len());
    let (number, suffix) = digits.split_at(end);
    let valid_number = number.chars().any(|c| c.is_ascii_digit())
        && number.chars().filter(|c| *c == '.').count() <= 1;
    let exponent = |rest: &str| {
        let rest = rest.strip_prefix(['+', '-']).unwrap_or(rest);
        !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit())
    };
    valid_number
        && (matches!(
            suffix,
            "" | "n"
                | "u"
                | "m"
                | "k"
                | "M"
                | "G"
                | "T"
                | "P"
                | "E"
                | "Ki"
                | "Mi"
                | "Gi"
                | "Ti"
                | "Pi"
                | "Ei"
        ) || suffix.strip_prefix(['e', 'E']).is_some_and(exponent))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::builtin::root;

    fn read(kind: &str, value: Value) -> Result<(Value, Vec<String>), String> {
        let group = if kind == "Deployment" { "apps" } else { "" };
        let mut value = value;
        let node = root(group, "v1", kind).expect("a built-in kind");
        decode(&mut value, node).map(|unknown| (value, unknown)).map_err(|error| error.to_string())
    }

    #[test]
    fn unknown_fields_and_nulls_go() {
        let pod = json!({"apiVersion":"v1","kind":"Pod","nonsense":1,
            "metadata":{"name":"a","creationTimestamp":null,"labels":{"a":null}},
            "spec":{"containers":[{"name":"c","imagee":"x","resources":{"limits":{"cpu":"1"}}}]}});
        let (pod, unknown) = read("Pod", pod).expect("decodes");
        assert_eq!(unknown, ["nonsense", "spec.containers[0].imagee"]);
        assert_eq!(
            pod,
            json!({"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","labels":{"a":""}},
                "spec":{"containers":[{"name":"c","resources":{"limits":{"cpu":"1"}}}]}})
        );
    }

    #[test]
    fn wrong_types_are_refused_in_the_decoders_words() {
        let cases = [
            (
                "Deployment",
                json!({"spec":{"replicas":"1"}}),
                "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
            ),
            (
                "Deployment",
                json!({"spec":{"template":{"spec":{"containers":[{"name":1}]}}}}),
                "json: cannot unmarshal number into Go struct field Container.spec.template.spec.containers.name of type string",
            ),
            (
                "Pod",
                json!({"spec":{"containers":{}}}),
                "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
            ),
            (
                "ConfigMap",
                json!({"data":{"a":1}}),
                "json: cannot unmarshal number into Go struct field ConfigMap.data.a of type string",
            ),
            (
                "ConfigMap",
                json!({"data":"x"}),
                "json: cannot unmarshal string into Go struct field ConfigMap.data of type map[string]string",
            ),
            (
                "Deployment",
                json!({"spec":{"replicas":3000000000u32}}),
                "json: cannot unmarshal number 3000000000 into Go struct field DeploymentSpec.spec.replicas of type int32",
            ),
            ("Secret", json!({"data":{"a":"?"}}), "illegal base64 data at input byte 0"),
        ];
        for (kind, value, message) in cases {
            assert_eq!(read(kind, value.clone()).expect_err("refused"), message, "{value}");
        }
    }

    #[test]
    fn quantities_times_and_base64_are_checked() {
        for good in ["1", "100m", "1.5Gi", ".5", "1e3", "-1E-2", "5."] {
            assert!(quantity(good), "{good}");
        }
        for bad in ["", "m", "1.2.3", "1ki", "1 Gi", "1e", "0x1"] {
            assert!(!quantity(bad), "{bad}");
        }
        for good in ["", "YQ==", "YWI=", "YWJj", "YW\nJj"] {
            assert_eq!(base64(good), Ok(()), "{good}");
        }
        for bad in ["YQ", "Y!==", "====", "YQ==YQ=="] {
            assert!(base64(bad).is_err(), "{bad}");
        }
        assert!(read("Pod", json!({"metadata":{"creationTimestamp":"yesterday"}})).is_err());
    }
}
