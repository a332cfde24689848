//! List and watch that hand out raw objects.
//!
//! An object is its metadata, parsed and without `managedFields`, and the JSON text of `spec` and `status` as they came:
//! no tree of values is kept, and a reconciler decodes only what it is about to use. The same code follows the control
//! plane and, through the tunnel, the objects in a data plane.

use super::context::said;
use curtain_role::Backoff;
use futures::{AsyncBufReadExt, TryStreamExt};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// One object as it came from an API server.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    /// Metadata without `managedFields`.
    pub(crate) meta: ObjectMeta,
    /// JSON text of `spec`, empty when the object has none.
    pub(crate) spec: Box<str>,
    /// JSON text of `status`, empty when the object has none.
    pub(crate) status: Box<str>,
}

#[derive(Deserialize)]
struct Parts<'a> {
    metadata: ObjectMeta,
    #[serde(borrow, default)]
    spec: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
}

impl Object {
    /// Parses one object.
    pub(crate) fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let mut parts: Parts = serde_json::from_str(text)?;
        parts.metadata.managed_fields = None;
        let text = |raw: Option<&RawValue>| raw.map_or("", RawValue::get).into();
        Ok(Self { spec: text(parts.spec), status: text(parts.status), meta: parts.metadata })
    }

    pub(crate) fn namespace(&self) -> &str {
        self.meta.namespace.as_deref().unwrap_or_default()
    }

    pub(crate) fn name(&self) -> &str {
        self.meta.name.as_deref().unwrap_or_default()
    }

    pub(crate) fn uid(&self) -> &str {
        self.meta.uid.as_deref().unwrap_or_default()
    }

    pub(crate) fn deleting(&self) -> bool {
        self.meta.deletion_timestamp.is_some()
    }

    pub(crate) fn label(&self, key: &str) -> &str {
        self.meta.labels.as_ref().and_then(|l| l.get(key)).map_or("", String::as_str)
    }

    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        self.meta.annotations.as_ref().and_then(|a| a.get(key)).map(String::as_str)
    }

    pub(crate) fn version(&self) -> &str {
        self.meta.resource_version.as_deref().unwrap_or_default()
    }

    /// Whether this is a later state than `version`. Versions of one server are numbers that grow.
    pub(crate) fn is_later_than(&self, version: &str) -> bool {
        match (self.version().parse::<u64>(), version.parse::<u64>()) {
            (Ok(a), Ok(b)) => a > b,
            _ => self.version() != version,
        }
    }
}

/// What a watch reports.
#[derive(Debug)]
pub(crate) enum Change {
    /// These are all objects as of a version; what is not among them, and not newer, is gone.
    All(Vec<Object>, String),
    /// This object is new or changed.
    Put(Object),
    /// This object is gone; its last state.
    Gone(Object),
}

/// Why a list or watch ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WatchError {
    #[error("cannot list {path}: {}", said(source))]
    List { path: String, source: kube::Error },
    #[error("cannot watch {path}: {}", said(source))]
    Watch { path: String, source: kube::Error },
    #[error("the watch of {path} broke off: {source}")]
    Broken { path: String, source: std::io::Error },
    #[error("{path} answered something that is no object: {source}")]
    Malformed { path: String, source: serde_json::Error },
    #[error("cannot ask for {path}: {source}")]
    Request { path: String, source: http::Error },
}

impl WatchError {
    /// Whether the server does not serve the collection at all.
    pub(crate) fn not_served(&self) -> bool {
        matches!(self, Self::List { source: kube::Error::Api(status), .. } if status.code == 404)
    }
}

/// A collection: the path of its list and the selector that narrows it.
#[derive(Clone, Debug)]
pub(crate) struct Collection {
    /// E.g. `/apis/apps/v1/deployments`.
    pub(crate) path: String,
    /// Label selector, empty for everything.
    pub(crate) selector: String,
}

/// How long the server keeps one watch open, in seconds.
const WATCH_SECONDS: u32 = 290;
/// Objects per page of a list.
const PAGE: u32 = 500;

/// A watch that ends sooner than this without having said anything counts as a failure: a server that closes at once
/// must not be asked in a tight loop.
const SHORTEST_WATCH: Duration = Duration::from_secs(1);

/// Follows a collection for ever: all objects at first and after every gap, then each change. Failures are reported and
/// tried again after a pause that grows from 20 ms; `retry` ends a pause early, e.g. when a plane is there again.
///
/// Ends only when the collection is not served, with that error.
pub(crate) async fn follow(
    client: &Client,
    collection: &Collection,
    retry: &Notify,
    mut report: impl FnMut(Change),
) -> WatchError {
    let mut backoff = Backoff::default();
    let mut version = None;
    loop {
        let start = Instant::now();
        let mut silent = true;
        let outcome = match version.take() {
            None => list(client, collection).await.map(|(objects, at)| {
                silent = false;
                report(Change::All(objects, at.clone()));
                Some(at)
            }),
            Some(at) => {
                let heard = |change| {
                    silent = false;
                    report(change);
                };
                watch(client, collection, at, heard).await
            }
        };
        let failed = match outcome {
            Ok(next) => {
                version = next;
                silent && start.elapsed() < SHORTEST_WATCH
            }
            Err(error) if error.not_served() => return error,
            Err(error) => {
                tracing::debug!(%error, "watch failed");
                true
            }
        };
        if failed {
            let pause = backoff.next().unwrap_or(Duration::from_secs(5));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = retry.notified() => {}
            }
        }
    }
}

#[derive(Deserialize)]
struct List<'a> {
    metadata: ListMeta,
    #[serde(borrow)]
    items: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMeta {
    #[serde(default)]
    resource_version: String,
    #[serde(default)]
    r#continue: Option<String>,
}

/// All objects of a collection and the version they were read at.
pub(crate) async fn list(
    client: &Client,
    collection: &Collection,
) -> Result<(Vec<Object>, String), WatchError> {
    let Collection { path, selector } = collection;
    let mut objects = Vec::new();
    let mut token = String::new();
    loop {
        let uri = format!(
            "{path}?limit={PAGE}&labelSelector={}&continue={}",
            encode(selector),
            encode(&token)
        );
        let text = client
            .request_text(get(path, &uri)?)
            .await
            .map_err(|source| WatchError::List { path: path.clone(), source })?;
        let malformed = |source| WatchError::Malformed { path: path.clone(), source };
        let page: List = serde_json::from_str(&text).map_err(malformed)?;
        for item in page.items {
            match Object::parse(item.get()) {
                Ok(object) => objects.push(object),
                Err(error) => tracing::warn!(%path, %error, "left out an object without metadata"),
            }
        }
        match page.metadata.r#continue.filter(|token| !token.is_empty()) {
            Some(next) => token = next,
            None => return Ok((objects, page.metadata.resource_version)),
        }
    }
}

#[derive(Deserialize)]
struct Event<'a> {
    r#type: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

/// One watch from `version`. `Some` is where to go on; `None` asks for a new list.
async fn watch(
    client: &Client,
    collection: &Collection,
    mut version: String,
    mut report: impl FnMut(Change),
) -> Result<Option<String>, WatchError> {
    let Collection { path, selector } = collection;
    let uri = format!(
        "{path}?watch=1&allowWatchBookmarks=true&timeoutSeconds={WATCH_SECONDS}&labelSelector={}&resourceVersion={}",
        encode(selector),
        encode(&version)
    );
    let stream = match client.request_stream(get(path, &uri)?).await {
        Ok(stream) => stream,
        Err(kube::Error::Api(status)) if status.code == 410 => return Ok(None),
        Err(source) => return Err(WatchError::Watch { path: path.clone(), source }),
    };
    let mut lines = std::pin::pin!(stream.lines());
    loop {
        let line = match lines.try_next().await {
            Ok(Some(line)) => line,
            Ok(None) => return Ok(Some(version)),
            // The connection ended in the middle: everything reported so far stands.
            Err(source) => {
                tracing::debug!(%path, %source, "watch interrupted");
                return match version.is_empty() {
                    true => Err(WatchError::Broken { path: path.clone(), source }),
                    false => Ok(Some(version)),
                };
            }
        };
        if line.is_empty() {
            continue;
        }
        let malformed = |source| WatchError::Malformed { path: path.clone(), source };
        let event: Event = serde_json::from_str(&line).map_err(malformed)?;
        if event.r#type == "ERROR" {
            tracing::debug!(%path, status = event.object.get(), "watch ended by the server");
            return Ok(None);
        }
        let object = Object::parse(event.object.get()).map_err(malformed)?;
        if let Some(at) = &object.meta.resource_version {
            version.clone_from(at);
        }
        match event.r#type {
            "ADDED" | "MODIFIED" => report(Change::Put(object)),
            "DELETED" => report(Change::Gone(object)),
            _ => {}
        }
    }
}

fn get(path: &str, uri: &str) -> Result<http::Request<Vec<u8>>, WatchError> {
    http::Request::get(uri)
        .header(http::header::ACCEPT, "application/json")
        .body(Vec::new())
        .map_err(|source| WatchError::Request { path: path.to_owned(), source })
}

/// Percent-encodes a query value.
pub(crate) fn encode(value: &str) -> String {
    value.bytes().fold(String::with_capacity(value.len()), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(byte.into())
            }
            _ => {
                out.push('%');
                for digit in [byte >> 4, byte & 15] {
                    out.push(
                        char::from_digit(digit.into(), 16).unwrap_or('0').to_ascii_uppercase(),
                    );
                }
            }
        }
        out
    })
}
