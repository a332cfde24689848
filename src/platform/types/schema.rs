//! Small pieces of structural schema that a derive cannot say.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// A value of any shape, stored as it came.
pub(super) fn any(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "x-kubernetes-preserve-unknown-fields": true })
}

/// An object of any shape, stored as it came.
pub(super) fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

/// A map from names to objects of any shape.
pub(super) fn any_object_map(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": { "type": "object", "x-kubernetes-preserve-unknown-fields": true }
    })
}

/// A string that is one whole `${…}` expression.
pub(super) fn expression(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": r"^\$\{[\s\S]+\}\s*$" })
}

/// The name of a loop variable.
pub(super) fn identifier(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$" })
}

/// A non-empty string.
pub(super) fn text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1 })
}

/// A name of at most 63 characters.
pub(super) fn name63(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 63 })
}

/// A DNS label.
pub(super) fn label(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 63, "pattern": DNS_LABEL })
}

/// A DNS label without a limit on its length.
pub(super) fn label_chars(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "pattern": DNS_LABEL })
}

/// The id of a plane: a DNS label or nothing.
pub(super) fn plane_id(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": 63, "pattern": DNS_LABEL })
}

/// A port number.
pub(super) fn port(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "format": "int32", "minimum": 1, "maximum": 65535 })
}

/// An integer without a declared width.
pub(super) fn integer(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer" })
}

/// A duration as Go prints it, e.g. `5m`.
pub(super) fn duration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$" })
}

const DNS_LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";

/// `x-kubernetes-validations` from pairs of rule and message.
pub(super) fn rules(pairs: &[(&str, &str)]) -> Value {
    pairs.iter().map(|(rule, message)| json!({ "message": message, "rule": rule })).collect()
}

/// One transition rule: the value never changes once it is there.
pub(super) fn immutable(message: &str) -> Value {
    rules(&[("self == oldSelf", message)])
}

/// A loop needs a name for its variable.
pub(super) fn loop_needs_var() -> Value {
    rules(&[("!has(self.forEach) || has(self.var)", "var is required when forEach is specified")])
}

/// Both names of the pre-render checks at once are ambiguous.
pub(super) const ONE_KIND_OF_VALIDATIONS: (&str, &str) = (
    "!(has(self.validations) && size(self.validations) > 0 && has(self.preRenderValidations) && size(self.preRenderValidations) > 0)",
    "set only one of spec.validations or spec.preRenderValidations; validations is deprecated, use preRenderValidations",
);
