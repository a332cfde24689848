//! What every reconciler works with: the store, the queue, and writes to the control plane.

use super::binding::Renderings;
use super::queue::Queue;
use super::rendered::{AppliedReleases, Remotes};
use super::store::{DecodeError, Delta, Entry, Key, Store, What};
use super::watch::{Change, Object};
use crate::remote::{PlaneError, Planes};
use crate::types::{self, API_VERSION, Kind};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use kube::Client;
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long one request to an API server may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);

/// A kind that the controllers follow.
pub(crate) trait Followed: Kind {
    const WHAT: What;
}

macro_rules! followed {
    ($($kind:ident)*) => { $(impl Followed for types::$kind { const WHAT: What = What::$kind; })* };
}
followed! {
    ClusterComponentType ClusterDataPlane ClusterObservabilityPlane ClusterTrait ClusterWorkflowPlane Component
    ComponentRelease DeploymentPipeline Environment ObservabilityAlertsNotificationChannel Project ReleaseBinding RenderedRelease Trait Workload
}

/// Why a pass over an object failed. The queue tries again; conditions say what people should know.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot {verb} {target}: {}", said(source))]
    Api { verb: &'static str, target: String, source: kube::Error },
    #[error("cannot {verb} {target}: no answer within {} s", REQUEST_LIMIT.as_secs())]
    Timeout { verb: &'static str, target: String },
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    Plane(#[from] PlaneError),
    #[error("cannot put {what} into JSON: {source}")]
    Encode { what: String, source: serde_json::Error },
    /// Already told in a condition.
    #[error("{0}")]
    Reported(String),
}

/// What an API server said, without the shape it said it in.
pub(crate) fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        other => other.to_string(),
    }
}

impl Error {
    /// The HTTP status of the API server's answer.
    pub(crate) fn code(&self) -> Option<u16> {
        match self {
            Self::Api { source: kube::Error::Api(status), .. } => Some(status.code),
            _ => None,
        }
    }
}

/// One request with JSON in and out.
pub(crate) async fn send(
    client: &Client,
    verb: &'static str,
    target: &str,
    method: http::Method,
    path: &str,
    content_type: &str,
    body: Vec<u8>,
) -> Result<String, Error> {
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::CONTENT_TYPE, content_type)
        .header(http::header::ACCEPT, "application/json")
        .body(body);
    let request = request.map_err(|source| Error::Api {
        verb,
        target: target.to_owned(),
        source: kube::Error::HttpError(source),
    })?;
    match tokio::time::timeout(REQUEST_LIMIT, client.request_text(request)).await {
        Ok(answer) => {
            answer.map_err(|source| Error::Api { verb, target: target.to_owned(), source })
        }
        Err(_) => Err(Error::Timeout { verb, target: target.to_owned() }),
    }
}

pub(crate) const JSON: &str = "application/json";
pub(crate) const MERGE_PATCH: &str = "application/merge-patch+json";

pub(crate) struct Context {
    pub(crate) control: Client,
    pub(crate) queue: Arc<Queue>,
    pub(crate) remotes: Remotes,
    pub(crate) applied: AppliedReleases,
    pub(crate) renderings: Renderings,
    store: Mutex<Store>,
}

impl Context {
    pub(crate) fn new(control: Client, planes: Planes) -> Self {
        let queue = Arc::new(Queue::default());
        let remotes = Remotes::new(planes, Arc::clone(&queue));
        Self {
            control,
            queue,
            remotes,
            applied: AppliedReleases::default(),
            renderings: Renderings::default(),
            store: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the store. Nothing in `f` may wait.
    pub(crate) fn read<R>(&self, f: impl FnOnce(&Store) -> R) -> R {
        f(&self.lock())
    }

    /// A copy of one entry.
    pub(crate) fn get(&self, what: What, namespace: &str, name: &str) -> Option<Entry> {
        self.read(|store| store.get(what, namespace, name).cloned())
    }

    /// Takes a watch's report in and asks for everything it concerns.
    pub(crate) fn observe(&self, what: What, change: Change) {
        let deltas: Vec<Delta> = {
            let mut store = self.lock();
            match change {
                Change::All(objects, version) => store.replace(what, objects, &version),
                Change::Put(object) => store.put(what, object).into_iter().collect(),
                Change::Gone(object) => store.remove(what, &object).into_iter().collect(),
            }
        };
        let store = self.lock();
        for delta in deltas {
            super::wake::wake(&store, &delta, |key| self.queue.add(key));
        }
    }

    /// Takes in what the API server answered to a write, so that nobody has to wait for the watch.
    fn learn(&self, what: What, text: &str) {
        let Ok(object) = Object::parse(text) else { return };
        // A deletion that is complete may already have been reported: never bring such an object back.
        let leaving =
            object.deleting() && object.meta.finalizers.as_ref().is_none_or(Vec::is_empty);
        if !leaving {
            self.observe(what, Change::Put(object));
        }
    }

    fn path(what: What, namespace: &str, name: &str) -> String {
        let plural = what.info().plural;
        let namespace = match namespace {
            "" => String::new(),
            namespace => format!("namespaces/{namespace}/"),
        };
        match name {
            "" => format!("/apis/{API_VERSION}/{namespace}{plural}"),
            name => format!("/apis/{API_VERSION}/{namespace}{plural}/{name}"),
        }
    }

    async fn request(
        &self,
        verb: &'static str,
        key: &Key,
        method: http::Method,
        path: &str,
        body: &Value,
    ) -> Result<String, Error> {
        let content_type = if method == http::Method::PATCH { MERGE_PATCH } else { JSON };
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let target = key.to_string();
        send(&self.control, verb, &target, method, path, content_type, body).await
    }

    /// The whole object from the API server; `None` when there is none.
    pub(crate) async fn fetch<K: Followed>(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Object>, Error> {
        let key = Key::new(K::WHAT, namespace, name);
        let path = Self::path(K::WHAT, namespace, name);
        match self.request("read", &key, http::Method::GET, &path, &Value::Null).await {
            Ok(text) => parse(&key, &text).map(Some),
            Err(error) if error.code() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Creates an object. False when one of this name is there already.
    pub(crate) async fn create<K: Followed>(&self, object: &K) -> Result<bool, Error> {
        let meta = object.meta();
        let namespace = meta.namespace.as_deref().unwrap_or_default();
        let key = Key::new(K::WHAT, namespace, meta.name.as_deref().unwrap_or_default());
        let body = encode(&key, object)?;
        let path = Self::path(K::WHAT, namespace, "");
        match self.request("create", &key, http::Method::POST, &path, &body).await {
            Ok(text) => {
                self.learn(K::WHAT, &text);
                Ok(true)
            }
            Err(error) if error.code() == Some(409) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Merges a change into an object.
    pub(crate) async fn merge<K: Followed>(
        &self,
        namespace: &str,
        name: &str,
        patch: &Value,
    ) -> Result<Object, Error> {
        let key = Key::new(K::WHAT, namespace, name);
        let path = Self::path(K::WHAT, namespace, name);
        let text = self.request("change", &key, http::Method::PATCH, &path, patch).await?;
        self.learn(K::WHAT, &text);
        parse(&key, &text)
    }

    /// Writes the fields of the status that differ from those in `object`. False when none does.
    pub(crate) async fn write_status<K: Followed>(
        &self,
        object: &Object,
        status: &K::Status,
    ) -> Result<bool, Error>
    where
        K::Status: Serialize,
    {
        let key = Key::new(K::WHAT, object.namespace(), object.name());
        let before: Value = match &*object.status {
            "" => json!({}),
            text => serde_json::from_str(text).unwrap_or_default(),
        };
        let Value::Object(mut after) = encode(&key, status)? else { return Ok(false) };
        // Only what differs: another writer may own the rest. In a merge patch only null removes.
        for (field, value) in before.as_object().into_iter().flatten() {
            match after.get(field) {
                Some(same) if same == value => _ = after.remove(field),
                Some(_) => {}
                None => _ = after.insert(field.clone(), Value::Null),
            }
        }
        if after.is_empty() {
            return Ok(false);
        }
        let path = format!("{}/status", Self::path(K::WHAT, object.namespace(), object.name()));
        let patch = json!({ "metadata": { "uid": object.uid() }, "status": after });
        match self.request("report on", &key, http::Method::PATCH, &path, &patch).await {
            Ok(text) => self.learn(K::WHAT, &text),
            // Gone meanwhile, or another object took its name: nothing to report on.
            Err(error) if matches!(error.code(), Some(404)) => {}
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// Makes sure the finalizer is there before anything is made that must be cleaned up.
    pub(crate) async fn add_finalizer<K: Followed>(
        &self,
        object: &Object,
        finalizer: &str,
    ) -> Result<(), Error> {
        let mut all = object.meta.finalizers.clone().unwrap_or_default();
        if all.iter().any(|f| f == finalizer) {
            return Ok(());
        }
        all.push(finalizer.to_owned());
        self.set_finalizers::<K>(object, all).await
    }

    /// Lets the object go.
    pub(crate) async fn drop_finalizer<K: Followed>(
        &self,
        object: &Object,
        finalizer: &str,
    ) -> Result<(), Error> {
        let mut all = object.meta.finalizers.clone().unwrap_or_default();
        if !all.iter().any(|f| f == finalizer) {
            return Ok(());
        }
        all.retain(|f| f != finalizer);
        match self.set_finalizers::<K>(object, all).await {
            Err(error) if error.code() == Some(404) => Ok(()),
            other => other,
        }
    }

    async fn set_finalizers<K: Followed>(
        &self,
        object: &Object,
        all: Vec<String>,
    ) -> Result<(), Error> {
        let patch = json!({ "metadata": {
            "uid": object.uid(),
            "resourceVersion": object.meta.resource_version,
            "finalizers": all,
        } });
        self.merge::<K>(object.namespace(), object.name(), &patch).await.map(drop)
    }

    /// Asks for an object's deletion; one that is gone already is fine.
    pub(crate) async fn delete(&self, what: What, object: &Object) -> Result<(), Error> {
        if object.deleting() {
            return Ok(());
        }
        let key = Key::new(what, object.namespace(), object.name());
        let path = Self::path(what, object.namespace(), object.name());
        let body = json!({
            "apiVersion": "v1", "kind": "DeleteOptions",
            "preconditions": { "uid": object.uid() },
        });
        match self.request("delete", &key, http::Method::DELETE, &path, &body).await {
            Ok(_) => Ok(()),
            Err(error) if matches!(error.code(), Some(404 | 409)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn parse(key: &Key, text: &str) -> Result<Object, Error> {
    Object::parse(text).map_err(|source| Error::Api {
        verb: "read",
        target: key.to_string(),
        source: kube::Error::SerdeError(source),
    })
}

fn encode(key: &Key, value: &impl Serialize) -> Result<Value, Error> {
    serde_json::to_value(value).map_err(|source| Error::Encode { what: key.to_string(), source })
}

/// The time for conditions: whole seconds, as Kubernetes writes them.
pub(crate) fn now() -> Time {
    let now = jiff::Timestamp::now();
    Time(jiff::Timestamp::from_second(now.as_second()).unwrap_or(now))
}

/// How soon a [new](is_new) object is looked at again.
pub(crate) const SOON: Duration = Duration::from_millis(200);

/// Whether an object was made within the last second. What it refers to may have been made with it and be known in a
/// moment: saying in between that it is missing would cost a durable write, for which the next step has to wait.
pub(crate) fn is_new(object: &Object) -> bool {
    let age = |made: &Time| jiff::Timestamp::now().duration_since(made.0);
    let made = object.meta.creation_timestamp.as_ref();
    made.is_some_and(|made| (0..1_000).contains(&age(made).as_millis()))
}

/// Metadata of a new object that another one controls.
pub(crate) fn owned_by<K: Kind>(owner: &Object, name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: owner.meta.namespace.clone(),
        owner_references: Some(vec![OwnerReference {
            api_version: API_VERSION.into(),
            kind: K::INFO.kind.into(),
            name: owner.name().into(),
            uid: owner.uid().into(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }]),
        ..Default::default()
    }
}

/// Whether `owner` controls `object`.
pub(crate) fn controls(owner: &Object, object: &Object) -> bool {
    object
        .meta
        .owner_references
        .iter()
        .flatten()
        .any(|r| r.controller == Some(true) && r.uid == owner.uid())
}
