//! A finding about one field, worded as Kubernetes words it.

use std::fmt;

use serde_json::Value;

/// Why a field was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// A value that must be there is not.
    Required,
    /// A value that must be unique is not.
    Duplicate,
    /// A malformed or forbidden value.
    Invalid,
    /// A value outside an enumeration.
    NotSupported,
    /// A reference to something that does not exist.
    NotFound,
    /// The field may not be set.
    Forbidden,
    /// A string beyond its limit.
    TooLong,
    /// A list or map beyond its limit.
    TooMany,
    /// A value of the wrong JSON type.
    TypeInvalid,
}

/// One finding. `Display` is the line of a Status message: `spec.replicas: Invalid value: -1: …`;
/// [`FieldError::reason`], [`FieldError::message`] and [`FieldError::path`] make its cause.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldError {
    /// Where, as `spec.containers[0].name`.
    pub path: String,
    /// Why.
    pub kind: ErrorKind,
    /// The value shown; `None` shows none.
    pub value: Option<Value>,
    /// What would be right; may be empty.
    pub detail: String,
}

impl FieldError {
    /// `Required value`, with an optional hint.
    pub fn required(path: impl Into<String>, detail: impl Into<String>) -> Self {
        FieldError {
            path: path.into(),
            kind: ErrorKind::Required,
            value: None,
            detail: detail.into(),
        }
    }

    /// `Invalid value`.
    pub fn invalid(path: impl Into<String>, value: Value, detail: impl Into<String>) -> Self {
        FieldError {
            path: path.into(),
            kind: ErrorKind::Invalid,
            value: Some(value),
            detail: detail.into(),
        }
    }

    /// `Not found`.
    pub fn not_found(path: impl Into<String>, value: Value) -> Self {
        FieldError {
            path: path.into(),
            kind: ErrorKind::NotFound,
            value: Some(value),
            detail: String::new(),
        }
    }

    /// `Forbidden`.
    pub fn forbidden(path: impl Into<String>, detail: impl Into<String>) -> Self {
        FieldError {
            path: path.into(),
            kind: ErrorKind::Forbidden,
            value: None,
            detail: detail.into(),
        }
    }

    /// `Duplicate value`.
    pub fn duplicate(path: impl Into<String>, value: Value) -> Self {
        FieldError {
            path: path.into(),
            kind: ErrorKind::Duplicate,
            value: Some(value),
            detail: String::new(),
        }
    }

    /// `Unsupported value`, listing the supported ones in the given order.
    pub fn not_supported<S: AsRef<str>>(
        path: impl Into<String>,
        value: Value,
        supported: &[S],
    ) -> Self {
        let list: Vec<String> = supported.iter().map(|s| quote(s.as_ref())).collect();
        let detail = if list.is_empty() {
            String::new()
        } else {
            format!("supported values: {}", list.join(", "))
        };
        FieldError { path: path.into(), kind: ErrorKind::NotSupported, value: Some(value), detail }
    }

    /// `Too long`: more than `max` bytes.
    pub fn too_long(path: impl Into<String>, max: u64) -> Self {
        let detail = format!("may not be more than {max} bytes");
        FieldError { path: path.into(), kind: ErrorKind::TooLong, value: None, detail }
    }

    /// `Too many`: `actual` items where at most `max` may be.
    pub fn too_many(path: impl Into<String>, actual: u64, max: u64) -> Self {
        let detail = format!("must have at most {max} item{}", if max == 1 { "" } else { "s" });
        FieldError {
            path: path.into(),
            kind: ErrorKind::TooMany,
            value: Some(actual.into()),
            detail,
        }
    }

    /// The cause's reason, such as `FieldValueInvalid`.
    pub fn reason(&self) -> &'static str {
        match self.kind {
            ErrorKind::Required => "FieldValueRequired",
            ErrorKind::Duplicate => "FieldValueDuplicate",
            ErrorKind::Invalid => "FieldValueInvalid",
            ErrorKind::NotSupported => "FieldValueNotSupported",
            ErrorKind::NotFound => "FieldValueNotFound",
            ErrorKind::Forbidden => "FieldValueForbidden",
            ErrorKind::TooLong => "FieldValueTooLong",
            ErrorKind::TooMany => "FieldValueTooMany",
            ErrorKind::TypeInvalid => "FieldValueTypeInvalid",
        }
    }

    /// The cause's message: everything but the path.
    pub fn message(&self) -> String {
        let words = match self.kind {
            ErrorKind::Required => "Required value",
            ErrorKind::Duplicate => "Duplicate value",
            ErrorKind::Invalid | ErrorKind::TypeInvalid => "Invalid value",
            ErrorKind::NotSupported => "Unsupported value",
            ErrorKind::NotFound => "Not found",
            ErrorKind::Forbidden => "Forbidden",
            ErrorKind::TooLong => "Too long",
            ErrorKind::TooMany => "Too many",
        };
        let mut message = match &self.value {
            Some(Value::String(s)) => format!("{words}: {}", quote(s)),
            Some(value) => format!("{words}: {value}"),
            None => words.to_owned(),
        };
        if !self.detail.is_empty() {
            message.push_str(": ");
            message.push_str(&self.detail);
        }
        message
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message())
    }
}

impl std::error::Error for FieldError {}

/// A string in double quotes with control characters escaped, as Go's `%q` prints it.
pub fn quote(s: &str) -> String {
    use fmt::Write;
    let mut out = String::with_capacity(s.len() + 2);
    out.push('"');
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_kubernetes_prints() {
        let cases = [
            (FieldError::required("spec.a", ""), "spec.a: Required value"),
            (
                FieldError::invalid(
                    "spec.replicas",
                    (-1).into(),
                    "must be greater than or equal to 0",
                ),
                "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                FieldError::not_supported("spec.type", "x".into(), &["A", "B"]),
                "spec.type: Unsupported value: \"x\": supported values: \"A\", \"B\"",
            ),
            (
                FieldError::too_many("spec.l", 3, 2),
                "spec.l: Too many: 3: must have at most 2 items",
            ),
            (FieldError::duplicate("l[1]", "a".into()), "l[1]: Duplicate value: \"a\""),
        ];
        for (error, text) in cases {
            assert_eq!(error.to_string(), text);
        }
        assert_eq!(FieldError::required("a", "").reason(), "FieldValueRequired");
    }

    #[test]
    fn quotes_control_characters() {
        assert_eq!(quote("a\"b\n\u{1}"), "\"a\\\"b\\n\\x01\"");
    }
}
