//! delete and deletecollection.

use std::sync::Arc;

use bytes::Bytes;
use curtain_schema::FieldError;
use serde_json::{Value, json};

use super::super::admission::{Admission, Operation};
use super::super::kinds::{Deletion, ValueExt, announce_deletion};
use super::super::reply::{self, Reply};
use super::super::status::{self, ApiError};
use super::super::store::{Key, Object, WriteError};
use super::super::{Api, time};
use super::pipeline::SubKind;
use super::update::TRIES;
use super::{Context, options, pipeline, show};

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";
/// So many objects of a collection are deleted at a time.
const AT_ONCE: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Propagation {
    /// As the finalizers that are there say, or the kind.
    Unset,
    Background,
    Foreground,
    Orphan,
}

/// `DeleteOptions` from the body and, in its stead, the query.
pub(super) struct Options {
    grace: Option<i64>,
    propagation: Propagation,
    uid: String,
    rv: String,
    dry_run: bool,
    /// Admission has let it pass already, as something else.
    admitted: bool,
}

impl Options {
    fn read(context: &Context, body: &Bytes) -> Result<Self, ApiError> {
        let given = if body.is_empty() {
            json!({})
        } else {
            pipeline::decode_as(context, body, SubKind::DELETE_OPTIONS)?
        };
        Self::of(context, &given)
    }

    /// From a `DeleteOptions` document, and the query for what it does not say.
    pub(super) fn of(context: &Context, given: &Value) -> Result<Self, ApiError> {
        let grace = match given.int(&["gracePeriodSeconds"]) {
            Some(seconds) => Some(seconds),
            None => context.query.number("gracePeriodSeconds")?,
        };
        // What is below zero is as soon as can be.
        let grace = grace.map(|seconds| if seconds < 0 { 1 } else { seconds });
        let policy = match given.text(&["propagationPolicy"]) {
            "" => context.query.get("propagationPolicy").unwrap_or_default(),
            policy => policy,
        };
        let orphans = given.at(&["orphanDependents"]).and_then(Value::as_bool);
        let asked = context.query.get("orphanDependents");
        let orphans = orphans.or(asked.map(|_| context.query.flag("orphanDependents")));
        let mut errors = Vec::new();
        if orphans.is_some() && !policy.is_empty() {
            let why = "orphanDependents and deletionPropagation cannot be both set";
            errors.push(FieldError::invalid("propagationPolicy", policy.into(), why));
        }
        let propagation = match (policy, orphans) {
            ("", Some(true)) => Propagation::Orphan,
            ("", Some(false)) => Propagation::Background,
            ("", None) => Propagation::Unset,
            ("Background", _) => Propagation::Background,
            ("Foreground", _) => Propagation::Foreground,
            ("Orphan", _) => Propagation::Orphan,
            (other, _) => {
                let supported = ["Foreground", "Background", "Orphan", "nil"];
                let error =
                    FieldError::not_supported("propagationPolicy", other.into(), &supported);
                errors.push(error);
                Propagation::Unset
            }
        };
        let in_body = given.list(&["dryRun"]).iter().filter_map(Value::as_str);
        let in_query = context.query.all("dryRun").filter(|value| !value.is_empty());
        errors.extend(options::dry_run(in_body.chain(in_query)));
        options::invalid("DeleteOptions", errors)?;
        let dry_run = context.query.dry_run() || !given.list(&["dryRun"]).is_empty();
        Ok(Self {
            grace,
            propagation,
            uid: given.text(&["preconditions", "uid"]).into(),
            rv: given.text(&["preconditions", "resourceVersion"]).into(),
            dry_run,
            admitted: false,
        })
    }

    /// For a deletion that admission is not asked about again.
    pub(super) fn admitted(self) -> Self {
        Self { admitted: true, ..self }
    }

    pub(super) fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// Only one version of the object is to be deleted.
    pub(super) fn names_version(&self) -> bool {
        !self.rv.is_empty()
    }

    /// Says so when dependents stay only because nobody said what becomes of them.
    fn warn(&self, context: &Context, reply: &mut Reply) {
        if let (Some(warning), Propagation::Unset) =
            (context.resource.strategy.orphans, self.propagation)
        {
            reply::warn(reply, warning);
        }
    }

    /// The object must be the one that is meant.
    pub(super) fn check(&self, context: &Context, object: &Object) -> Result<(), ApiError> {
        let mismatch = |what: &str, asked: &str, live: &str| {
            let why = format!(
                "Precondition failed: {what} in precondition: {asked}, {what} in object meta: {live}"
            );
            Err(ApiError::conflict(context.resource.qualified(), &object.key.name, &why))
        };
        if !self.uid.is_empty() && self.uid != object.uid() {
            return mismatch("UID", &self.uid, object.uid());
        }
        if !self.rv.is_empty() && self.rv != object.rv.to_string() {
            return mismatch("ResourceVersion", &self.rv, &object.rv.to_string());
        }
        Ok(())
    }
}

pub(super) enum Deleted {
    /// It goes later; this is its state now.
    Later(Arc<Object>),
    /// It is gone.
    Now(Arc<Object>),
    /// Nothing was done.
    Dry(Arc<Object>),
}

pub(super) async fn one(api: &Api, context: &Context, body: &Bytes) -> Result<Reply, ApiError> {
    context.check_namespace(api, false)?;
    let options = Options::read(context, body)?;
    let mut reply = match delete(api, context, &context.key(), &options).await? {
        Deleted::Later(object) => show::object(context, 200, &object)?,
        // Pods show their last state, everything else a Status.
        Deleted::Now(object) if context.resource.strategy.deletion == Deletion::Pod => {
            show::object(context, 200, &object)?
        }
        Deleted::Now(object) | Deleted::Dry(object) => {
            let resource = &context.resource;
            let mut details =
                json!({"name": *object.key.name, "kind": resource.plural, "uid": object.uid()});
            if !resource.group.is_empty() {
                details["group"] = resource.group.as_str().into();
            }
            reply::json(200, &status::success(details))
        }
    };
    options.warn(context, &mut reply);
    Ok(reply)
}

pub(super) async fn collection(
    api: &Api,
    context: &Context,
    body: &Bytes,
) -> Result<Reply, ApiError> {
    context.check_namespace(api, false)?;
    let options = Options::read(context, body)?;
    let (labels, fields) = (context.labels()?, context.fields()?);
    let page = api.store.list(&context.resource.table, context.scope());
    let selected: Vec<_> = page
        .objects
        .iter()
        .filter(|object| labels.matches(object) && show::has(&context.resource, &fields, object))
        .collect();
    // Many at a time, so that they share commits. All are seen to, whatever becomes of one.
    let mut outcomes = Vec::with_capacity(selected.len());
    for some in selected.chunks(AT_ONCE) {
        let deletions: Vec<_> =
            some.iter().map(|object| delete(api, context, &object.key, &options)).collect();
        outcomes.extend(futures::future::join_all(deletions).await);
    }
    let mut items = Vec::new();
    for outcome in outcomes {
        match outcome {
            Ok(Deleted::Later(object) | Deleted::Now(object) | Deleted::Dry(object)) => {
                items.push(show::value(&context.resource, &object));
            }
            Err(error) if error.code == 404 => {}
            Err(error) => return Err(error),
        }
    }
    let list = json!({"kind": context.resource.list_kind, "apiVersion": context.resource.api_version(),
        "metadata": {"resourceVersion": page.rv.to_string()}, "items": items});
    let mut reply = reply::json(200, &list);
    options.warn(context, &mut reply);
    Ok(reply)
}

/// Deletes the object, or marks it as being deleted.
pub(super) async fn delete(
    api: &Api,
    context: &Context,
    key: &Key,
    options: &Options,
) -> Result<Deleted, ApiError> {
    let resource = &context.resource;
    for _ in 0..TRIES {
        let not_found = || ApiError::not_found(resource.qualified(), &key.name);
        let live = api.store.latest(&resource.table, key).ok_or_else(not_found)?;
        let kept = resource.strategy.kept;
        if kept.names.contains(&&*key.name) {
            return Err(ApiError::forbidden(resource.qualified(), &key.name, kept.why));
        }
        options.check(context, &live)?;
        let old = show::value(resource, &live);
        let mut new = old.clone();
        let grace = mark(context, &mut new, options);
        let admission = Admission {
            namespace: &key.namespace,
            name: &key.name,
            dry_run: options.dry_run,
            ..context.admission(api, Operation::Delete)
        };
        if !options.admitted {
            admission.check(None, Some(&old)).await?;
        }
        if options.dry_run {
            return Ok(Deleted::Dry(live));
        }
        let held = context.held(&new);
        if held && new == old {
            return Ok(Deleted::Later(live));
        }
        if held && resource.generation && old.at(&["metadata", "deletionTimestamp"]).is_none() {
            new["metadata"]["generation"] =
                json!(old.int(&["metadata", "generation"]).unwrap_or(0) + 1);
        }
        let last = if held || grace > 0 { new.clone() } else { old.clone() };
        match pipeline::commit(
            api,
            context,
            Some(live.rv),
            if held { new } else { last.clone() },
            !held,
        )
        .await
        {
            Ok(object) if held => return Ok(Deleted::Later(object)),
            Ok(object) => {
                pipeline::released_all(api, context, &last);
                return Ok(Deleted::Now(object));
            }
            Err(WriteError::Raced) => {}
            Err(error) => return Err(context.write_error(&error)),
        }
    }
    Err(ApiError::modified(resource.qualified(), &key.name))
}

/// Marks the document as being deleted, the way the options say. Returns the grace period.
fn mark(context: &Context, object: &mut Value, options: &Options) -> i64 {
    let grace = match context.resource.strategy.deletion {
        Deletion::Pod => pod_grace(object, options.grace),
        _ => 0,
    };
    let deletion = context.resource.strategy.deletion;
    let orphans = context.resource.strategy.orphans.is_some();
    let metadata = &mut object["metadata"];
    if metadata.at(&["deletionTimestamp"]).is_none() {
        metadata["deletionTimestamp"] = time::in_seconds(grace).into();
        metadata["deletionGracePeriodSeconds"] = grace.into();
    } else if let Some(current) = metadata.int(&["deletionGracePeriodSeconds"])
        && grace < current
    {
        // Only ever sooner.
        metadata["deletionTimestamp"] = time::in_seconds(grace).into();
        metadata["deletionGracePeriodSeconds"] = grace.into();
    }
    let propagation = asked_or_kept(metadata, options.propagation, orphans);
    propagate(metadata, propagation);
    match deletion {
        Deletion::Namespace => object["status"]["phase"] = "Terminating".into(),
        Deletion::Definition => announce_deletion(object),
        // No node will ever say how it ended.
        Deletion::Pod if is_unscheduled(object) && !has_ended(object) => {
            object["status"]["phase"] = "Failed".into();
        }
        _ => {}
    }
    grace
}

fn is_unscheduled(pod: &Value) -> bool {
    pod.text(&["spec", "nodeName"]).is_empty()
}

fn has_ended(pod: &Value) -> bool {
    matches!(pod.text(&["status", "phase"]), "Succeeded" | "Failed")
}

fn pod_grace(pod: &Value, asked: Option<i64>) -> i64 {
    if is_unscheduled(pod) || has_ended(pod) {
        return 0;
    }
    let wanted = pod.int(&["spec", "terminationGracePeriodSeconds"]).unwrap_or(30);
    let current = pod.int(&["metadata", "deletionGracePeriodSeconds"]);
    asked.or(current).unwrap_or(wanted)
}

/// What is asked for; of kinds that leave their dependents alone, that, unless a finalizer says otherwise.
fn asked_or_kept(metadata: &Value, asked: Propagation, orphans: bool) -> Propagation {
    let said = metadata.list(&["finalizers"]).iter().any(|f| f == FOREGROUND || f == ORPHAN);
    match asked {
        Propagation::Unset if orphans && !said => Propagation::Orphan,
        asked => asked,
    }
}

fn propagate(metadata: &mut Value, propagation: Propagation) {
    if propagation == Propagation::Unset {
        return;
    }
    metadata.default_to("finalizers", json!([]));
    if let Some(finalizers) = metadata["finalizers"].as_array_mut() {
        finalizers.retain(|f| f != FOREGROUND && f != ORPHAN);
        match propagation {
            Propagation::Foreground => finalizers.push(FOREGROUND.into()),
            Propagation::Orphan => finalizers.push(ORPHAN.into()),
            _ => {}
        }
        if finalizers.is_empty() {
            metadata.drop_field("finalizers");
        }
    }
}
