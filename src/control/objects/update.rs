//! Changing objects.

use kube::api::PostParams;
use serde_json::{Value, json};

use super::{
    Error, Kind, Object, Objects, Place, Verb,
    create::{FIELD_MANAGER, label, parse},
    judge::{has_parts, is_binding, keep_signature, sign},
    store::{Ask, check_name, check_namespace},
    unknown::refuse_in_spec,
    view::{DESCRIPTION, DISPLAY_NAME, text_at},
};
use crate::{
    audit::{delta, trail},
    authz::described,
};

/// How often a change is worked out anew when somebody else was faster.
const TRIES: usize = 5;

impl Objects {
    /// Changes the object `name` with `change`, which sees the newest version and may be called again.
    ///
    /// With `expected`, a resource version, the object must still be that version.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::NotFound`], [`Error::BadRequest`] for a field that `kind` does not have,
    /// [`Error::Invalid`], and [`Error::Changed`] when `expected` is not met or others keep being faster.
    pub async fn modify(
        &self,
        ask: Ask<'_>,
        kind: &'static Kind,
        namespace: &str,
        name: &str,
        expected: Option<&str>,
        change: impl Fn(&mut Object) -> Result<(), Error>,
    ) -> Result<Object, Error> {
        let options =
            PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        // Before the audit record: that is to name objects, and these may be anything.
        check_namespace(kind, namespace)?;
        check_name(kind, name)?;
        trail::asked(&kind.action(Verb::Update), &kind.object(name), &kind.somewhere(namespace));
        let changed = || Error::Changed { kind: kind.kind, name: name.to_owned() };
        for _ in 0..TRIES {
            // What has this name may be another object by the next time, with another owner.
            let before = if has_parts(kind) {
                self.peek(kind, namespace, name).await?
            } else {
                self.get_for(ask, kind, namespace, name, Verb::Update).await?
            };
            let mut object = before.clone();
            let made = change(&mut object);
            if has_parts(kind) {
                let after = made.is_ok().then_some(&object);
                self.judge(ask, (kind, namespace, name), &before, after).await?;
            }
            if expected.is_some() && before.metadata.resource_version.as_deref() != expected {
                return Err(changed());
            }
            made?;
            refuse_in_spec(kind, &object.data, Some(&before.data))?;
            if has_parts(kind) {
                self.stays(namespace, &before, &object).await?;
            }
            if kind.place_of(namespace, &object) != kind.place_of(namespace, &before) {
                let owner =
                    if kind.place == Place::Component { "projectName" } else { "componentName" };
                return Err(Error::BadRequest(format!("spec.owner.{owner} is immutable")));
            }
            label(kind, &mut object);
            if is_binding(kind) {
                keep_signature(&mut object, &before);
            }
            if object.metadata.labels == before.metadata.labels
                && object.metadata.annotations == before.metadata.annotations
                && object.data.get("spec") == before.data.get("spec")
            {
                return Ok(object);
            }
            if is_binding(kind) {
                sign(&mut object, ask.caller);
            }
            match self.api(kind, namespace)?.replace(name, &options, &object).await {
                Ok(replaced) => {
                    match is_binding(kind) {
                        true => trail::given("grant", &described(&replaced)),
                        false => trail::changed(&difference(&before, &object)),
                    }
                    return Ok(replaced);
                }
                Err(error) => match Error::from_kube(error, kind, name) {
                    Error::Changed { .. } if expected.is_none() => {}
                    other => return Err(other),
                },
            }
        }
        Err(changed())
    }

    /// Replaces spec, labels and annotations of the object `name`. A resource version in the body, or `expected`,
    /// must still be the object's; without either the last writer wins.
    ///
    /// # Errors
    /// As [`Self::modify`].
    pub async fn replace(
        &self,
        ask: Ask<'_>,
        kind: &'static Kind,
        namespace: &str,
        name: &str,
        value: Value,
        expected: Option<&str>,
    ) -> Result<Object, Error> {
        check_name(kind, name)?;
        let sent = parse(kind, namespace, with_name(value, name))?;
        let expected = expected.or(sent.metadata.resource_version.as_deref());
        self.modify(ask, kind, namespace, name, expected, |object| {
            if kind.place == Place::Namespace {
                merge_display(object, &sent);
                return Ok(());
            }
            object.metadata.labels.clone_from(&sent.metadata.labels);
            object.metadata.annotations.clone_from(&sent.metadata.annotations);
            keep_default(&mut object.data, &sent.data, kind);
            Ok(())
        })
        .await
    }
}

/// What makes `after` of `before`, as its audit record tells it.
fn difference(before: &Object, after: &Object) -> String {
    let whole = |object: &Object| {
        let (labels, annotations) = (&object.metadata.labels, &object.metadata.annotations);
        json!({"labels": labels, "annotations": annotations, "spec": object.data["spec"]})
    };
    delta(&whole(before), &whole(after))
}

/// The new spec, with the component type's kind kept when the caller left it out.
fn keep_default(current: &mut Value, sent: &Value, kind: &Kind) {
    let mut spec = sent.get("spec").cloned().unwrap_or_else(|| json!({}));
    if kind.kind == "Component"
        && spec["componentType"].is_object()
        && text_at(&spec, &["componentType", "kind"]).is_empty()
    {
        spec["componentType"]["kind"] = current["spec"]["componentType"]["kind"].clone();
    }
    current["spec"] = spec;
}

/// The path's name wins over the body's.
fn with_name(mut value: Value, name: &str) -> Value {
    if let Value::Object(body) = &mut value {
        let metadata = body.entry("metadata").or_insert_with(|| json!({}));
        if metadata.is_object() {
            metadata["name"] = json!(name);
        }
    }
    value
}

/// Of a namespace only the two annotations for people can be changed.
fn merge_display(object: &mut Object, sent: &Object) {
    let Some(annotations) = &sent.metadata.annotations else { return };
    for key in [DISPLAY_NAME, DESCRIPTION] {
        if let Some(value) = annotations.get(key) {
            object
                .metadata
                .annotations
                .get_or_insert_default()
                .insert(key.to_owned(), value.clone());
        }
    }
}
