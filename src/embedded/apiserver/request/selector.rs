//! Label and field selectors, as in `labelSelector=` and `fieldSelector=`.

use std::fmt;

use serde_json::Value;

use super::super::kinds::{ValueExt, is_label_value, is_qualified_name};
use super::super::status::ApiError;
use super::super::store::Object;

/// One requirement on labels.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
    Greater(String, i64),
    Less(String, i64),
}

/// A conjunction of label requirements. The empty one selects everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Labels(Vec<Requirement>);

impl Labels {
    /// Parses `a=b,c!=d,e in (x,y),f notin (z),g,!h,i>1`.
    pub(crate) fn parse(text: &str) -> Result<Self, ApiError> {
        let fail = |why: &str| {
            ApiError::bad_request(format!(
                "unable to parse requirement: {why} in the label selector {text:?}"
            ))
        };
        let mut requirements = Vec::new();
        for part in split(text) {
            let part = part.trim();
            if part.is_empty() {
                if text.trim().is_empty() {
                    continue;
                }
                return Err(fail("found an empty term"));
            }
            requirements.push(
                Self::requirement(part)
                    .ok_or_else(|| fail(&format!("cannot understand {part:?}")))?,
            );
        }
        Ok(Self(requirements))
    }

    fn requirement(part: &str) -> Option<Requirement> {
        if let Some(name) = part.strip_prefix('!') {
            return Some(Requirement::Absent(label_name(name)?));
        }
        if let Some(inside) = part.strip_suffix(')') {
            let (left, values) = inside.split_once('(')?;
            let (name, operator) = left.trim().rsplit_once(char::is_whitespace)?;
            let values = values.split(',').map(label_value).collect::<Option<_>>()?;
            let name = label_name(name)?;
            return match operator {
                "in" => Some(Requirement::In(name, values)),
                "notin" => Some(Requirement::NotIn(name, values)),
                _ => None,
            };
        }
        for operator in ["!=", "==", "=", ">", "<"] {
            if let Some((name, value)) = part.split_once(operator) {
                let (name, value) = (label_name(name)?, label_value(value)?);
                return Some(match operator {
                    "!=" => Requirement::NotIn(name, vec![value]),
                    ">" => Requirement::Greater(name, value.parse().ok()?),
                    "<" => Requirement::Less(name, value.parse().ok()?),
                    _ => Requirement::In(name, vec![value]),
                });
            }
        }
        Some(Requirement::Exists(label_name(part)?))
    }

    /// From a `metav1.LabelSelector` document; `None` when an operator is unknown.
    pub(crate) fn from_selector(selector: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut requirements = Vec::new();
        for (name, value) in
            selector.at(&["matchLabels"]).and_then(Value::as_object).into_iter().flatten()
        {
            requirements.push(Requirement::In(name.clone(), vec![text(value)]));
        }
        for expression in selector.list(&["matchExpressions"]) {
            let key = expression.text(&["key"]).to_owned();
            let values = expression.list(&["values"]).iter().map(text).collect();
            requirements.push(match expression.text(&["operator"]) {
                "In" => Requirement::In(key, values),
                "NotIn" => Requirement::NotIn(key, values),
                "Exists" => Requirement::Exists(key),
                "DoesNotExist" => Requirement::Absent(key),
                _ => return None,
            });
        }
        Some(Self(requirements))
    }

    /// Does the object carry the labels?
    pub(crate) fn matches(&self, object: &Object) -> bool {
        self.0.iter().all(|requirement| match requirement {
            Requirement::In(name, values) => {
                object.label(name).is_some_and(|v| values.iter().any(|w| w == v))
            }
            Requirement::NotIn(name, values) => {
                object.label(name).is_none_or(|v| values.iter().all(|w| w != v))
            }
            Requirement::Exists(name) => object.label(name).is_some(),
            Requirement::Absent(name) => object.label(name).is_none(),
            Requirement::Greater(name, n) => number(object, name).is_some_and(|v| v > *n),
            Requirement::Less(name, n) => number(object, name).is_some_and(|v| v < *n),
        })
    }

    /// Selects everything?
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, requirement) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            match requirement {
                Requirement::In(name, values) if values.len() == 1 => {
                    write!(f, "{name}={}", values[0])?
                }
                Requirement::In(name, values) => write!(f, "{name} in ({})", values.join(","))?,
                Requirement::NotIn(name, values) if values.len() == 1 => {
                    write!(f, "{name}!={}", values[0])?
                }
                Requirement::NotIn(name, values) => {
                    write!(f, "{name} notin ({})", values.join(","))?
                }
                Requirement::Exists(name) => write!(f, "{name}")?,
                Requirement::Absent(name) => write!(f, "!{name}")?,
                Requirement::Greater(name, n) => write!(f, "{name}>{n}")?,
                Requirement::Less(name, n) => write!(f, "{name}<{n}")?,
            }
        }
        Ok(())
    }
}

fn number(object: &Object, name: &str) -> Option<i64> {
    object.label(name)?.parse().ok()
}

fn label_name(text: &str) -> Option<String> {
    let name = text.trim();
    is_qualified_name(name).is_none().then(|| name.to_owned())
}

/// What no label can have selects nothing, or everything: it is a mistake.
fn label_value(text: &str) -> Option<String> {
    let value = text.trim();
    is_label_value(value).is_none().then(|| value.to_owned())
}

/// Splits at commas outside parentheses.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// A conjunction of comparisons of scalar fields. The empty one selects everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields(Vec<Field>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Field {
    path: String,
    value: String,
    equal: bool,
}

impl Fields {
    /// Parses `a.b=c,d!=e`; `supported` lists the paths beside `metadata.name` and `metadata.namespace`.
    pub(crate) fn parse(text: &str, supported: &[String]) -> Result<Self, ApiError> {
        let mut fields = Vec::new();
        for part in unescaped_split(text) {
            if part.trim().is_empty() {
                continue;
            }
            let (path, value, equal) = match part.split_once("!=") {
                Some((path, value)) => (path, value, false),
                None => {
                    let (path, value) = part
                        .split_once("==")
                        .or_else(|| part.split_once('='))
                        .ok_or_else(|| {
                            ApiError::bad_request(format!(
                                "invalid selector: '{text}'; can't understand '{part}'"
                            ))
                        })?;
                    (path, value, true)
                }
            };
            let path = path.trim();
            if !matches!(path, "metadata.name" | "metadata.namespace")
                && !supported.iter().any(|s| s == path)
            {
                return Err(ApiError::bad_request(format!("field label not supported: {path}")));
            }
            fields.push(Field { path: path.into(), value: unescape(value.trim()), equal });
        }
        Ok(Self(fields))
    }

    /// Does the object have these values?
    pub(crate) fn matches(&self, object: &Object) -> bool {
        self.0.iter().all(|field| {
            let equal = match field.path.as_str() {
                "metadata.name" => *object.key.name == *field.value,
                "metadata.namespace" => *object.key.namespace == *field.value,
                path => value_of(object, path) == field.value,
            };
            equal == field.equal
        })
    }

    /// The name that the selector pins, if it does.
    pub(crate) fn name(&self) -> Option<&str> {
        self.0.iter().find(|f| f.equal && f.path == "metadata.name").map(|f| f.value.as_str())
    }

    /// Selects everything?
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The field as selectors see it: what has a zero is that zero when it is not set.
fn value_of(object: &Object, path: &str) -> String {
    let value = object.field(&path.split('.').collect::<Vec<_>>());
    match path {
        // Of an event: the component that reports it.
        "source" => match object.field(&["source", "component"]) {
            none if none.is_empty() => object.field(&["reportingComponent"]),
            component => component,
        },
        "spec.unschedulable" | "spec.hostNetwork" if value.is_empty() => "false".into(),
        "status.replicas" if value.is_empty() => "0".into(),
        _ => value,
    }
}

fn unescaped_split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        match c {
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            ',' if !escaped => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        escaped = false;
    }
    parts.push(&text[start..]);
    parts
}

fn unescape(text: &str) -> String {
    text.replace("\\,", ",").replace("\\=", "=").replace("\\\\", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::store::Key;
    use bytes::Bytes;

    fn object() -> Object {
        let bytes =
            br#"{"metadata":{"labels":{"app":"web","n":"5"}},"status":{"phase":"Running"}}"#;
        Object::stored(1, Key::new("ns", "a"), Bytes::from_static(bytes))
    }

    #[test]
    fn label_selectors_select() {
        for (text, expected) in [
            ("", true),
            ("app=web", true),
            ("app==web,n", true),
            ("app!=web", false),
            ("other!=web", true),
            ("app in (db, web)", true),
            ("app notin (db,web)", false),
            ("x notin (db)", true),
            ("!app", false),
            ("!x,app", true),
            ("n>4,n<6", true),
            ("n>5", false),
        ] {
            assert_eq!(Labels::parse(text).unwrap().matches(&object()), expected, "{text}");
        }
        for text in [
            "a b",
            ",",
            "a=b,",
            "a in",
            "=x",
            "a in b",
            "a>b",
            "a in (b c)",
            "a in (b=c)",
            "a=-",
            "a/b/c",
            "-=a",
        ] {
            assert!(Labels::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn field_selectors_select_what_the_kind_supports() {
        let supported = vec!["status.phase".to_owned()];
        for (text, expected) in [
            ("metadata.name=a", true),
            ("metadata.namespace!=ns", false),
            ("status.phase=Running,metadata.name=a", true),
            ("status.phase!=Running", false),
        ] {
            assert_eq!(
                Fields::parse(text, &supported).unwrap().matches(&object()),
                expected,
                "{text}"
            );
        }
        let zeros = ["spec.hostNetwork", "status.replicas", "source"].map(str::to_owned);
        let node = br#"{"source":{"component":"kubelet"},"spec":{}}"#;
        let node = Object::stored(1, Key::new("", "n"), Bytes::from_static(node));
        for text in ["spec.hostNetwork=false", "status.replicas=0", "source=kubelet"] {
            assert!(Fields::parse(text, &zeros).unwrap().matches(&node), "{text}");
        }
        assert_eq!(Fields::parse("metadata.name=a", &[]).unwrap().name(), Some("a"));
        assert_eq!(
            Fields::parse("spec.x=1", &supported).unwrap_err().message,
            "field label not supported: spec.x"
        );
    }
}
