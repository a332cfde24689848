use curtain_schema::{Node, builtin};
use serde_json::{Value, json};

use super::*;

const T0: &str = "2026-01-01T00:00:00Z";
const T1: &str = "2026-01-01T00:01:00Z";

fn schema() -> Node<'static> {
    builtin::root("apps", "v1", "Deployment").expect("a built-in kind")
}

fn by<'a>(manager: &'a str, now: &'a str) -> Writer<'a> {
    Writer { manager, api_version: "apps/v1", subresource: "", now, reset: Reset::Status }
}

fn deployment(spec: Value) -> Value {
    json!({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"default"},"spec":spec})
}

fn applied(
    live: Option<&Value>,
    spec: Value,
    manager: &str,
    now: &str,
) -> Result<Value, ApplyError> {
    apply(live, &deployment(spec), &by(manager, now), false, schema())
}

fn fields(object: &Value, manager: &str) -> Value {
    object["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|entry| entry["manager"] == manager)
        .map_or(Value::Null, |entry| entry["fieldsV1"].clone())
}

fn container(name: &str, image: &str) -> Value {
    json!({"name": name, "image": image})
}

fn template(containers: Value) -> Value {
    json!({"template":{"spec":{"containers": containers}}})
}

#[test]
fn an_applied_object_is_owned_by_its_applier_without_identity() {
    let object = applied(None, template(json!([container("a", "1")])), "me", T0).expect("applies");
    assert_eq!(object["spec"], template(json!([container("a", "1")])));
    let entry = &object["metadata"]["managedFields"][0];
    assert_eq!(
        entry,
        &json!({"manager":"me","operation":"Apply","apiVersion":"apps/v1","time":T0,"fieldsType":"FieldsV1",
            "fieldsV1":{"f:spec":{"f:template":{"f:spec":{"f:containers":
                {"k:{\"name\":\"a\"}":{".":{},"f:name":{},"f:image":{}}}}}}}})
    );
}

#[test]
fn a_second_identical_apply_changes_nothing_not_even_the_time() {
    let first = applied(None, template(json!([container("a", "1")])), "me", T0).expect("applies");
    let second =
        applied(Some(&first), template(json!([container("a", "1")])), "me", T1).expect("applies");
    assert_eq!(first, second);
}

#[test]
fn a_changed_value_of_another_applier_is_a_conflict_unless_forced() {
    let live = applied(None, json!({"replicas": 1}), "one", T0).expect("applies");
    let error = applied(Some(&live), json!({"replicas": 2}), "two", T1).expect_err("owned by one");
    assert_eq!(
        error.to_string(),
        "Apply failed with 1 conflict: conflict with \"one\": .spec.replicas"
    );
    let forced =
        apply(Some(&live), &deployment(json!({"replicas": 2})), &by("two", T1), true, schema())
            .expect("forced");
    assert_eq!(forced["spec"]["replicas"], 2);
    assert_eq!(fields(&forced, "one"), Value::Null);
    assert_eq!(fields(&forced, "two"), json!({"f:spec":{"f:replicas":{}}}));
}

#[test]
fn the_same_value_is_shared_and_stays_until_its_last_owner_drops_it() {
    let live = applied(None, json!({"replicas": 1}), "one", T0).expect("applies");
    let shared = applied(Some(&live), json!({"replicas": 1}), "two", T1).expect("same value");
    assert_eq!(fields(&shared, "one"), fields(&shared, "two"));
    let dropped = applied(Some(&shared), json!({"paused": true}), "one", T1).expect("applies");
    assert_eq!(dropped["spec"], json!({"replicas": 1, "paused": true}));
    let gone = applied(Some(&dropped), json!({}), "two", T1).expect("applies");
    assert_eq!(gone["spec"], json!({"paused": true}));
}

#[test]
fn several_conflicts_are_listed_by_manager_with_the_updaters_version_and_time() {
    let mut live = deployment(json!({"replicas": 1, "paused": true}));
    update(None, &mut live, &by("kubectl", T0), schema());
    let error = applied(Some(&live), json!({"replicas": 2, "paused": false}), "me", T1)
        .expect_err("conflicts");
    assert_eq!(
        error.to_string(),
        format!(
            "Apply failed with 2 conflicts: conflicts with \"kubectl\" using apps/v1 at {T0}:\n- .spec.paused\n- .spec.replicas"
        )
    );
    let ApplyError::Conflicts(conflicts) = error else { panic!("a conflict") };
    assert_eq!(
        conflicts.0[0].message(),
        format!("conflict with \"kubectl\" using apps/v1 at {T0}")
    );
}

#[test]
fn a_dropped_list_item_goes_and_others_keep_their_order() {
    let both = json!([container("a", "1"), container("b", "1")]);
    let live = applied(None, template(both), "me", T0).expect("applies");
    let other = applied(Some(&live), template(json!([container("side", "1")])), "mesh", T0)
        .expect("applies");
    let after =
        applied(Some(&other), template(json!([container("b", "2")])), "me", T1).expect("applies");
    assert_eq!(
        after["spec"]["template"]["spec"]["containers"],
        json!([container("b", "2"), container("side", "1")])
    );
}

#[test]
fn an_item_keeps_the_defaults_that_nobody_owns() {
    let mut live =
        applied(None, template(json!([container("a", "1")])), "me", T0).expect("applies");
    live["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] = "Always".into();
    let after =
        applied(Some(&live), template(json!([container("a", "2")])), "me", T1).expect("applies");
    assert_eq!(
        after["spec"]["template"]["spec"]["containers"],
        json!([{"name":"a","image":"2","imagePullPolicy":"Always"}])
    );
}

#[test]
fn ports_are_identified_with_the_default_protocol() {
    let with = |ports: Value| template(json!([{"name":"a","ports": ports}]));
    let live = applied(None, with(json!([{"containerPort":80}])), "me", T0).expect("applies");
    let keys = &fields(&live, "me")["f:spec"]["f:template"]["f:spec"]["f:containers"]["k:{\"name\":\"a\"}"];
    assert_eq!(
        keys["f:ports"],
        json!({"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}})
    );
    let after =
        applied(Some(&live), with(json!([{"containerPort":80,"protocol":"UDP"}])), "me", T1);
    assert_eq!(
        after.expect("applies")["spec"]["template"]["spec"]["containers"][0]["ports"],
        json!([{"containerPort":80,"protocol":"UDP"}])
    );
}

#[test]
fn atomic_values_are_owned_as_one() {
    let selector = json!({"selector":{"matchLabels":{"a":"b"}}});
    let live = applied(None, selector, "me", T0).expect("applies");
    assert_eq!(fields(&live, "me"), json!({"f:spec":{"f:selector":{}}}));
    let error =
        applied(Some(&live), json!({"selector":{"matchLabels":{"a":"b","c":"d"}}}), "you", T1);
    assert_eq!(
        error.expect_err("owned").to_string(),
        "Apply failed with 1 conflict: conflict with \"me\": .spec.selector"
    );
}

#[test]
fn labels_and_finalizers_of_two_appliers_live_side_by_side() {
    let with = |metadata: Value| {
        let mut object = deployment(json!({}));
        merge_into(&mut object["metadata"], metadata);
        object
    };
    let live = apply(
        None,
        &with(json!({"labels":{"a":"1"},"finalizers":["x/a"]})),
        &by("one", T0),
        false,
        schema(),
    )
    .expect("applies");
    let live = apply(
        Some(&live),
        &with(json!({"labels":{"b":"2"},"finalizers":["x/b"]})),
        &by("two", T0),
        false,
        schema(),
    )
    .expect("applies");
    assert_eq!(live["metadata"]["labels"], json!({"a":"1","b":"2"}));
    assert_eq!(live["metadata"]["finalizers"], json!(["x/a", "x/b"]));
    let live =
        apply(Some(&live), &with(json!({})), &by("one", T1), false, schema()).expect("applies");
    assert_eq!(live["metadata"]["labels"], json!({"b":"2"}));
    assert_eq!(live["metadata"]["finalizers"], json!(["x/b"]));
    assert_eq!(live["metadata"]["name"], "web");
}

#[test]
fn who_drops_the_last_label_takes_nothing_else_of_the_metadata_along() {
    let with = |metadata: Value| {
        let mut object = deployment(json!({}));
        merge_into(&mut object["metadata"], metadata);
        object
    };
    let write = |live: Option<&Value>, object: &Value| {
        apply(live, object, &by("me", T0), false, schema()).expect("applies")
    };
    let mut live = write(None, &with(json!({"labels":{"a":"1"}})));
    // The server's, and nobody's.
    live["metadata"]["ownerReferences"] = json!([{"uid":"u"}]);
    let live = write(Some(&live), &with(json!({})));
    assert_eq!(live["metadata"]["name"], "web");
    assert_eq!(live["metadata"]["ownerReferences"], json!([{"uid":"u"}]));
    assert_eq!(live["metadata"].get("labels"), None);
}

fn merge_into(target: &mut Value, fields: Value) {
    crate::merge_patch(target, &fields);
}

#[test]
fn an_update_tracks_what_it_changed_and_takes_it_from_others() {
    let mut live = deployment(
        json!({"replicas": 1, "paused": true, "strategy": {"rollingUpdate": {"maxSurge": 1}}}),
    );
    live["metadata"]["labels"] = json!({"a":"1"});
    update(None, &mut live, &by("create", T0), schema());
    assert_eq!(
        fields(&live, "create"),
        json!({"f:metadata":{"f:labels":{".":{},"f:a":{}}},
            "f:spec":{"f:replicas":{},"f:paused":{},"f:strategy":{"f:rollingUpdate":{".":{},"f:maxSurge":{}}}}})
    );
    let mut next = live.clone();
    next["spec"]["replicas"] = 3.into();
    if let Value::Object(spec) = &mut next["spec"] {
        spec.remove("paused");
    }
    update(Some(&live), &mut next, &by("scale", T1), schema());
    assert_eq!(fields(&next, "scale"), json!({"f:spec":{"f:replicas":{}}}));
    let create = fields(&next, "create");
    assert_eq!(create["f:spec"].get("f:replicas"), None);
    assert_eq!(create["f:spec"].get("f:paused"), None);
    let mut again = next.clone();
    update(Some(&next), &mut again, &by("scale", "2027-01-01T00:00:00Z"), schema());
    assert_eq!(again, next);
}

#[test]
fn status_has_its_own_manager_and_the_main_door_cannot_own_it() {
    let mut live = deployment(json!({"replicas": 1}));
    live["status"] = json!({"replicas": 1});
    let mut next = live.clone();
    update(None, &mut next, &by("me", T0), schema());
    assert_eq!(fields(&next, "me"), json!({"f:spec":{"f:replicas":{}}}));
    let status =
        Writer { manager: "me", subresource: "status", reset: Reset::AllButStatus, ..by("me", T0) };
    let mut with_status = next.clone();
    with_status["status"]["readyReplicas"] = 1.into();
    update(Some(&next), &mut with_status, &status, schema());
    let entries = with_status["metadata"]["managedFields"].as_array().expect("entries");
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[1]["subresource"], "status");
    assert_eq!(entries[1]["fieldsV1"], json!({"f:status":{"f:readyReplicas":{}}}));
    // Applying through the status door keeps the rest of the object.
    let mut config = deployment(json!({"replicas": 9}));
    config["status"] = json!({"availableReplicas": 1});
    let after = apply(Some(&with_status), &config, &status, false, schema()).expect("applies");
    assert_eq!(after["spec"], json!({"replicas": 1}));
    assert_eq!(after["status"], json!({"replicas": 1, "readyReplicas": 1, "availableReplicas": 1}));
}

#[test]
fn what_was_there_before_the_first_apply_has_an_owner() {
    let live = deployment(json!({"replicas": 1}));
    let error = applied(Some(&live), json!({"replicas": 2}), "me", T0).expect_err("owned");
    assert_eq!(
        error.to_string(),
        format!(
            "Apply failed with 1 conflict: conflict with \"before-first-apply\" using apps/v1 at {T0}: .spec.replicas"
        )
    );
}

#[test]
fn a_configuration_outside_the_schema_is_refused() {
    let refuse = |spec: Value| check(&deployment(spec), schema()).expect_err("refused").to_string();
    assert_eq!(refuse(json!({"nonsense": 1})), ".spec.nonsense: field not declared in schema");
    assert_eq!(
        refuse(template(json!([container("a", "1"), container("a", "2")]))),
        ".spec.template.spec.containers: duplicate entries for key [name=\"a\"]"
    );
    assert!(refuse(json!({"template": []})).starts_with(".spec.template: expected map"));
    assert_eq!(
        refuse(json!({"replicas": "3", "paused": 1, "strategy": {"type": {}}})),
        "errors:\n  .spec.paused: expected boolean, got &{1}\n  .spec.replicas: expected numeric (int or float), got string\n  .spec.strategy.type: expected string, got &value.valueUnstructured{Value:{}}"
    );
    // In lists, too: those with keys and those that are one value.
    let mut inside = container("a", "1");
    inside["nonsense"] = 1.into();
    inside["command"] = json!(["x", 1]);
    assert_eq!(
        refuse(template(json!([inside]))),
        "errors:\n  .spec.template.spec.containers[name=\"a\"].command[1]: expected string, got &value.valueUnstructured{Value:1}\n  .spec.template.spec.containers[name=\"a\"].nonsense: field not declared in schema"
    );
    assert_eq!(check(&deployment(json!({"replicas": null})), schema()), Ok(()));
    for managers in [json!([{}]), json!([])] {
        let mut config = deployment(json!({}));
        config["metadata"]["managedFields"] = managers;
        assert_eq!(
            apply(None, &config, &by("me", T0), false, schema()),
            Err(ApplyError::ManagedFields)
        );
    }
}

#[test]
fn a_single_empty_entry_forgets_the_managers_and_given_entries_replace_them() {
    let mut live = deployment(json!({"replicas": 1}));
    update(None, &mut live, &by("create", T0), schema());
    let mut next = live.clone();
    next["metadata"]["managedFields"] = json!([{}]);
    update(Some(&live), &mut next, &by("me", T1), schema());
    assert_eq!(next["metadata"].get("managedFields"), None);
    let mut moved = live.clone();
    moved["metadata"]["managedFields"][0]["manager"] = "renamed".into();
    update(Some(&live), &mut moved, &by("me", T1), schema());
    assert_eq!(fields(&moved, "renamed"), json!({"f:spec":{"f:replicas":{}}}));
}

#[test]
fn the_list_of_updaters_stays_bounded() {
    let mut live = deployment(json!({}));
    for n in 0..15 {
        let mut next = live.clone();
        next["metadata"]["annotations"][format!("a{n}")] = "x".into();
        let (manager, now) = (format!("m{n}"), format!("2026-01-01T00:00:{n:02}Z"));
        update(Some(&live), &mut next, &by(&manager, &now), schema());
        live = next;
    }
    let entries = live["metadata"]["managedFields"].as_array().expect("entries");
    assert_eq!(entries.len(), 10);
    assert_eq!(entries[0]["manager"], "ancient-changes");
}

#[test]
fn a_list_that_is_applied_empty_is_empty_at_once_and_stays() {
    let finalizers = |list: Value| {
        let mut object = deployment(json!({}));
        object["metadata"]["finalizers"] = list;
        object
    };
    let write = |live: Option<&Value>, object: &Value, now| {
        apply(live, object, &by("me", now), false, schema()).expect("applies")
    };
    let live = write(None, &finalizers(json!(["a/b"])), T0);
    let live = write(Some(&live), &finalizers(json!([])), T0);
    assert_eq!(live["metadata"]["finalizers"], json!([]));
    assert_eq!(write(Some(&live), &finalizers(json!([])), T1), live);
}

#[test]
fn times_stay_with_what_has_not_changed() {
    let old = applied(None, json!({"replicas": 1}), "one", T0).expect("created");
    let old =
        applied(Some(&old), json!({"replicas": 1, "paused": true}), "two", T0).expect("shared");
    let mut again = old.clone();
    let managers = again["metadata"]["managedFields"].as_array_mut().expect("managers");
    managers[0]["time"] = T1.into();
    managers.reverse();
    let later = again.clone();
    keep_times(&mut again, &old);
    assert_eq!(again, old);
    for (pointer, value) in [
        ("/spec/replicas", json!(2)),
        ("/metadata/name", json!("other")),
        ("/metadata/managedFields/0/manager", json!("three")),
        ("/metadata/managedFields/0/fieldsV1", json!({"f:spec": {}})),
    ] {
        let mut changed = later.clone();
        *changed.pointer_mut(pointer).expect(pointer) = value;
        let kept = changed.clone();
        keep_times(&mut changed, &old);
        assert_eq!(changed, kept, "{pointer}");
    }
}
