//! The arguments of a call, checked against the tool's row.

use std::fmt::{self, Display, Formatter};

use serde_json::{Map, Value};

use super::{ArgKind, Tool};
use crate::authz::Hierarchy;

/// Checked arguments: the required ones are there, every one has its type, none is unknown.
#[derive(Debug, Clone, Default)]
pub struct Arguments(Map<String, Value>);

/// What is wrong with the arguments of a call: a sentence that tells the model what to send instead.
#[derive(Debug, Clone)]
pub struct Wrong {
    reason: String,
    /// Arguments that are needed and were not given.
    pub(super) missing: Vec<&'static str>,
    /// Those that were.
    pub(super) given: Arguments,
}

impl From<String> for Wrong {
    fn from(reason: String) -> Self {
        Self { reason, missing: Vec::new(), given: Arguments::default() }
    }
}

impl Display for Wrong {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl Arguments {
    /// Checks `given`. An empty string means that an argument was not given.
    ///
    /// # Errors
    /// [`Wrong`].
    pub fn check(tool: &Tool, given: Option<Map<String, Value>>) -> Result<Self, Wrong> {
        let mut given = given.unwrap_or_default();
        given.retain(|_, value| !value.is_null());
        Self::check_given(tool, &given)?;
        given.retain(|_, value| !is_empty(value));
        let needed = tool.args.iter().filter(|arg| arg.required).map(|arg| arg.name);
        let missing: Vec<_> = needed.filter(|name| !given.contains_key(*name)).collect();
        let reason = match missing.as_slice() {
            [] => return Ok(Self(given)),
            [one] => format!("the argument {one} is required"),
            several => format!("the arguments {} are required", several.join(", ")),
        };
        Err(Wrong { reason, missing, given: Self(given) })
    }

    /// Whether each is known and has its type.
    fn check_given(tool: &Tool, given: &Map<String, Value>) -> Result<(), String> {
        for name in given.keys() {
            if !tool.args.iter().any(|arg| arg.name == name) {
                let known: Vec<_> = tool.args.iter().map(|arg| arg.name).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(format!("unknown argument {name:?}; {} takes {known}", tool.name));
            }
        }
        for arg in tool.args {
            let Some(value) = given.get(arg.name).filter(|value| !is_empty(value)) else {
                continue;
            };
            let expected = match arg.kind {
                ArgKind::Text if value.is_string() => continue,
                ArgKind::Text => "a string".to_owned(),
                ArgKind::OneOf(names)
                    if value.as_str().is_some_and(|name| names.contains(&name)) =>
                {
                    continue;
                }
                // Upstream's own words, which its clients know.
                ArgKind::OneOf(names) if arg.name == "scope" => {
                    let names: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
                    return Err(format!("invalid scope {value}: must be {}", names.join(" or ")));
                }
                ArgKind::OneOf(names) => format!("one of {}", names.join(", ")),
                ArgKind::Integer if value.is_i64() || value.is_u64() => continue,
                ArgKind::Integer => "a whole number".to_owned(),
                ArgKind::Flag if value.is_boolean() => continue,
                ArgKind::Flag => "true or false".to_owned(),
                ArgKind::Object if value.is_object() => continue,
                ArgKind::Object => "an object".to_owned(),
                ArgKind::Objects if all(value, Value::is_object) => continue,
                ArgKind::Objects => "a list of objects".to_owned(),
                ArgKind::Texts if all(value, Value::is_string) => continue,
                ArgKind::Texts => "a list of strings".to_owned(),
            };
            return Err(format!("the argument {} must be {expected}", arg.name));
        }
        Ok(())
    }

    /// The same, with `name`.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// A string, empty when it was not given.
    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// A string, if it was given.
    pub fn optional(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// A number, if it was given.
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.0.get(name).and_then(Value::as_i64)
    }

    /// A truth, if it was given.
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.0.get(name).and_then(Value::as_bool)
    }

    /// An object or list, if it was given.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The place that the arguments speak of, as far as they do.
    pub fn place(&self) -> Hierarchy {
        Hierarchy {
            namespace: self.text("namespace_name").to_owned(),
            project: self.text("project_name").to_owned(),
            component: self.text("component_name").to_owned(),
            resource: String::new(),
        }
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_str() == Some("")
}

fn all(value: &Value, is: fn(&Value) -> bool) -> bool {
    value.as_array().is_some_and(|items| items.iter().all(is))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::{Access, Arg, Output};

    static TOOL: Tool = Tool {
        name: "try",
        description: "",
        toolsets: &[],
        args: &[
            Arg::required("namespace_name", ArgKind::Text),
            Arg::optional("limit", ArgKind::Integer),
            Arg::optional("scope", ArgKind::OneOf(&["namespace", "cluster"])),
            Arg::optional("note", ArgKind::Text),
        ],
        actions: &[],
        access: Access::Read,
        output: Output::Schema,
    };

    fn check(given: Value) -> Result<Arguments, String> {
        Arguments::check(&TOOL, given.as_object().cloned()).map_err(|wrong| wrong.to_string())
    }

    #[test]
    fn good_arguments_pass_and_empty_ones_are_not_given() {
        let given =
            serde_json::json!({"namespace_name": "default", "limit": 5, "note": "", "scope": null});
        let arguments = check(given).expect("good");
        assert_eq!(
            (arguments.text("namespace_name"), arguments.integer("limit")),
            ("default", Some(5))
        );
        assert_eq!(arguments.optional("note"), None);
        assert_eq!(arguments.place(), Hierarchy::namespace("default"));
    }

    #[test]
    fn a_wrong_argument_says_what_to_send_instead() {
        let errors: Vec<String> = [
            serde_json::json!({}),
            serde_json::json!({"namespace_name": ""}),
            serde_json::json!({"namespace_name": "a", "limit": "five"}),
            serde_json::json!({"namespace_name": "a", "name": "b"}),
            serde_json::json!({"namespace_name": "a", "scope": "planet"}),
        ]
        .into_iter()
        .map(|given| check(given).expect_err("wrong"))
        .collect();
        assert_eq!(
            errors,
            [
                "the argument namespace_name is required",
                "the argument namespace_name is required",
                "the argument limit must be a whole number",
                "unknown argument \"name\"; try takes namespace_name, limit, scope, note",
                "invalid scope \"planet\": must be \"namespace\" or \"cluster\"",
            ]
        );
    }
}
