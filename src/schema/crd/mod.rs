//! Structural schemas of custom resources: compiled once, then used to default, prune and validate.
//!
//! A write goes through [`CrdSchema::prune`], [`CrdSchema::default`] and [`CrdSchema::validate`], in this
//! order, as in a real API server. Descriptions are not kept: a compiled schema is a few kilobytes.

mod default;
mod format;
mod limits;
mod parse;
mod prune;
mod rules;
mod validate;

use serde_json::Value;

pub(crate) use limits::Limits;

use crate::builtin::DecodeError;
use crate::error::FieldError;
use crate::node::{Arena, Id, Node};

/// One version's compiled `openAPIV3Schema`.
#[derive(Debug)]
pub struct CrdSchema {
    arena: Arena,
    root: Id,
}

impl CrdSchema {
    /// Compiles a schema. `path` is where it stands in its CustomResourceDefinition, such as
    /// `spec.versions[0].schema.openAPIV3Schema`, for the findings.
    ///
    /// # Errors
    /// Every place where the schema is not structural or does not make sense.
    pub fn compile(schema: &Value, path: &str) -> Result<CrdSchema, Vec<FieldError>> {
        parse::compile(schema, path).map(|(arena, root)| CrdSchema { arena, root })
    }

    /// The schema of whole objects.
    pub fn root(&self) -> Node<'_> {
        Node::at(&self.arena, self.root)
    }

    /// Sets what is missing to its default, inside out; nulls where null may not be count as missing.
    pub fn default(&self, object: &mut Value) {
        default::apply(object, self.root());
    }

    /// Defaults that would not pass themselves. `path` is as in [`CrdSchema::compile`]. What is stored may have such.
    pub fn check_defaults(&self, path: &str) -> Vec<FieldError> {
        let mut errors = Vec::new();
        default::check(self.root(), path, &mut errors);
        errors
    }

    /// Drops fields the schema does not have and returns their paths, such as `spec.nonsense`, for
    /// `unknown field "…"`.
    ///
    /// # Errors
    /// When `metadata` cannot be read.
    pub fn prune(&self, object: &mut Value) -> Result<Vec<String>, DecodeError> {
        prune::apply(object, self.root())
    }

    /// Everything that is wrong with `new`; rules about change compare with `old`. What an update leaves
    /// as it was is not found fault with.
    pub fn validate(&self, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
        let mut errors = validate::check(new, old, self.root());
        if errors.is_empty() {
            errors = rules::check(new, old, self.root());
        }
        errors
    }
}

#[cfg(test)]
mod tests;
