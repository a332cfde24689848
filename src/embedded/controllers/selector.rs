//! Label selectors of workloads and Services, and who controls what.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use kube::Resource;

type Labels = BTreeMap<String, String>;

/// Whether labels match a selector. An empty selector matches everything; a malformed one nothing.
pub(crate) fn matches(selector: &LabelSelector, labels: Option<&Labels>) -> bool {
    let empty = Labels::new();
    let labels = labels.unwrap_or(&empty);
    let equal = selector.match_labels.iter().flatten().all(|(k, v)| labels.get(k) == Some(v));
    equal
        && selector.match_expressions.iter().flatten().all(|requirement| {
            let value = labels.get(&requirement.key);
            let listed = |value: &String| requirement.values.iter().flatten().any(|v| v == value);
            match requirement.operator.as_str() {
                "In" => value.is_some_and(listed),
                "NotIn" => !value.is_some_and(listed),
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}

/// Whether a selector says nothing, and so would select everything.
pub(super) fn is_empty(selector: &LabelSelector) -> bool {
    selector.match_labels.as_ref().is_none_or(BTreeMap::is_empty)
        && selector.match_expressions.as_ref().is_none_or(Vec::is_empty)
}

/// Whether both have the same of these labels, as far as the first has them.
pub(super) fn agree(keys: Option<&[String]>, one: &ObjectMeta, other: &ObjectMeta) -> bool {
    valued(keys, one).all(|(key, value)| label(other, key) == Some(value))
}

/// Whether they have none of these labels in common.
pub(super) fn differ(keys: Option<&[String]>, one: &ObjectMeta, other: &ObjectMeta) -> bool {
    valued(keys, one).all(|(key, value)| label(other, key) != Some(value))
}

fn valued<'a>(
    keys: Option<&'a [String]>,
    of: &'a ObjectMeta,
) -> impl Iterator<Item = (&'a String, &'a String)> {
    keys.unwrap_or_default().iter().filter_map(|key| Some((key, label(of, key)?)))
}

fn label<'a>(of: &'a ObjectMeta, key: &str) -> Option<&'a String> {
    of.labels.as_ref()?.get(key)
}

/// The reference to the object's controller.
pub(super) fn controller(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

/// Whether the object with this uid controls it.
pub(super) fn controlled_by(meta: &ObjectMeta, uid: Option<&str>) -> bool {
    uid.is_some() && controller(meta).map(|owner| owner.uid.as_str()) == uid
}

/// A controller's reference in what it controls. Deleting it in the foreground waits for that.
pub(super) fn owner_reference<K: Resource<DynamicType = ()>>(owner: &K) -> Option<OwnerReference> {
    let mut reference = owner.controller_owner_ref(&())?;
    reference.block_owner_deletion = Some(true);
    Some(reference)
}

/// What a controller does about an object that it might control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// It controls it.
    Keep,
    /// It should control it.
    Adopt,
    /// It controls it, but the selector no longer matches.
    Release,
    /// It has nothing to do with it.
    Ignore,
}

/// Decides about one object. `me` is the claimer's uid, `deleting` whether the claimer is being deleted.
pub(super) fn claim(
    me: &str,
    deleting: bool,
    selector: &LabelSelector,
    object: &ObjectMeta,
) -> Claim {
    let matching = matches(selector, object.labels.as_ref());
    match controller(object) {
        Some(owner) if owner.uid != me => Claim::Ignore,
        Some(_) if matching => Claim::Keep,
        Some(_) if deleting => Claim::Ignore,
        Some(_) => Claim::Release,
        None if matching && !deleting && object.deletion_timestamp.is_none() => Claim::Adopt,
        None => Claim::Ignore,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn selector(value: serde_json::Value) -> LabelSelector {
        serde_json::from_value(value).expect("a selector")
    }

    fn meta(value: serde_json::Value) -> ObjectMeta {
        serde_json::from_value(value).expect("metadata")
    }

    #[test]
    fn selectors_match_as_documented() {
        let labels = meta(json!({"labels":{"app":"web","tier":"front"}})).labels;
        let cases = [
            (json!({}), true),
            (json!({"matchLabels":{"app":"web"}}), true),
            (json!({"matchLabels":{"app":"db"}}), false),
            (
                json!({"matchExpressions":[{"key":"app","operator":"In","values":["web","x"]}]}),
                true,
            ),
            (
                json!({"matchExpressions":[{"key":"app","operator":"NotIn","values":["web"]}]}),
                false,
            ),
            (
                json!({"matchExpressions":[{"key":"none","operator":"NotIn","values":["web"]}]}),
                true,
            ),
            (json!({"matchExpressions":[{"key":"tier","operator":"Exists"}]}), true),
            (json!({"matchExpressions":[{"key":"tier","operator":"DoesNotExist"}]}), false),
            (json!({"matchExpressions":[{"key":"tier","operator":"Odd"}]}), false),
        ];
        for (value, expected) in cases {
            assert_eq!(matches(&selector(value.clone()), labels.as_ref()), expected, "{value}");
        }
    }

    #[test]
    fn labels_are_compared_as_far_as_the_first_has_them() {
        let one = meta(json!({"labels": {"v": "1", "x": "2"}}));
        for (keys, labels, same, other) in [
            (vec!["v"], json!({"v": "1"}), true, false),
            (vec!["v"], json!({"v": "2"}), false, true),
            (vec!["v"], json!({}), false, true),
            (vec!["v", "x"], json!({"v": "1", "x": "1"}), false, false),
            (vec!["none"], json!({"none": "1"}), true, true),
        ] {
            let keys: Vec<String> = keys.into_iter().map(str::to_owned).collect();
            let found = meta(json!({"labels": labels}));
            let both = (agree(Some(&keys), &one, &found), differ(Some(&keys), &one, &found));
            assert_eq!(both, (same, other), "{keys:?} {labels}");
        }
        assert!(agree(None, &one, &one) && differ(None, &one, &one));
    }

    #[test]
    fn claims_adopt_orphans_and_release_strangers() {
        let selector = selector(json!({"matchLabels":{"a":"b"}}));
        let owned = |uid: &str| json!([{"apiVersion":"v1","kind":"X","name":"x","uid":uid,"controller":true}]);
        let cases = [
            (json!({"labels":{"a":"b"}}), Claim::Adopt),
            (json!({"labels":{"a":"b"},"deletionTimestamp":"2026-01-01T00:00:00Z"}), Claim::Ignore),
            (json!({"labels":{"a":"c"}}), Claim::Ignore),
            (json!({"labels":{"a":"b"},"ownerReferences":owned("me")}), Claim::Keep),
            (json!({"labels":{"a":"c"},"ownerReferences":owned("me")}), Claim::Release),
            (json!({"labels":{"a":"b"},"ownerReferences":owned("you")}), Claim::Ignore),
        ];
        for (object, expected) in cases {
            assert_eq!(claim("me", false, &selector, &meta(object.clone())), expected, "{object}");
        }
        assert_eq!(claim("me", true, &selector, &meta(json!({"labels":{"a":"b"}}))), Claim::Ignore);
    }
}
