//! The language as the reference's test vectors have it, and its errors.

use crate::{Engine, Error, Vars};
use serde_json::{Value as Json, json};

fn render(template: Json, vars: Json) -> Result<Option<Json>, Error> {
    Engine::base().render(&template, &Vars::from_object(&vars))
}

#[test]
fn reference_vectors() {
    for (template, vars, result) in [
        (json!("${1 + 1}"), json!({}), json!(2)),
        (json!(" ${x} "), json!({"x": 5}), json!(5)),
        (json!("a${x}b"), json!({"x": 5}), json!("a5b")),
        (json!("${x}${y}"), json!({"x": "1", "y": 2}), json!("12")),
        (json!({"${k}": 1}), json!({"k": "n"}), json!({"n": 1})),
        (json!({"a": "${oc_omit()}"}), json!({}), json!({})),
        (json!(["${true ? oc_omit() : 1}", 2]), json!({}), json!([2])),
        (json!("${{'a': 1, 'b': oc_omit()}}"), json!({}), json!({"a": 1})),
        (json!("${[1, oc_omit(), 3]}"), json!({}), json!([1, 3])),
        (json!("${oc_merge({'a':{'x':1}}, {'a':{'y':2}})}"), json!({}), json!({"a": {"y": 2}})),
        (
            json!("${m.transformMapEntry(i, e, {e.name: e.value})}"),
            json!({"m": [{"name": "A", "value": 1}]}),
            json!({"A": 1}),
        ),
        (
            json!("${m.transformMap(k, v, v > 1, v)}"),
            json!({"m": {"a": 1, "b": 2}}),
            json!({"b": 2}),
        ),
        (
            json!(
                "${[g.?http, g.?https].filter(o, o.hasValue()).map(o, o.value().host).distinct()}"
            ),
            json!({"g": {"http": {"host": "h"}}}),
            json!(["h"]),
        ),
        (json!("${ep.?basePath.orValue('/')}"), json!({"ep": {}}), json!("/")),
        (json!("${{'k': 1, ?'p': r.?p}}"), json!({"r": {}}), json!({"k": 1})),
        (json!("unclosed ${a"), json!({}), json!("unclosed ${a")),
        // Numbers: both the int and the double form work, and doubles come back whole.
        (json!("${p.port + 1}"), json!({"p": {"port": 8080}}), json!(8081)),
        (json!("${p.port + 1.0}"), json!({"p": {"port": 8080}}), json!(8081)),
        (json!("${int(p.port) + 1}"), json!({"p": {"port": 8080}}), json!(8081)),
        (json!("${\"p-\" + string(p.port)}"), json!({"p": {"port": 8080}}), json!("p-8080")),
        // Names.
        (
            json!("${oc_generate_name('project', 'component')}"),
            json!({}),
            json!("project-component-932d1646"),
        ),
        (
            json!("${oc_generate_name(['project', 1, 'component'])}"),
            json!({}),
            json!("project-component-932d1646"),
        ),
        (json!("${oc_hash('test')}"), json!({}), json!("afd071e5")),
        (json!("${\"$\"}{x}"), json!({}), json!("${x}")),
        (json!({"a": {"b": "${oc_omit()}"}}), json!({}), json!({"a": {}})),
        (json!("${null}"), json!({}), json!(null)),
        (json!([null, true, 1.5]), json!({}), json!([null, true, 1.5])),
    ] {
        assert_eq!(render(template.clone(), vars), Ok(Some(result)), "{template}");
    }
    assert_eq!(render(json!("${oc_omit()}"), json!({})), Ok(None));
}

#[test]
fn labels_fit() {
    let vars = json!({"long": "x".repeat(100)});
    let label = render(json!("${oc_dns_label(long, long)}"), vars).unwrap().unwrap();
    assert!(label.as_str().unwrap().len() <= 63, "{label}");
}

#[test]
fn errors_name_path_and_expression() {
    let nested = json!({"spec": {"containers": [{"image": "${ f(${a}) }"}]}});
    insta::assert_snapshot!(render(nested, json!({})).unwrap_err(), @"spec.containers[0].image: nested expressions in `${ f(${a}) }`: write one expression, without an inner `${`");
    let missing = json!({"spec": {"replicas": "${parameters.count}"}});
    insta::assert_snapshot!(render(missing, json!({"parameters": {}})).unwrap_err(), @"spec.replicas: cannot evaluate `parameters.count`: no such key: count");
    let undeclared = json!({"spec": ["${has(gateway.ingress)}"]});
    insta::assert_snapshot!(render(undeclared, json!({"metadata": {}})).unwrap_err(), @"spec[0]: `has(gateway.ingress)` uses `gateway`, which is not in scope; in scope: metadata");
    let key = json!({"labels": {"${1}": "x"}});
    insta::assert_snapshot!(render(key, json!({})).unwrap_err(), @"labels.${1}: the key `${1}` must give a string, not a number");
    insta::assert_snapshot!(render(json!("a-${oc_omit()}"), json!({})).unwrap_err(), @"the template: `oc_omit()` gives omit here; want something that can be text");
    insta::assert_snapshot!(render(json!("${optional.none()}"), json!({})).unwrap_err(), @"the template: `optional.none()` gives optional.none() here; want a value; give one with orValue()");
    insta::assert_snapshot!(render(json!("${oc_merge({})}"), json!({})).unwrap_err(), @"the template: cannot evaluate `oc_merge({})`: oc_merge: it takes two maps or more");
    let at = render(json!({"a": "${b}"}), json!({})).unwrap_err().within("resources[0].template");
    assert_eq!(at.path, "resources[0].template.a");
}

#[test]
fn conditions_and_loops() {
    let engine = Engine::base();
    let context = json!({"on": true, "m": {"b": 2, "a": 1}, "l": [1, 2]});
    let vars = Vars::from_object(&context);
    assert_eq!(engine.condition("${on && size(l) == 2}", &vars), Ok(true));
    let error = engine.condition("${size(l)}", &vars).unwrap_err().to_string();
    assert_eq!(error, "the template: `${size(l)}` gives a number here; want a bool");
    assert_eq!(engine.items("${l}", &vars), Ok(vec![json!(1), json!(2)]));
    assert_eq!(
        engine.items("${m}", &vars),
        Ok(vec![json!({"key": "a", "value": 1}), json!({"key": "b", "value": 2})])
    );
    assert!(engine.items("${on}", &vars).is_err());
}

#[test]
fn templates_are_checked_without_a_context() {
    let engine = Engine::base();
    let template = json!({"a": "${parameters.x}", "b": ["${metadata.name}-${nope}"]});
    let error = engine.check(&template, &["parameters", "metadata"]).unwrap_err();
    assert_eq!(error.path, "b[0]");
    assert!(engine.check(&template, &["parameters", "metadata", "nope"]).is_ok());
    assert!(engine.check(&json!("${size(}"), &[]).is_err());
}
