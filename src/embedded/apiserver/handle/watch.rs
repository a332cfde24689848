//! watch: from now, from a resourceVersion, or with the initial list in the stream (WatchList).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::super::Api;
use super::super::kinds::Resource;
use super::super::reply::{self, Reply};
use super::super::request::accept::Shape;
use super::super::request::selector::{Fields, Labels};
use super::super::status::ApiError;
use super::super::store::{Change, Event, HistoryError, Object};
use super::Context;
use super::show::{self, RowObject};

/// Events are taken from the window in batches of this size.
const BATCH: usize = 128;
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// A watch without `timeoutSeconds` ends after this time, as real servers end them.
const LONGEST: Duration = Duration::from_secs(45 * 60);

struct Watcher {
    api: Arc<Api>,
    resource: Arc<Resource>,
    namespace: Option<String>,
    name: Option<String>,
    labels: Labels,
    fields: Fields,
    shape: Shape,
    rows: RowObject,
    bookmarks: bool,
    /// The initial list, and whether a bookmark ends it.
    initial: VecDeque<Arc<Object>>,
    mark_end: bool,
    seen: u64,
    /// The first Table event carries the column definitions.
    headed: bool,
    wake: watch::Receiver<u64>,
    deadline: Instant,
    next_bookmark: Instant,
    over: bool,
}

pub(super) fn answer(api: &Arc<Api>, context: Context) -> Result<Reply, ApiError> {
    context.check_namespace(api, false)?;
    let initial_events = context.query.get("sendInitialEvents").is_some();
    let send_initial = context.query.flag("sendInitialEvents");
    let bookmarks = context.query.flag("allowWatchBookmarks");
    let asked = context.query.number::<u64>("resourceVersion")?.unwrap_or(0);
    let timeout = context.query.number::<u64>("timeoutSeconds")?.filter(|seconds| *seconds > 0);
    let timeout = timeout.map_or(LONGEST, Duration::from_secs).min(Duration::from_secs(24 * 3600));
    let table = &context.resource.table;
    // Subscribed before the state is read, so that nothing falls between.
    let wake = api.store.wake(table);
    let list_first = send_initial || (asked == 0 && !initial_events);
    let (initial, seen) = if list_first {
        let page = api.store.list(table, context.scope());
        if asked > page.rv {
            return Err(ApiError::too_large(asked, page.rv));
        }
        (page.objects.into(), page.rv)
    } else {
        let seen = if asked == 0 { api.store.rv() } else { asked };
        match api.store.events(table, seen, 1) {
            Err(HistoryError::TooLarge { current }) => {
                return Err(ApiError::too_large(asked, current));
            }
            Err(HistoryError::TooOld { oldest }) => {
                return Ok(gone(&ApiError::too_old(asked, oldest)));
            }
            Ok(_) => (VecDeque::new(), seen),
        }
    };
    let now = Instant::now();
    let watcher = Watcher {
        api: api.clone(),
        namespace: context.scope().map(str::to_owned),
        name: (!context.path.name.is_empty()).then(|| context.path.name.clone()),
        labels: context.labels()?,
        fields: context.fields()?,
        shape: context.shape()?,
        rows: RowObject::of(&context)?,
        bookmarks,
        initial,
        mark_end: send_initial && bookmarks,
        seen,
        headed: true,
        wake,
        deadline: now + timeout,
        next_bookmark: now + BOOKMARK_EVERY,
        over: false,
        resource: context.resource,
    };
    let pieces = futures::stream::unfold(watcher, |mut watcher| async move {
        let piece = watcher.next().await?;
        Some((Ok(piece), watcher))
    });
    Ok(reply::reply(200, "application/json", reply::stream(pieces.boxed())))
}

/// A watch that ends with an ERROR event at once: how a real server says 410 here.
fn gone(error: &ApiError) -> Reply {
    let mut line = json!({"type": "ERROR", "object": error.status()}).to_string();
    line.push('\n');
    reply::json_bytes(200, line)
}

impl Watcher {
    /// The next piece of the stream, `None` at its end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.over {
                return None;
            }
            let mut piece = BytesMut::new();
            let more = self.fill(&mut piece);
            if !piece.is_empty() {
                return Some(piece.freeze());
            }
            if more {
                // Nothing of this batch was selected. Others get their turn before the next one.
                tokio::task::yield_now().await;
                continue;
            }
            let bookmark = if self.bookmarks { self.next_bookmark } else { self.deadline };
            let stopping = self.api.stopping.clone();
            tokio::select! {
                changed = self.wake.changed() => self.over = changed.is_err(),
                () = stopping.cancelled() => self.over = true,
                () = tokio::time::sleep_until(self.deadline.min(bookmark)) => {
                    if Instant::now() >= self.deadline {
                        self.over = true;
                    }
                    if self.bookmarks {
                        self.next_bookmark = Instant::now() + BOOKMARK_EVERY;
                        self.bookmark(&mut piece, false);
                        return Some(piece.freeze());
                    }
                }
            }
        }
    }

    /// Takes one batch, of the initial list while that lasts, then of events. `true` when another may be there.
    fn fill(&mut self, piece: &mut BytesMut) -> bool {
        if self.initial.is_empty() && !self.mark_end {
            return self.take_events(piece);
        }
        self.take_initial(piece);
        true
    }

    fn take_initial(&mut self, piece: &mut BytesMut) {
        for _ in 0..BATCH {
            let Some(object) = self.initial.pop_front() else { break };
            if self.selects(&object) {
                self.put(piece, "ADDED", &object);
            }
        }
        if self.mark_end && self.initial.is_empty() {
            self.mark_end = false;
            self.bookmark(piece, true);
        }
    }

    fn take_events(&mut self, piece: &mut BytesMut) -> bool {
        self.wake.mark_unchanged();
        match self.api.store.events(&self.resource.table, self.seen, BATCH) {
            Ok((events, complete)) => {
                for event in &events {
                    self.put_event(piece, event);
                }
                self.seen = complete;
                events.len() == BATCH
            }
            Err(HistoryError::TooOld { oldest }) => {
                self.over = true;
                let status = ApiError::too_old(self.seen, oldest).status();
                line(piece, "ERROR", status.to_string().as_bytes());
                false
            }
            Err(HistoryError::TooLarge { .. }) => false,
        }
    }

    fn selects(&self, object: &Object) -> bool {
        self.namespace.as_ref().is_none_or(|ns| **ns == *object.key.namespace)
            && self.name.as_ref().is_none_or(|name| **name == *object.key.name)
            && self.labels.matches(object)
            && show::has(&self.resource, &self.fields, object)
    }

    /// What an event means to somebody who sees only what the selectors select.
    fn put_event(&mut self, piece: &mut BytesMut, event: &Event) {
        let previous = event.previous.as_ref().filter(|previous| self.selects(previous));
        let after = event.change != Change::Deleted && self.selects(&event.object);
        match (previous, after) {
            (None, true) => self.put(piece, "ADDED", &event.object),
            (Some(_), true) => self.put(piece, "MODIFIED", &event.object),
            (Some(_), false) if event.change == Change::Deleted => {
                self.put(piece, "DELETED", &event.object);
            }
            // It leaves as the watcher has known it: what it is now does not concern them.
            (Some(previous), false) => {
                let reread = self.resource.reread(previous);
                let known = reread.as_ref().unwrap_or(previous).as_of(event.object.rv);
                self.put(piece, "DELETED", &known);
            }
            (None, false) => {}
        }
    }

    fn put(&mut self, piece: &mut BytesMut, word: &str, object: &Arc<Object>) {
        match self.shape {
            Shape::Table => {
                let document = show::value(&self.resource, object);
                let rv = object.rv.to_string();
                let table = show::table(
                    &self.resource,
                    &[document],
                    self.rows,
                    rv,
                    std::mem::take(&mut self.headed),
                );
                line(piece, word, table.to_string().as_bytes());
            }
            shape => line(piece, word, &show::item(&self.resource, shape, object)),
        }
    }

    fn bookmark(&mut self, piece: &mut BytesMut, end: bool) {
        let mut metadata =
            json!({"resourceVersion": self.seen.to_string(), "creationTimestamp": Value::Null});
        if end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = match self.shape {
            Shape::Object => {
                json!({"kind": self.resource.kind, "apiVersion": self.resource.api_version(), "metadata": metadata})
            }
            Shape::Metadata => show::metadata(json!({"metadata": metadata})),
            Shape::Table => {
                let row = show::metadata(json!({"metadata": metadata}));
                let mut table =
                    show::table(&self.resource, &[], self.rows, self.seen.to_string(), false);
                table["rows"] = json!([{"cells": [], "object": row}]);
                table
            }
        };
        line(piece, "BOOKMARK", object.to_string().as_bytes());
    }
}

fn line(piece: &mut BytesMut, word: &str, object: &[u8]) {
    piece.reserve(object.len() + 48);
    piece.put_slice(b"{\"type\":\"");
    piece.put_slice(word.as_bytes());
    piece.put_slice(b"\",\"object\":");
    piece.put_slice(object);
    piece.put_slice(b"}\n");
}
