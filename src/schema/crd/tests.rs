use serde_json::{Value, json};

use super::CrdSchema;
use crate::{Kind, ListType};

fn spec(schema: Value) -> CrdSchema {
    let root = json!({"type":"object","properties":{"spec": schema}});
    CrdSchema::compile(&root, "schema").unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn findings(schema: &CrdSchema, new: Value, old: Option<Value>) -> Vec<String> {
    let old = old.map(|old| json!({ "spec": old }));
    schema.validate(&json!({ "spec": new }), old.as_ref()).iter().map(ToString::to_string).collect()
}

fn refused(schema: Value) -> Vec<String> {
    let errors = CrdSchema::compile(&schema, "schema").expect_err("not structural");
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_not_structural_is_refused_with_its_place() {
    assert_eq!(
        refused(json!({"properties":{}})),
        ["schema.type: Invalid value: \"\": must be object at the root"]
    );
    assert_eq!(
        refused(
            json!({"type":"object","properties":{"spec":{"properties":{"a":{"type":"array"},"b":{}}}}})
        ),
        [
            "schema.properties[spec].type: Required value: must not be empty for specified object fields",
            "schema.properties[spec].properties[a].items: Required value: must be specified",
            "schema.properties[spec].properties[b].type: Required value: must not be empty for specified object fields",
        ]
    );
    let bad = refused(json!({"type":"object","properties":{"a":{"type":"string","pattern":"("},
        "b":{"type":"array","items":{"type":"object"},"x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["k"]},
        "c":{"type":"object","x-kubernetes-validations":[{"rule":"self.x +"},{"rule":"other"}]}}}));
    let starts = [
        "schema.properties[a].pattern: Invalid value: \"(\": must be a valid regular expression",
        "schema.properties[b].x-kubernetes-list-map-keys[0]: Invalid value: \"k\": entries must all be names",
        "schema.properties[c].x-kubernetes-validations[0].rule: Invalid value: \"self.x +\": compilation failed",
        "schema.properties[c].x-kubernetes-validations[1].rule: Invalid value: \"other\": compilation failed",
    ];
    assert_eq!(bad.len(), starts.len(), "{bad:#?}");
    for (line, start) in bad.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}");
    }
}

#[test]
fn the_cursor_serves_custom_resources_too() {
    let schema = spec(json!({"type":"object","properties":{
        "list":{"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["name"],
            "items":{"type":"object","properties":{"name":{"type":"string"}}}},
        "set":{"type":"array","x-kubernetes-list-type":"set","items":{"type":"string"}},
        "atomic":{"type":"object","x-kubernetes-map-type":"atomic","additionalProperties":{"type":"string"}},
        "open":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}));
    let root = schema.root();
    let spec = root.field("spec").expect("spec");
    let list = spec.field("list").expect("list");
    assert!(matches!(list.list_type(), ListType::Map(keys) if keys.iter().eq(["name"])));
    assert_eq!(spec.field("set").map(|n| n.list_type()), Some(ListType::Set));
    assert!(spec.field("atomic").is_some_and(|n| n.is_atomic()));
    assert_eq!(spec.field("open").and_then(|n| n.field("x")).map(|n| n.kind()), Some(Kind::Any));
    let finalizers = root.field("metadata").and_then(|m| m.field("finalizers"));
    assert_eq!(finalizers.map(|n| n.list_type()), Some(ListType::Set));
}

#[test]
fn nulls_that_are_no_values_go_wherever_they_are() {
    let schema = spec(json!({"type":"object","properties":{
        "map":{"type":"object","additionalProperties":{"type":"object","properties":{"x":{"type":"string"}}}},
        "nullable":{"type":"object","additionalProperties":{"type":"string","nullable":true}},
        "any":{"x-kubernetes-preserve-unknown-fields":true},
        "free":{"type":"object","x-kubernetes-preserve-unknown-fields":true},
        "list":{"type":"array","items":{"type":"object","required":["object"],"properties":{
            "object":{"x-kubernetes-preserve-unknown-fields":true}}}}}}));
    let mut object = json!({"spec":{"map":{"a":null,"b":{}},"nullable":{"a":null},"any":null,
        "free":{"x":null},"list":[{"object":null}]}});
    schema.default(&mut object);
    assert_eq!(
        object,
        json!({"spec":{"map":{"b":{}},"nullable":{"a":null},"free":{"x":null},"list":[{}]}})
    );
    assert_eq!(
        findings(&schema, object["spec"].take(), None),
        ["spec.list[0].object: Required value"]
    );
}

#[test]
fn defaults_fill_from_the_outside_in_and_replace_nulls() {
    let schema = spec(json!({"type":"object","default":{},"properties":{
        "replicas":{"type":"integer","default":1},
        "kept":{"type":"string","nullable":true,"default":"x"},
        "dropped":{"type":"string"},
        "inner":{"type":"object","properties":{"a":{"type":"string","default":"b"}}},
        "list":{"type":"array","items":{"type":"object","properties":{"p":{"type":"string","default":"TCP"}}}},
        "map":{"type":"object","additionalProperties":{"type":"object","properties":{"q":{"type":"integer","default":2}}}}}}));
    let apply = |mut object: Value| {
        schema.default(&mut object);
        object
    };
    assert_eq!(apply(json!({})), json!({"spec":{"replicas":1,"kept":"x"}}));
    assert_eq!(
        apply(
            json!({"spec":{"replicas":null,"kept":null,"dropped":null,"inner":{},"list":[{},{"p":"UDP"}],"map":{"k":{}}}})
        ),
        json!({"spec":{"replicas":1,"kept":null,"inner":{"a":"b"},"list":[{"p":"TCP"},{"p":"UDP"}],"map":{"k":{"q":2}}}})
    );
}

#[test]
fn pruning_drops_unknown_fields_but_not_open_ones() {
    let schema = spec(json!({"type":"object","properties":{
        "a":{"type":"object","properties":{"b":{"type":"string"}}},
        "open":{"type":"object","x-kubernetes-preserve-unknown-fields":true,
            "properties":{"known":{"type":"object","properties":{"x":{"type":"string"}}}}},
        "any":{"x-kubernetes-preserve-unknown-fields":true},
        "list":{"type":"array","items":{"type":"object","properties":{"n":{"type":"string"}}}},
        "raw":{"type":"object","x-kubernetes-embedded-resource":true,"x-kubernetes-preserve-unknown-fields":true}}}));
    let mut object = json!({"apiVersion":"x/v1","kind":"X","metadata":{"name":"n","wrong":1},"extra":1,
        "spec":{"a":{"b":"1","c":2},"open":{"z":1,"known":{"x":"1","y":2}},"any":{"deep":[1]},"list":[{"n":"1","m":2}],
            "raw":{"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"a":"b"},"odd":1},"data":1}}});
    let unknown = schema.prune(&mut object).expect("metadata reads");
    let mut sorted = unknown.clone();
    sorted.sort();
    assert_eq!(
        sorted,
        [
            "extra",
            "metadata.wrong",
            "spec.a.c",
            "spec.list[0].m",
            "spec.open.known.y",
            "spec.raw.metadata.odd"
        ]
    );
    assert_eq!(
        object["spec"],
        json!({"a":{"b":"1"},"open":{"z":1,"known":{"x":"1"}},"any":{"deep":[1]},"list":[{"n":"1"}],
            "raw":{"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"a":"b"}},"data":1}})
    );
}

#[test]
fn limits_are_worded_as_kubernetes_words_them() {
    let schema = spec(json!({"type":"object","required":["name"],"properties":{
        "name":{"type":"string","minLength":2,"maxLength":4,"pattern":"^[a-z]+$"},
        "replicas":{"type":"integer","minimum":1,"maximum":5},
        "half":{"type":"number","multipleOf":0.5,"exclusiveMinimum":true,"minimum":0},
        "mode":{"type":"string","enum":["A","B"]},
        "when":{"type":"string","format":"date-time"},
        "list":{"type":"array","minItems":1,"maxItems":2,"items":{"type":"integer"}},
        "set":{"type":"array","x-kubernetes-list-type":"set","items":{"type":"string"}},
        "ports":{"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["name"],
            "items":{"type":"object","required":["name"],"properties":{"name":{"type":"string"}}}},
        "either":{"x-kubernetes-int-or-string":true},
        "null":{"type":"string","nullable":true}}}));
    let cases = [
        (json!({}), "spec.name: Required value"),
        (
            json!({"name":"a"}),
            "spec.name: Invalid value: \"a\": spec.name in body should be at least 2 chars long",
        ),
        (json!({"name":"abcde"}), "spec.name: Too long: may not be more than 4 bytes"),
        (
            json!({"name":"AB"}),
            "spec.name: Invalid value: \"AB\": spec.name in body should match '^[a-z]+$'",
        ),
        (
            json!({"name":1}),
            "spec.name: Invalid value: \"integer\": spec.name in body must be of type string: \"integer\"",
        ),
        (
            json!({"name":"ab","replicas":0}),
            "spec.replicas: Invalid value: 0: spec.replicas in body should be greater than or equal to 1",
        ),
        (
            json!({"name":"ab","replicas":6}),
            "spec.replicas: Invalid value: 6: spec.replicas in body should be less than or equal to 5",
        ),
        (
            json!({"name":"ab","replicas":"1"}),
            "spec.replicas: Invalid value: \"string\": spec.replicas in body must be of type integer: \"string\"",
        ),
        (
            json!({"name":"ab","half":0.3}),
            "spec.half: Invalid value: 0.3: spec.half in body should be a multiple of 0.5",
        ),
        (
            json!({"name":"ab","half":0}),
            "spec.half: Invalid value: 0: spec.half in body should be greater than 0",
        ),
        (
            json!({"name":"ab","mode":"C"}),
            "spec.mode: Unsupported value: \"C\": supported values: \"A\", \"B\"",
        ),
        (
            json!({"name":"ab","when":"now"}),
            "spec.when: Invalid value: \"now\": spec.when in body must be of type date-time: \"now\"",
        ),
        (json!({"name":"ab","list":[1,2,3]}), "spec.list: Too many: 3: must have at most 2 items"),
        (
            json!({"name":"ab","list":[]}),
            "spec.list: Invalid value: 0: spec.list in body should have at least 1 items",
        ),
        (
            json!({"name":"ab","list":["x"]}),
            "spec.list[0]: Invalid value: \"string\": spec.list[0] in body must be of type integer: \"string\"",
        ),
        (json!({"name":"ab","set":["a","a"]}), "spec.set[1]: Duplicate value: \"a\""),
        (
            json!({"name":"ab","ports":[{"name":"a"},{"name":"a"}]}),
            "spec.ports[1]: Duplicate value: {\"name\":\"a\"}",
        ),
        (json!({"name":"ab","ports":[{}]}), "spec.ports[0].name: Required value"),
        (
            json!({"name":"ab","either":true}),
            "spec.either: Invalid value: \"boolean\": spec.either in body must be of type integer,string: \"boolean\"",
        ),
        (
            json!({"name":null}),
            "spec.name: Invalid value: \"null\": spec.name in body must be of type string: \"null\"",
        ),
    ];
    for (value, message) in cases {
        assert_eq!(findings(&schema, value.clone(), None), [message], "{value}");
    }
    let good = json!({"name":"abc","replicas":5,"half":1.5,"mode":"A","when":"2026-01-01T00:00:00Z","list":[1],
        "set":["a"],"ports":[{"name":"a"}],"either":"50%","null":null});
    assert_eq!(findings(&schema, good, None), [] as [&str; 0]);
}

#[test]
fn logic_says_which_junctor_failed() {
    let schema =
        spec(json!({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},
        "oneOf":[{"required":["a"]},{"required":["b"]}],
        "not":{"properties":{"a":{"enum":[7]}},"required":["a"]}}));
    assert_eq!(findings(&schema, json!({"a":1}), None), [] as [&str; 0]);
    assert_eq!(
        findings(&schema, json!({}), None),
        [
            "spec: Invalid value: \"\": \"spec\" must validate one and only one schema (oneOf). Found none valid",
            "spec.a: Required value"
        ]
    );
    assert_eq!(
        findings(&schema, json!({"a":1,"b":2}), None),
        [
            "spec: Invalid value: \"\": \"spec\" must validate one and only one schema (oneOf). Found 2 valid alternatives"
        ]
    );
    assert_eq!(
        findings(&schema, json!({"a":7}), None),
        ["spec: Invalid value: \"\": \"spec\" must not validate the schema (not)"]
    );
}

#[test]
fn rules_see_self_and_the_old_value() {
    let schema = spec(json!({"type":"object","properties":{
        "owner":{"type":"string","x-kubernetes-validations":[{"rule":"self == oldSelf","message":"spec.owner is immutable"}]},
        "min":{"type":"integer"},"max":{"type":"integer"},
        "namespace":{"type":"string"},
        "items":{"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["n"],"items":{"type":"object",
            "properties":{"n":{"type":"string"},"v":{"type":"integer"}},
            "x-kubernetes-validations":[{"rule":"self.v >= oldSelf.v","reason":"FieldValueForbidden","fieldPath":".v"}]}}},
        "x-kubernetes-validations":[
            {"rule":"!has(self.min) || !has(self.max) || self.min <= self.max",
             "messageExpression":"'min ' + string(self.min) + ' exceeds max'"},
            {"rule":"!has(self.__namespace__) || self.__namespace__ != 'kube-system'","message":"not there"}]}));
    assert_eq!(findings(&schema, json!({"owner":"a","min":1,"max":2}), None), [] as [&str; 0]);
    assert_eq!(
        findings(&schema, json!({"min":3,"max":2}), None),
        ["spec: Invalid value: \"object\": min 3 exceeds max"]
    );
    assert_eq!(
        findings(&schema, json!({"namespace":"kube-system"}), None),
        ["spec: Invalid value: \"object\": not there"]
    );
    assert_eq!(
        findings(&schema, json!({"owner":"b"}), Some(json!({"owner":"a"}))),
        ["spec.owner: Invalid value: \"string\": spec.owner is immutable"]
    );
    assert_eq!(
        findings(
            &schema,
            json!({"items":[{"n":"new","v":0},{"n":"a","v":1}]}),
            Some(json!({"items":[{"n":"a","v":2}]}))
        ),
        ["spec.items[1].v: Forbidden: failed rule: self.v >= oldSelf.v"]
    );
}

#[test]
fn a_rule_may_be_told_that_there_is_no_old_value() {
    let schema = spec(json!({"type":"object","properties":{
        "kept":{"type":"string","x-kubernetes-validations":[{"optionalOldSelf":true,
            "rule":"oldSelf.hasValue() ? self == oldSelf.value() : self != 'late'"}]},
        "list":{"type":"array","items":{"type":"string","x-kubernetes-validations":[{"optionalOldSelf":true,
            "rule":"oldSelf.orValue(self) == self && self != 'x'"}]}}}}));
    let failed = "spec.kept: Invalid value: \"string\": failed rule: oldSelf.hasValue() ? self == oldSelf.value() : self != 'late'";
    assert_eq!(findings(&schema, json!({"kept":"a","list":["b"]}), None), [] as [&str; 0]);
    assert_eq!(findings(&schema, json!({"kept":"late"}), None), [failed]);
    assert_eq!(findings(&schema, json!({"kept":"b"}), Some(json!({"kept":"a"}))), [failed]);
    assert_eq!(findings(&schema, json!({"kept":"a"}), Some(json!({"kept":"a"}))), [] as [&str; 0]);
    // Items of lists without keys have no old values.
    let words = "spec.list[0]: Invalid value: \"string\": failed rule: oldSelf.orValue(self) == self && self != 'x'";
    assert_eq!(findings(&schema, json!({"list":["x"]}), Some(json!({"list":["b"]}))), [words]);

    let rule = json!([{"rule":"self != ''","optionalOldSelf":true}]);
    let schema = json!({"type":"object","properties":{"spec":{"type":"string","x-kubernetes-validations":rule}}});
    let errors = CrdSchema::compile(&schema, "s").unwrap_err();
    assert_eq!(
        errors[0].to_string(),
        "s.properties[spec].x-kubernetes-validations[0].optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule"
    );
}

#[test]
fn a_default_passes_its_own_schema() {
    let schema = spec(json!({"type":"object","properties":{
        "color":{"type":"string","enum":["red"],"default":"blue"},
        "size":{"type":"integer","default":"big"},
        "list":{"type":"array","items":{"type":"object","properties":{"n":{"type":"integer","maximum":3,"default":4}}}},
        "part":{"type":"object","properties":{"a":{"type":"string"}},"default":{"a":"b","c":"d"}},
        "ruled":{"type":"string","default":"x","x-kubernetes-validations":[{"rule":"self != 'x'"}]},
        "null":{"type":"string","nullable":true,"default":null},
        "any":{"x-kubernetes-preserve-unknown-fields":true,"default":[{"a":1}]},
        "open":{"type":"array","items":{"x-kubernetes-preserve-unknown-fields":true}},
        "fine":{"type":"object","default":{},"properties":{"a":{"type":"string","default":"b"}}}}}));
    let found: Vec<String> = schema.check_defaults("s").iter().map(ToString::to_string).collect();
    let at = "s.properties[spec].properties";
    assert_eq!(
        found,
        [
            format!("{at}[color].default: Unsupported value: \"blue\": supported values: \"red\""),
            format!(
                "{at}[list].items.properties[n].default: Invalid value: 4: {at}[list].items.properties[n].default in body should be less than or equal to 3"
            ),
            format!(
                "{at}[part].default: Invalid value: {{\"a\":\"b\",\"c\":\"d\"}}: must not have unknown fields"
            ),
            format!("{at}[ruled].default: Invalid value: \"string\": failed rule: self != 'x'"),
            format!(
                "{at}[size].default: Invalid value: \"string\": {at}[size].default in body must be of type integer: \"string\""
            ),
        ]
    );
}

#[test]
fn an_update_that_leaves_a_wrong_value_alone_passes() {
    let schema = spec(json!({"type":"object","properties":{
        "old":{"type":"string","maxLength":1},"new":{"type":"string","maxLength":1},
        "ruled":{"type":"string","x-kubernetes-validations":[{"rule":"self == 'x'"}]}}}));
    let before = json!({"old":"too long","ruled":"y"});
    assert_eq!(
        findings(&schema, json!({"old":"too long","ruled":"y","new":"a"}), Some(before.clone())),
        [] as [&str; 0]
    );
    assert_eq!(
        findings(&schema, json!({"old":"too long","ruled":"z"}), Some(before)),
        ["spec.ruled: Invalid value: \"string\": failed rule: self == 'x'"]
    );
}

/// Of `count` numbers, `sets.intersects(self, self)` may compare all with all, which is what counts.
fn numbers(count: usize) -> Value {
    (0..count).collect()
}

fn ruled(items: Value, rule: Value) -> Value {
    json!({"type":"array","items":items,"x-kubernetes-validations":[rule]})
}

#[test]
fn a_rule_that_takes_too_much_is_an_error_and_the_last_one() {
    let costly = "sets.intersects(self, self)";
    let limited = "'operation cancelled: actual cost limit exceeded': no further validation rules will be run due to call cost exceeds limit for rule:";
    for (rule, words) in [
        (json!({"rule": costly}), format!("{limited} {costly}")),
        (json!({"rule": format!("{costly} || true")}), format!("{limited} {costly} || true")),
        (
            json!({"rule": costly, "message": "too long", "reason": "FieldValueForbidden"}),
            format!("{limited} too long"),
        ),
        (
            json!({"rule": "self.size() == 0", "messageExpression": format!("string({costly})")}),
            format!(
                "no further validation rules will be run due to call cost exceeds limit for messageExpression: \"string({costly})\""
            ),
        ),
    ] {
        let list = ruled(json!({"type":"integer"}), rule.clone());
        let schema = spec(json!({"type":"object","properties":{
            "a": {"type":"string","x-kubernetes-validations":[{"rule":"self == 'a'"}]},
            "list": list,
            "z": {"type":"string","x-kubernetes-validations":[{"rule":"self == 'z'"}]}}}));
        let of = |count| json!({"a": "", "list": numbers(count), "z": ""});
        let found = findings(&schema, of(2500), None);
        assert_eq!(
            found,
            [
                "spec.a: Invalid value: \"string\": failed rule: self == 'a'".to_owned(),
                format!("spec.list: Invalid value: \"array\": {words}")
            ],
            "{rule}"
        );
        let found = findings(&schema, of(1000), None);
        assert!(found.iter().any(|found| found.starts_with("spec.z")), "{rule}: {found:?}");
    }
}

#[test]
fn all_rules_of_an_object_together_have_a_budget() {
    let exhausted =
        "failed due to running out of cost budget, no further validation rules will be run";
    let rule = json!({"rule": "sets.intersects(self, self)"});
    let schema = spec(ruled(ruled(json!({"type":"integer"}), rule), json!({"rule": "true"})));
    let lists = |count| Value::from(vec![numbers(2000); count]);
    assert_eq!(findings(&schema, lists(12), None), [""; 0]);
    assert_eq!(
        findings(&schema, lists(30), None),
        [format!("spec[12]: Invalid value: \"array\": validation {exhausted}")]
    );
    // What costs nothing but being evaluated, many times over.
    let rule = json!([{"rule": "true"}]);
    let schema =
        spec(json!({"type":"array","items":{"type":"integer","x-kubernetes-validations":rule}}));
    let found = findings(&schema, vec![0; 300_000].into(), None);
    assert_eq!(
        found,
        [format!("spec[249999]: Invalid value: \"integer\": validation {exhausted}")]
    );
}
