//! Judging a change by what it changes.
//!
//! Of a release binding, a part of the change may be granted alone, or be forbidden alone: then what counts is the
//! difference between what is there and what shall be there.

use serde_json::{Value, json};

use super::{Ask, Error, Kind, Object, Objects, Verb, comeback::release_of};
use crate::{
    authz::{Decision, GRANTED_BY, Question, RESTART, ROLLBACK, SCALE, parts},
    identity::Caller,
};
use curtain_platform::types::labels::RESTARTED_AT;

impl Objects {
    /// Whether who asks may make `after` of `before`, an object of `kind` called `name`. Without `after`, the change
    /// makes no sense, and only who may make any gets to know why.
    pub(super) async fn judge(
        &self,
        ask: Ask<'_>,
        (kind, namespace, name): (&'static Kind, &str, &str),
        before: &Object,
        after: Option<&Object>,
    ) -> Result<(), Error> {
        let at = kind.place_of(namespace, before);
        let attributes = kind.attributes(namespace, &before.data, Verb::Update);
        let (whole, object) = (kind.action(Verb::Update), kind.object(name));
        let question = |action| Question { action, at: &at, attributes: &attributes };
        let decide = |action| self.authorizer.decide(ask.caller.entitlements(), question(action));
        let (mut part, mut action) = (None, whole.as_str());
        if let Some(after) = after {
            let forbidden = self.forbidden(ask.caller, question(&whole), before, after).await;
            if let Some(forbidden) = forbidden {
                action = forbidden;
            } else if matches!(decide(&whole), Decision::Missing { .. }) {
                part = self.part(namespace, before, after).await;
                action = part.filter(|part| decide(part).is_allowed()).unwrap_or(&whole);
            }
        }
        let judged = self.authorizer.authorize(ask.caller, ask.via, question(action), &object);
        Ok(judged.map_err(|denial| match part {
            Some(part) => Box::new(denial.of_part(part)),
            None => denial,
        })?)
    }

    /// The part of an update that makes `after` of the release binding `before`, if it is no more than one.
    pub(crate) async fn part(
        &self,
        namespace: &str,
        before: &Object,
        after: &Object,
    ) -> Option<&'static str> {
        let part = part(before, after)?;
        (part != ROLLBACK || self.goes_back(namespace, before, after).await).then_some(part)
    }

    /// Which part of the update that `whole` asks about is forbidden to `caller`, and is in what makes `after` of the
    /// release binding `before`: it is not done together with others either, and no grant would help. Nothing if the
    /// whole is forbidden.
    pub(crate) async fn forbidden(
        &self,
        caller: &Caller,
        whole: Question<'_>,
        before: &Object,
        after: &Object,
    ) -> Option<&'static str> {
        let forbids = |action| {
            let question = Question { action, ..whole };
            self.authorizer.decide(caller.entitlements(), question).is_forbidden()
        };
        if forbids(whole.action) {
            return None;
        }
        for part in parts(whole.action).iter().copied().filter(|part| forbids(part)) {
            if self.touches(&whole.at.namespace, part, before, after).await {
                return Some(part);
            }
        }
        None
    }

    /// Whether what makes `after` of the release binding `before` has `part` of an update in it, whatever else there is.
    async fn touches(&self, namespace: &str, part: &str, before: &Object, after: &Object) -> bool {
        if part != ROLLBACK {
            return touches(part, before, after);
        }
        // Where the order is not known, the one who forbids it is right.
        release_of(before) != release_of(after)
            && self.steps_back(namespace, before, after).await != Some(false)
    }
}

/// Whether updates of `kind` are judged by what they change.
pub(super) fn has_parts(kind: &Kind) -> bool {
    kind.verbs.contains(&Verb::Update) && !parts(&kind.action(Verb::Update)).is_empty()
}

/// As [`Objects::part`]; whether another release is an earlier one is not known here.
fn part(before: &Object, after: &Object) -> Option<&'static str> {
    let mut rest = [before, after].map(|object| {
        let annotations = json!(object.metadata.annotations.clone().unwrap_or_default());
        let labels = json!(object.metadata.labels.clone().unwrap_or_default());
        json!({"annotations": annotations, "labels": labels, "spec": object.data["spec"]})
    });
    let whole = rest.clone();
    for one in &mut rest {
        take(one, &["annotations", RESTARTED_AT]);
    }
    let restarts = rest != whole && rest[0] == rest[1];
    rest.clone_from(&whole);
    for one in &mut rest {
        take(one, &["spec", "componentTypeEnvironmentConfigs", "replicas"]);
        // The first setting makes the member that holds it.
        let settings = &mut one["spec"]["componentTypeEnvironmentConfigs"];
        if settings.is_null() {
            *settings = json!({});
        }
    }
    let scales = whole[0] != whole[1] && rest[0] == rest[1];
    rest.clone_from(&whole);
    for one in &mut rest {
        take(one, &["spec", "releaseName"]);
    }
    let moves = whole[0] != whole[1] && rest[0] == rest[1];
    match (whole[0] != whole[1], restarts, scales, moves) {
        (true, true, ..) => Some(RESTART),
        (true, _, true, _) => Some(SCALE),
        (true, _, _, true) => Some(ROLLBACK),
        _ => None,
    }
}

/// As [`Objects::touches`], for a part that the two objects alone tell of.
fn touches(part: &str, before: &Object, after: &Object) -> bool {
    let restarted = |object: &Object| {
        object.metadata.annotations.as_ref().and_then(|all| all.get(RESTARTED_AT)).cloned()
    };
    let replicas = |object: &Object| {
        object.data["spec"]["componentTypeEnvironmentConfigs"]["replicas"].clone()
    };
    match part {
        RESTART => restarted(before) != restarted(after),
        SCALE => replicas(before) != replicas(after),
        _ => false,
    }
}

/// Removes the member at `path`.
fn take(value: &mut Value, path: &[&str]) {
    let [parents @ .., last] = path else { return };
    let mut place = value;
    for key in parents {
        let Some(next) = place.get_mut(*key) else { return };
        place = next;
    }
    if let Value::Object(members) = place {
        members.remove(*last);
    }
}

/// Whether objects of `kind` say what somebody may do.
pub(super) fn is_binding(kind: &Kind) -> bool {
    matches!(kind.kind, "AuthzRoleBinding" | "ClusterAuthzRoleBinding")
}

/// Notes in the binding `object` that `caller` grants it, whatever a request says.
pub(super) fn sign(object: &mut Object, caller: &Caller) {
    let annotations = object.metadata.annotations.get_or_insert_default();
    annotations.insert(GRANTED_BY.to_owned(), caller.subject.clone());
}

/// Leaves in `object` who granted it as `before` has it.
pub(super) fn keep_signature(object: &mut Object, before: &Object) {
    let signed = before.metadata.annotations.as_ref().and_then(|all| all.get(GRANTED_BY));
    match (signed, &mut object.metadata.annotations) {
        (Some(signed), annotations) => {
            annotations.get_or_insert_default().insert(GRANTED_BY.to_owned(), signed.clone());
        }
        (None, Some(annotations)) => {
            annotations.remove(GRANTED_BY);
        }
        (None, None) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::kind;

    fn binding() -> Object {
        let mut object = Object::new("web-development", &kind("ReleaseBinding").resource());
        object.data = json!({"spec": {
            "environment": "development",
            "releaseName": "web-2",
            "componentTypeEnvironmentConfigs": {"replicas": 1, "cpu": "1"},
        }});
        object
    }

    fn after(change: impl FnOnce(&mut Object)) -> Option<&'static str> {
        let mut object = binding();
        change(&mut object);
        part(&binding(), &object)
    }

    #[test]
    fn a_change_is_a_part_when_it_is_that_and_nothing_else() {
        let annotate = |object: &mut Object, key: &str| {
            let annotations = object.metadata.annotations.get_or_insert_default();
            annotations.insert(key.to_owned(), "now".to_owned());
        };
        let settings = |object: &mut Object, value: Value| {
            object.data["spec"]["componentTypeEnvironmentConfigs"] = value;
        };
        assert_eq!(after(|_| {}), None, "no change is no part");
        assert_eq!(after(|o| annotate(o, RESTARTED_AT)), Some(RESTART));
        assert_eq!(after(|o| annotate(o, "other")), None);
        assert_eq!(after(|o| settings(o, json!({"replicas": 3, "cpu": "1"}))), Some(SCALE));
        assert_eq!(after(|o| settings(o, json!({"cpu": "1"}))), Some(SCALE));
        assert_eq!(after(|o| settings(o, json!({"replicas": 3}))), None, "cpu is gone");
        assert_eq!(after(|o| settings(o, json!({"replicas": 3, "cpu": "2"}))), None);
        assert_eq!(after(|o| o.data["spec"]["releaseName"] = json!("web-1")), Some(ROLLBACK));
        assert_eq!(after(|o| o.data["spec"]["state"] = json!("Undeploy")), None);
        assert_eq!(after(|o| o.data["spec"]["environment"] = json!("production")), None);
        let both = |o: &mut Object| {
            annotate(o, RESTARTED_AT);
            o.data["spec"]["releaseName"] = json!("web-1");
        };
        assert_eq!(after(both), None);
        let label = |o: &mut Object| {
            o.metadata.labels.get_or_insert_default().insert("a".into(), "b".into());
            o.data["spec"]["releaseName"] = json!("web-1");
        };
        assert_eq!(after(label), None);
    }

    #[test]
    fn a_change_touches_a_part_whatever_else_it_changes() {
        let mut both = binding();
        both.data["spec"]["state"] = json!("Undeploy");
        assert!(!touches(SCALE, &binding(), &both) && !touches(RESTART, &binding(), &both));
        both.data["spec"]["componentTypeEnvironmentConfigs"]["replicas"] = json!(0);
        assert!(touches(SCALE, &binding(), &both) && !touches(RESTART, &binding(), &both));
        let annotations = both.metadata.annotations.get_or_insert_default();
        annotations.insert(RESTARTED_AT.to_owned(), "now".to_owned());
        assert!(touches(RESTART, &binding(), &both));
    }

    #[test]
    fn the_first_number_of_replicas_is_scaling_too() {
        let mut bare = binding();
        take(&mut bare.data, &["spec", "componentTypeEnvironmentConfigs"]);
        let mut scaled = bare.clone();
        scaled.data["spec"]["componentTypeEnvironmentConfigs"] = json!({"replicas": 2});
        assert_eq!(part(&bare, &scaled), Some(SCALE));
    }
}
