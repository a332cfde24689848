use curtain_schema::{Node, builtin};
use serde_json::{Value, json};

use super::*;

fn kind(kind: &str) -> Node<'static> {
    builtin::root(if kind == "Deployment" { "apps" } else { "" }, "v1", kind)
        .expect("a built-in kind")
}

fn pod(document: Value, patch: Value) -> Value {
    let mut document = json!({ "spec": document });
    strategic_merge(&mut document, &json!({ "spec": patch }), kind("Pod")).expect("applies");
    document["spec"].take()
}

#[test]
fn containers_merge_by_name_and_new_ones_come_as_soon_as_the_patchs_order_allows() {
    let merged = pod(
        json!({"containers":[{"name":"a","image":"1","env":[{"name":"X","value":"1"}]},{"name":"b"}]}),
        json!({"containers":[{"name":"a","image":"2","env":[{"name":"Y","value":"2"}]},{"name":"c"}]}),
    );
    assert_eq!(
        merged,
        json!({"containers":[
            {"name":"a","image":"2","env":[{"name":"Y","value":"2"},{"name":"X","value":"1"}]},
            {"name":"c"},{"name":"b"}]})
    );
}

#[test]
fn kubectls_apply_of_a_removed_and_a_changed_port() {
    let merged = pod(
        json!({"containers":[{"name":"a","ports":[{"containerPort":80,"protocol":"TCP"},{"containerPort":81,"protocol":"TCP"}]}]}),
        json!({
            "$setElementOrder/containers":[{"name":"a"}],
            "containers":[{"name":"a",
                "$setElementOrder/ports":[{"containerPort":82},{"containerPort":80}],
                "ports":[{"containerPort":82},{"$patch":"delete","containerPort":81}]}]}),
    );
    assert_eq!(
        merged["containers"][0]["ports"],
        json!([{"containerPort":82},{"containerPort":80,"protocol":"TCP"}])
    );
}

#[test]
fn order_lists_keep_the_servers_own_items_in_place() {
    let merged = pod(
        json!({"containers":[{"name":"sidecar"},{"name":"a"},{"name":"b"}]}),
        json!({"$setElementOrder/containers":[{"name":"b"},{"name":"a"}]}),
    );
    assert_eq!(merged["containers"], json!([{"name":"sidecar"},{"name":"b"},{"name":"a"}]));
}

#[test]
fn an_order_that_misses_an_item_is_refused() {
    let mut document = json!({"spec":{"containers":[]}});
    let patch = json!({"spec":{"$setElementOrder/containers":[],"containers":[{"name":"a"}]}});
    assert_eq!(
        strategic_merge(&mut document, &patch, kind("Pod")),
        Err(StrategicError::Order("containers".into()))
    );
}

#[test]
fn retain_keys_switches_the_deployment_strategy() {
    let mut document =
        json!({"spec":{"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":1}}}});
    let patch = json!({"spec":{"strategy":{"$retainKeys":["type"],"type":"Recreate"}}});
    strategic_merge(&mut document, &patch, kind("Deployment")).expect("applies");
    assert_eq!(document["spec"]["strategy"], json!({"type":"Recreate"}));
    let wrong = json!({"spec":{"strategy":{"$retainKeys":["type"],"rollingUpdate":{}}}});
    assert_eq!(
        strategic_merge(&mut document, &wrong, kind("Deployment")),
        Err(StrategicError::RetainKeys("rollingUpdate".into()))
    );
}

#[test]
fn volumes_switch_their_source_by_retain_keys() {
    let merged = pod(
        json!({"volumes":[{"name":"v","emptyDir":{}}]}),
        json!({"volumes":[{"name":"v","$retainKeys":["configMap","name"],"configMap":{"name":"c"}}]}),
    );
    assert_eq!(merged["volumes"], json!([{"name":"v","configMap":{"name":"c"}}]));
}

#[test]
fn finalizers_merge_as_a_set_and_lose_named_values() {
    let mut document = json!({"metadata":{"finalizers":["a","b"]}});
    let patch =
        json!({"metadata":{"finalizers":["c","a"],"$deleteFromPrimitiveList/finalizers":["b"]}});
    strategic_merge(&mut document, &patch, kind("Pod")).expect("applies");
    assert_eq!(document["metadata"]["finalizers"], json!(["c", "a"]));
}

#[test]
fn patch_directives_replace_and_delete() {
    let mut document = json!({"metadata":{"labels":{"a":"1"},"annotations":{"x":"y"}}});
    let patch = json!({"metadata":{"labels":{"$patch":"replace","b":"2"},"annotations":{"$patch":"delete"}}});
    strategic_merge(&mut document, &patch, kind("Pod")).expect("applies");
    assert_eq!(document, json!({"metadata":{"labels":{"b":"2"},"annotations":{}}}));
    let merged = pod(
        json!({"containers":[{"name":"a"},{"name":"b"}]}),
        json!({"containers":[{"name":"c"},{"$patch":"replace"}]}),
    );
    assert_eq!(merged["containers"], json!([{"name":"c"}]));
}

#[test]
fn lists_without_a_strategy_are_replaced_and_nulls_remove() {
    let merged = pod(
        json!({"containers":[{"name":"a","command":["x","y"],"image":"i"}],"nodeName":"n"}),
        json!({"containers":[{"name":"a","command":["z"],"image":null}],"nodeName":null,"tolerations":[{"key":"k"}]}),
    );
    assert_eq!(
        merged,
        json!({"containers":[{"name":"a","command":["z"]}],"tolerations":[{"key":"k"}]})
    );
}

#[test]
fn what_is_new_carries_no_directives_and_no_nulls() {
    let merged = pod(
        json!({}),
        json!({"containers":[{"$patch":"delete","name":"gone"},{"name":"a","$retainKeys":["name"],"image":null}]}),
    );
    assert_eq!(merged, json!({"containers":[{"name":"a"}]}));
}

#[test]
fn items_without_their_key_are_refused() {
    let mut document = json!({"spec":{"containers":[{"name":"a"}]}});
    let patch = json!({"spec":{"containers":[{"image":"x"}]}});
    let error = strategic_merge(&mut document, &patch, kind("Pod")).expect_err("no name");
    assert_eq!(
        error.to_string(),
        r#"map: {"image":"x"} does not contain declared merge key: name"#
    );
}
