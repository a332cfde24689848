//! What takes time in proportion to its operands, by name.

use cel::common::ast::operators;

/// Operators that compare their operands.
pub(crate) const COMPARING: &[&str] = &[
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::LESS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::GREATER_EQUALS,
];

/// How functions and methods count their first operand. Those that are made here count by themselves.
pub(crate) fn counting(name: &str) -> Option<&'static str> {
    match name {
        "distinct" => Some("@paired"),
        "sort" => Some("@sorted"),
        "startsWith" | "endsWith" => Some("@compared"),
        _ if READING.contains(&name) => Some("@measured"),
        _ if WALKING.contains(&name) => Some("@walked"),
        _ => None,
    }
}

/// How methods count their arguments, where these are gone through as well.
pub(crate) fn counting_arguments(name: &str) -> Option<&'static str> {
    (name == "format").then_some("@walked")
}

/// Functions and methods that go through a text.
const READING: &[&str] = &[
    "bytes",
    "charAt",
    "contains",
    "double",
    "duration",
    "find",
    "findAll",
    "int",
    "lowerAscii",
    "size",
    "split",
    "string",
    "substring",
    "timestamp",
    "trim",
    "uint",
    "upperAscii",
];

/// Functions and methods that go through a text or a list.
const WALKING: &[&str] = &["flatten", "format", "math.@max", "math.@min", "reverse", "slice"];

/// The bounded function in place of a method, or of a function that is one, too.
pub(crate) fn bounded(name: &str, is_method: bool) -> Option<&'static str> {
    match name {
        "matches" => Some("@matches"),
        "replace" if is_method => Some("@replace"),
        "join" if is_method => Some("@join"),
        "indexOf" if is_method => Some("@indexOf"),
        "lastIndexOf" if is_method => Some("@lastIndexOf"),
        _ => None,
    }
}
