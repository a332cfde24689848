//! Strategic merge patch: the way that kubectl describes leads where it says, and without directives a patch lays its
//! table over that of the document.

use curtain_schema::{Node, builtin};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::pods::{flat, key_of, pods, way};
use super::{Verdict, holds};
use crate::{StrategicError, strategic_merge};

fn pod() -> Node<'static> {
    builtin::root("", "v1", "Pod").expect("a built-in kind")
}

fn merged(mut document: Value, patch: &Value) -> Result<Value, StrategicError> {
    strategic_merge(&mut document, patch, pod()).map(|()| document)
}

fn fields(value: &Value) -> &Map<String, Value> {
    value.as_object().expect("an object")
}

#[test]
fn the_way_that_kubectl_describes_leads_where_it_says_and_only_once() {
    holds(1500, &(pods(), pods()), |(from, to)| {
        let way = Value::Object(way(fields(&from), fields(&to)));
        prop_assert_eq!(merged(from.clone(), &way), Ok(to.clone()), "{}", way);
        prop_assert_eq!(merged(to.clone(), &way), Ok(to), "{}", way);
        prop_assert_eq!(merged(from.clone(), &json!({})), Ok(from));
        Ok(())
    });
}

/// Lists that merge: theirs in their order, and ours in ours.
fn in_order(name: &str, before: Option<&Value>, patch: Option<&Value>, after: &Value) -> Verdict {
    match after {
        Value::Object(fields) => {
            for (name, value) in fields {
                let below =
                    |value: Option<&Value>| value.and_then(|value| value.get(name)).cloned();
                in_order(name, below(before).as_ref(), below(patch).as_ref(), value)?;
            }
        }
        Value::Array(items) if key_of(name).is_some() => {
            let key = key_of(name).unwrap_or_default();
            let keys = |list: Option<&Value>| {
                let items = list.and_then(Value::as_array).cloned().unwrap_or_default();
                items.into_iter().map(|item| item[key].clone()).collect::<Vec<_>>()
            };
            let (ours, theirs) = (keys(before), keys(patch));
            let all: Vec<Value> = items.iter().map(|item| item[key].clone()).collect();
            let of = |list: &[Value], but: &[Value]| {
                let wanted = all.iter().filter(|key| list.contains(key) && !but.contains(key));
                wanted.cloned().collect::<Vec<_>>()
            };
            prop_assert_eq!(of(&theirs, &[]), theirs.clone(), "the patch's order of {}", name);
            let rest: Vec<_> = ours.iter().filter(|key| !theirs.contains(key)).cloned().collect();
            prop_assert_eq!(of(&ours, &theirs), rest, "the order of {}", name);
        }
        _ => {}
    }
    Ok(())
}

#[test]
fn without_directives_a_patch_is_laid_over_the_document() {
    holds(1500, &(pods(), pods()), |(document, patch)| {
        let mut expected = flat(&document);
        expected.extend(flat(&patch));
        let once = merged(document.clone(), &patch).expect("applies");
        prop_assert_eq!(flat(&once), expected);
        in_order("", Some(&document), Some(&patch), &once)?;
        prop_assert_eq!(merged(once.clone(), &patch), Ok(once));
        Ok(())
    });
}

#[test]
fn patches_of_different_places_may_come_in_any_order() {
    holds(600, &(pods(), pods(), pods()), |(document, one, two)| {
        let (first, second) = (flat(&one), flat(&two));
        prop_assume!(first.iter().all(|(path, value)| second.get(path).is_none_or(|v| v == value)));
        let both = |a: &Value, b: &Value| {
            merged(document.clone(), a).and_then(|once| merged(once, b)).map(|both| flat(&both))
        };
        prop_assert_eq!(both(&one, &two), both(&two, &one));
        Ok(())
    });
}

#[test]
fn directives_do_what_they_say() {
    let place = select(&["/metadata/labels", "/spec/nodeSelector", "/spec"][..]);
    holds(800, &(pods(), pods(), place), |(document, patch, place)| {
        let nest = |inside: Value| {
            let steps = place.rsplit('/').filter(|step| !step.is_empty());
            steps.fold(inside, |inside, step| json!({ step: inside }))
        };
        let with = |directive: &str, mut inside: Value| {
            inside["$patch"] = directive.into();
            merged(document.clone(), &nest(inside)).map(|after| flat(&after))
        };
        let inside = patch.pointer(place).cloned().unwrap_or_else(|| json!({}));
        let under = |path: &str| path.starts_with(&place.replace('/', "."));
        let mut outside = flat(&document);
        outside.retain(|path, _| !under(path));
        prop_assert_eq!(with("delete", json!({})), Ok(outside.clone()), "delete");
        outside.extend(flat(&nest(inside.clone())));
        prop_assert_eq!(with("replace", inside.clone()), Ok(outside), "replace");
        let plain = merged(document.clone(), &nest(inside.clone())).map(|after| flat(&after));
        prop_assert_eq!(with("merge", inside), plain, "merge");
        Ok(())
    });
}

#[test]
fn directives_of_lists_do_what_they_say() {
    let pod = |containers: Value| json!({"spec": {"containers": containers}});
    holds(800, &(pods(), pods(), select(&["a", "b", "c"][..])), |(document, patch, name)| {
        let containers = |pod: &Value| {
            pod.pointer("/spec/containers").and_then(Value::as_array).cloned().unwrap_or_default()
        };
        let (ours, theirs) = (containers(&document), containers(&patch));
        prop_assume!(document.pointer("/spec/containers").is_some());
        let delete = pod(json!([{"$patch": "delete", "name": name}]));
        let left: Vec<_> = ours.iter().filter(|item| item["name"] != name).cloned().collect();
        let after = merged(document.clone(), &delete).expect("applies");
        prop_assert_eq!(containers(&after), left, "delete");
        let mut items = theirs.clone();
        items.push(json!({"$patch": "replace"}));
        let after = merged(document.clone(), &pod(items.into())).expect("applies");
        prop_assert_eq!(containers(&after), theirs, "replace");
        let mut order: Vec<_> = ours.iter().map(|item| json!({"name": item["name"]})).collect();
        order.reverse();
        let order = json!({"spec": {"$setElementOrder/containers": order}});
        let after = merged(document.clone(), &order).expect("applies");
        let reversed: Vec<_> = ours.into_iter().rev().collect();
        prop_assert_eq!(containers(&after), reversed, "order");
        Ok(())
    });
}

#[test]
fn fields_that_are_not_to_be_retained_go() {
    holds(500, &(pods(), pods()), |(from, to)| {
        let volumes = |pod: &Value| pod.pointer("/spec/volumes").cloned().unwrap_or_default();
        let (ours, theirs) = (volumes(&from), volumes(&to));
        for volume in theirs.as_array().into_iter().flatten() {
            let mut patch = volume.clone();
            patch["$retainKeys"] = fields(volume).keys().cloned().collect::<Vec<_>>().into();
            let patch = json!({"spec": {"volumes": [patch]}});
            let after = volumes(&merged(from.clone(), &patch).expect("applies"));
            for other in ours.as_array().into_iter().flatten() {
                let is_it = other["name"] == volume["name"];
                let expected = if is_it { volume } else { other };
                let found =
                    after.as_array().into_iter().flatten().find(|one| one["name"] == other["name"]);
                prop_assert_eq!(found, Some(expected));
            }
        }
        Ok(())
    });
}
