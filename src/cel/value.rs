//! Results, and the way between JSON and the interpreter's values.

use base64::Engine as _;
use cel::ExecutionError;
use cel::common::types::{
    CelBool, CelBytes, CelDouble, CelDuration, CelInt, CelList, CelMap, CelMapKey, CelNull,
    CelOptional, CelString, CelTimestamp, CelType, CelUInt, Kind, Type,
};
use cel::common::value::{StaticVal, Val};
use serde_json::{Map, Number, Value as Json};
use std::any::Any;
use std::collections::HashMap;

/// What an expression gave.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Anything JSON can say. Bytes are base64 text, timestamps RFC 3339, durations seconds
    /// (`1.5s`); an optional that holds something is that thing.
    Json(Json),
    /// The marker that removes the map key or list item it stands for.
    Omit,
    /// `optional.none()`.
    None,
}

impl Value {
    /// The JSON, unless it is a marker or an empty optional.
    pub fn into_json(self) -> Option<Json> {
        match self {
            Value::Json(json) => Some(json),
            Value::Omit | Value::None => None,
        }
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Json(json) => json.as_str(),
            _ => None,
        }
    }

    /// The truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Json(json) => json.as_bool(),
            _ => None,
        }
    }

    /// The name of the type, for messages.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Json(Json::Null) => "null",
            Value::Json(Json::Bool(_)) => "bool",
            Value::Json(Json::Number(_)) => "number",
            Value::Json(Json::String(_)) => "string",
            Value::Json(Json::Array(_)) => "list",
            Value::Json(Json::Object(_)) => "map",
            Value::Omit => "omit",
            Value::None => "optional.none()",
        }
    }
}

impl<T: Into<Json>> From<T> for Value {
    fn from(value: T) -> Self {
        Value::Json(value.into())
    }
}

static OMIT_TYPE: Type = Type::new_unspecified_type("omit");

/// The marker as the interpreter sees it.
#[derive(Debug, Clone)]
pub(crate) struct Omit;

impl Val for Omit {
    fn get_type(&self) -> &Type {
        &OMIT_TYPE
    }
    fn cel_type() -> &'static Type {
        &OMIT_TYPE
    }
    fn equals(&self, other: &dyn Val) -> bool {
        other.downcast_ref::<Omit>().is_some()
    }
    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(Omit)
    }
    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Omit {}

/// JSON as the interpreter's value, borrowing its strings.
pub(crate) fn from_json(json: &Json) -> Box<dyn Val + '_> {
    match json {
        Json::Null => Box::new(CelNull),
        Json::Bool(value) => Box::new(CelBool::from(*value)),
        Json::Number(number) => from_number(number),
        Json::String(text) => Box::new(CelString::from(text.as_str())),
        Json::Array(items) => {
            Box::new(CelList::from(items.iter().map(from_json).collect::<Vec<_>>()))
        }
        Json::Object(map) => Box::new(CelMap::from(
            map.iter()
                .map(|(key, value)| {
                    (CelMapKey::String(CelString::from(key.as_str())), from_json(value))
                })
                .collect::<HashMap<_, _>>(),
        )),
    }
}

fn from_number(number: &Number) -> Box<dyn Val> {
    if let Some(int) = number.as_i64() {
        Box::new(CelInt::from(int))
    } else if let Some(uint) = number.as_u64() {
        Box::new(CelUInt::from(uint))
    } else {
        Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN)))
    }
}

/// A result of a caller's function as the interpreter's value. Borrows nothing.
pub(crate) fn from_value(value: Value) -> Box<dyn Val> {
    match value {
        Value::Omit => Box::new(Omit),
        Value::None => Box::new(CelOptional::none()),
        Value::Json(json) => owned(json),
    }
}

fn owned(json: Json) -> Box<dyn Val> {
    match json {
        Json::Null => Box::new(CelNull),
        Json::Bool(value) => Box::new(CelBool::from(value)),
        Json::Number(number) => from_number(&number),
        Json::String(text) => Box::new(CelString::from(text)),
        Json::Array(items) => {
            Box::new(CelList::from(items.into_iter().map(owned).collect::<Vec<_>>()))
        }
        Json::Object(map) => Box::new(CelMap::from(
            map.into_iter()
                .map(|(key, value)| (CelMapKey::String(CelString::from(key)), owned(value)))
                .collect::<HashMap<_, _>>(),
        )),
    }
}

/// The value as one that borrows nothing.
pub(crate) fn keep(value: &dyn Val) -> Result<Box<dyn Val>, ExecutionError> {
    if let Some(text) = value.downcast_ref::<CelString>() {
        return Ok(Box::new(CelString::from(text.inner().to_owned())));
    }
    if let Some(bytes) = value.downcast_ref::<CelBytes>() {
        return Ok(Box::new(CelBytes::from(bytes.inner().to_vec())));
    }
    if let Some(list) = value.downcast_ref::<CelList>() {
        let items = list.inner().iter().map(|item| keep(item.as_ref()));
        return Ok(Box::new(CelList::from(items.collect::<Result<Vec<_>, _>>()?)));
    }
    if let Some(map) = value.downcast_ref::<CelMap>() {
        let entries = map.inner().iter().map(|(key, item)| {
            let key = match key {
                CelMapKey::String(text) => {
                    CelMapKey::String(CelString::from(text.inner().to_owned()))
                }
                CelMapKey::Bool(key) => CelMapKey::Bool(*key),
                CelMapKey::Int(key) => CelMapKey::Int(*key),
                CelMapKey::UInt(key) => CelMapKey::UInt(*key),
            };
            Ok((key, keep(item.as_ref())?))
        });
        let entries = entries.collect::<Result<HashMap<_, _>, ExecutionError>>()?;
        return Ok(Box::new(CelMap::from(entries)));
    }
    if let Some(optional) = value.downcast_ref::<CelOptional>() {
        return Ok(Box::new(match optional.option() {
            Some(inner) => CelOptional::of(keep(inner)?),
            None => CelOptional::none(),
        }));
    }
    macro_rules! plain {
        ($($kind:ty),*) => {
            $(if let Some(value) = value.downcast_ref::<$kind>() {
                return Ok(value.clone_as_boxed());
            })*
        };
    }
    plain!(CelNull, CelBool, CelInt, CelUInt, CelDouble, CelTimestamp, CelDuration, CelType, Omit);
    crate::kubernetes::keep(value).ok_or_else(|| {
        let name = value.get_type().name();
        ExecutionError::InternalError(format!("a value of type {name} cannot be a variable"))
    })
}

/// The interpreter's value as a result.
pub(crate) fn to_value(value: &dyn Val) -> Result<Value, ExecutionError> {
    if value.downcast_ref::<Omit>().is_some() {
        return Ok(Value::Omit);
    }
    if let Some(optional) = value.downcast_ref::<CelOptional>() {
        return match optional.option() {
            Some(inner) => to_value(inner),
            None => Ok(Value::None),
        };
    }
    to_json(value).map(Value::Json)
}

fn to_json(value: &dyn Val) -> Result<Json, ExecutionError> {
    let built_in = |json: Option<Json>| json.ok_or_else(|| no_json(value));
    match value.get_type().kind() {
        Kind::NullType => Ok(Json::Null),
        Kind::Boolean => built_in(value.downcast_ref::<CelBool>().map(|v| Json::Bool(*v.inner()))),
        Kind::Int => built_in(value.downcast_ref::<CelInt>().map(|v| Json::from(*v.inner()))),
        Kind::UInt => built_in(value.downcast_ref::<CelUInt>().map(|v| Json::from(*v.inner()))),
        Kind::Double => {
            let double = value.downcast_ref::<CelDouble>().ok_or_else(|| no_json(value))?;
            number(*double.inner())
        }
        Kind::String => built_in(value.downcast_ref::<CelString>().map(|v| Json::from(v.inner()))),
        Kind::Bytes => built_in(
            value
                .downcast_ref::<CelBytes>()
                .map(|v| Json::from(base64::engine::general_purpose::STANDARD.encode(v.inner()))),
        ),
        Kind::Timestamp => built_in(
            value.downcast_ref::<CelTimestamp>().map(|v| Json::from(v.inner().to_rfc3339())),
        ),
        Kind::Duration => built_in(value.downcast_ref::<CelDuration>().and_then(|v| {
            let nanos = v.inner().num_nanoseconds()?;
            Some(Json::from(format!("{}s", nanos as f64 / 1e9)))
        })),
        Kind::Type => built_in(value.downcast_ref::<CelType>().map(|v| Json::from(v.name()))),
        Kind::List => {
            let list = value.downcast_ref::<CelList>().ok_or_else(|| no_json(value))?;
            let mut items = Vec::with_capacity(list.inner().len());
            for item in list.inner() {
                if let Value::Json(json) = to_value(item.as_ref())? {
                    items.push(json);
                }
            }
            Ok(Json::Array(items))
        }
        Kind::Map => {
            let map = value.downcast_ref::<CelMap>().ok_or_else(|| no_json(value))?;
            let mut object = Map::new();
            // In key order, for JSON maps that keep the order of insertion.
            let mut entries: Vec<_> = map.inner().iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            for (key, item) in entries {
                if let Value::Json(json) = to_value(item.as_ref())? {
                    object.insert(key_text(key), json);
                }
            }
            Ok(Json::Object(object))
        }
        _ => Err(no_json(value)),
    }
}

/// A double as JSON: whole ones as integers, as templates expect of `8080.0`.
fn number(double: f64) -> Result<Json, ExecutionError> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if double.fract() == 0.0 && double.abs() < EXACT {
        return Ok(Json::from(double as i64));
    }
    Number::from_f64(double).map(Json::Number).ok_or_else(|| {
        ExecutionError::InternalError(format!("{double} has no JSON representation"))
    })
}

/// A map key as text.
pub(crate) fn key_text(key: &CelMapKey<'_>) -> String {
    match key {
        CelMapKey::Bool(value) => value.inner().to_string(),
        CelMapKey::Int(value) => value.inner().to_string(),
        CelMapKey::UInt(value) => value.inner().to_string(),
        CelMapKey::String(value) => value.inner().to_owned(),
    }
}

fn no_json(value: &dyn Val) -> ExecutionError {
    ExecutionError::InternalError(format!(
        "a value of type {} has no JSON representation; convert it, as with string()",
        value.get_type().name()
    ))
}
