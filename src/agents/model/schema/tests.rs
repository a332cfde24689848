use serde_json::{Value, json};

use super::Schema;

/// The shape of a report: a choice by a constant, references, bounds.
fn report() -> Value {
    json!({
        "type": "object",
        "properties": {
            "summary": {"type": "string", "minLength": 3, "maxLength": 20},
            "result": {"oneOf": [{"$ref": "#/$defs/found"}, {"$ref": "#/$defs/none"}]},
            "score": {"type": ["integer", "null"], "minimum": 0, "exclusiveMaximum": 10},
            "id": {"type": "string", "pattern": "^[a-z]+-[0-9]+$"},
        },
        "required": ["summary", "result"],
        "additionalProperties": false,
        "$defs": {
            "found": {"type": "object", "required": ["type", "causes"], "properties": {
                "type": {"const": "found"},
                "causes": {"type": "array", "minItems": 1, "maxItems": 2, "uniqueItems": true,
                    "items": {"enum": ["cpu", "memory", "disk"]}}}},
            "none": {"type": "object", "required": ["type"], "properties": {
                "type": {"const": "none"}, "why": {"type": "string"}}},
        },
    })
}

fn problems(answer: &Value) -> String {
    Schema::compile(&report()).expect("a schema").check(answer).err().unwrap_or_default()
}

#[test]
fn what_fits_fits() {
    let found = json!({"type": "found", "causes": ["cpu", "disk"]});
    for answer in [
        json!({"summary": "it was the cpu", "result": found, "score": 9.0, "id": "a-1"}),
        json!({"summary": "über", "result": {"type": "none", "other": 1}, "score": null}),
    ] {
        assert_eq!(problems(&answer), "", "{answer}");
    }
}

#[test]
fn what_does_not_fit_is_said_with_its_place() {
    let found =
        |causes: Value| json!({"summary": "long", "result": {"type": "found", "causes": causes}});
    let with = |name: &str, value: Value| {
        let mut answer = found(json!(["cpu"]));
        answer[name] = value;
        answer
    };
    for (answer, words) in [
        (json!([]), "the answer must be object, not array"),
        (json!({"summary": "long"}), "/result is missing"),
        (with("more", json!(1)), "/more may not be there"),
        (with("summary", json!("x")), "/summary has 1 characters, and must have at least 3"),
        (with("summary", json!("x".repeat(21))), "/summary has 21 characters, and may have 20"),
        (with("score", json!(1.5)), "/score must be integer, null, not number"),
        (with("score", json!(-1)), "/score must be at least 0"),
        (with("score", json!(10)), "/score must be less than 10"),
        (with("id", json!("A1")), "/id does not match ^[a-z]+-[0-9]+$"),
        (found(json!([])), "/result/causes has 0 items, and must have at least 1"),
        (found(json!(["cpu", "cpu"])), "/result/causes has an item twice"),
        (found(json!(["fan"])), "/result/causes/0 must be one of cpu, memory, disk"),
        (
            with("result", json!({"type": "none", "why": 1})),
            "/result/why must be string, not number",
        ),
    ] {
        assert_eq!(problems(&answer), words, "{answer}");
    }
}

#[test]
fn a_schema_with_words_that_are_not_checked_is_refused() {
    for (schema, words) in [
        (json!({"type": "array"}), "the schema of an answer is an object"),
        (json!({"type": "object", "oneOf": []}), "the schema of an answer is an object"),
        (json!({"type": "object", "patternProperties": {}}), "/patternProperties is not checked"),
        (json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/b"}}}), "leads nowhere"),
        (json!({"type": "object", "properties": {"a": {"pattern": "("}}}), "/properties/a/pattern"),
    ] {
        let error = Schema::compile(&schema).expect_err("refused");
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn a_schema_that_holds_itself_ends() {
    let schema = json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}},
        "$defs": {"a": {"$ref": "#/$defs/a"}}});
    let error = Schema::compile(&schema).expect("a schema").check(&json!({"a": 1}));
    assert_eq!(error.expect_err("too deep"), "/a is nested too deeply");
}
