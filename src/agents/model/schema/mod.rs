//! Whether an answer fits its JSON schema.
//!
//! The part of JSON Schema that answers of models need. An assertion that is not understood is refused when the schema
//! is compiled, so that nothing passes unchecked.

mod check;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use regex::Regex;
use serde_json::Value;

/// Words that assert nothing.
const SILENT: &[&str] = &[
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "examples",
    "format",
];
/// Words that are checked, beside `pattern`.
const CHECKED: &[&str] = &[
    "$ref",
    "type",
    "enum",
    "const",
    "properties",
    "required",
    "additionalProperties",
    "minProperties",
    "maxProperties",
    "items",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
];
/// Nothing real is deeper; a `$ref` to itself is.
const DEEPEST: usize = 64;
/// How many problems are told.
const TOLD: usize = 8;

/// A schema whose every assertion is understood.
#[derive(Debug)]
pub(super) struct Schema<'a> {
    root: &'a Value,
    patterns: HashMap<&'a str, Regex>,
}

impl<'a> Schema<'a> {
    /// The error says what is not understood.
    pub(super) fn compile(root: &'a Value) -> Result<Schema<'a>, String> {
        if root["type"] != "object"
            || ["oneOf", "anyOf", "allOf"].iter().any(|word| root.get(word).is_some())
        {
            return Err(
                "the schema of an answer is an object, without oneOf, anyOf or allOf at its top"
                    .into(),
            );
        }
        let mut schema = Schema { root, patterns: HashMap::new() };
        schema.look(root, "")?;
        Ok(schema)
    }

    fn look(&mut self, schema: &'a Value, at: &str) -> Result<(), String> {
        let Some(words) = schema.as_object() else {
            return if schema.is_boolean() { Ok(()) } else { Err(format!("{at} is no schema")) };
        };
        for (word, value) in words {
            let at = format!("{at}/{word}");
            match word.as_str() {
                "pattern" => {
                    let pattern = value.as_str().ok_or(format!("{at} is no text"))?;
                    let regex = Regex::new(pattern).map_err(|error| format!("{at}: {error}"))?;
                    self.patterns.insert(pattern, regex);
                }
                "$ref" => {
                    value
                        .as_str()
                        .and_then(|to| self.target(to))
                        .ok_or(format!("{at} leads nowhere"))?;
                }
                "properties" | "$defs" | "definitions" => {
                    let children = value.as_object().ok_or(format!("{at} is no object"))?;
                    for (name, child) in children {
                        self.look(child, &format!("{at}/{name}"))?;
                    }
                }
                "items" | "additionalProperties" | "not" => self.look(value, &at)?,
                "allOf" | "anyOf" | "oneOf" => {
                    for child in value.as_array().ok_or(format!("{at} is no list"))? {
                        self.look(child, &at)?;
                    }
                }
                word if SILENT.contains(&word) || CHECKED.contains(&word) => {}
                _ => return Err(format!("{at} is not checked here")),
            }
        }
        Ok(())
    }

    fn target(&self, reference: &str) -> Option<&'a Value> {
        self.root.pointer(reference.strip_prefix('#')?)
    }

    /// What is wrong with `value`; a model can correct it by these words.
    pub(super) fn check(&self, value: &Value) -> Result<(), String> {
        let mut problems = check::problems(self, self.root, value, "", 0);
        let more = problems.len().saturating_sub(TOLD);
        problems.truncate(TOLD);
        if more > 0 {
            problems.push(format!("and {more} more"));
        }
        if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
    }
}
