//! The one that writes: a thread of its own, fed by a queue that is not endless.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{mpsc, oneshot};

use super::{
    Counts, Query, Record, Retention, StoreError,
    query::Found,
    store::{Kept, Store},
};
use crate::authz::Clock;

/// Records that may wait; who comes then has to.
const QUEUE: usize = 1024;
/// Records of one transaction.
const BATCH: usize = 256;

/// The records. Clones share the database.
#[derive(Clone)]
pub struct Audit {
    queue: mpsc::Sender<Entry>,
    store: Arc<Store>,
    counts: Arc<Mutex<BTreeMap<String, Counts>>>,
    clock: Clock,
}

impl std::fmt::Debug for Audit {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Audit").finish_non_exhaustive()
    }
}

/// Something to write, and whom to tell once it is on the disk.
struct Entry {
    record: Option<Record>,
    done: Option<oneshot::Sender<()>>,
}

impl Audit {
    /// Opens or makes the database at `path`, which keeps records as `retention` says by `clock`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(path: &Path, retention: Retention, clock: Clock) -> Result<Self, StoreError> {
        let (store, kept) = Store::open(path)?;
        let counts = Arc::new(Mutex::new(kept.counts.clone()));
        let (queue, entries) = mpsc::channel(QUEUE);
        let audit = Self { queue, store: Arc::new(store), counts, clock };
        let (store, counts, clock) =
            (audit.store.clone(), audit.counts.clone(), audit.clock.clone());
        let work = move || write(&store, kept, entries, &counts, (retention, &clock));
        std::thread::Builder::new()
            .name("audit".into())
            .spawn(work)
            .map_err(|_| StoreError::Interrupted)?;
        Ok(audit)
    }

    /// What time it is for records.
    pub(crate) fn now(&self) -> jiff::Timestamp {
        self.clock.now()
    }

    /// Keeps `record`. When this returns, a change is on the disk, and anything else will soon be.
    pub async fn keep(&self, mut record: Record) {
        record.make_plain();
        let waits = !record.is_read();
        let (done, told) = oneshot::channel();
        let entry = Entry { record: Some(record), done: waits.then_some(done) };
        self.send(entry, waits.then_some(told)).await;
    }

    /// Waits until everything that was kept is on the disk.
    pub async fn flush(&self) {
        let (done, told) = oneshot::channel();
        self.send(Entry { record: None, done: Some(done) }, Some(told)).await;
    }

    async fn send(&self, entry: Entry, told: Option<oneshot::Receiver<()>>) {
        let sent = self.queue.send(entry).await.is_ok();
        let kept = match told {
            Some(told) if sent => told.await.is_ok(),
            _ => sent,
        };
        if !kept {
            tracing::error!("an audit record could not be kept");
        }
    }

    /// The newest records that `query` wants, of all that was kept until now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find(&self, query: Query) -> Result<Found, StoreError> {
        self.flush().await;
        let store = self.store.clone();
        let found = tokio::task::spawn_blocking(move || store.find(&query)).await;
        found.map_err(|_| StoreError::Interrupted)?
    }

    /// What each agent did, by name.
    pub fn counts(&self) -> BTreeMap<String, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Writes what comes until nobody can send any more.
fn write(
    store: &Store,
    mut kept: Kept,
    mut entries: mpsc::Receiver<Entry>,
    counts: &Mutex<BTreeMap<String, Counts>>,
    (retention, clock): (Retention, &Clock),
) {
    let mut batch = Vec::with_capacity(BATCH);
    while entries.blocking_recv_many(&mut batch, BATCH) > 0 {
        let mut told = Vec::new();
        let mut records = Vec::with_capacity(batch.len());
        for entry in batch.drain(..) {
            records.extend(entry.record);
            told.extend(entry.done);
        }
        let written = match records.is_empty() {
            true => Ok(()),
            false => store.append(&mut kept, &records, retention, clock.now()),
        };
        match written {
            Ok(()) => {
                counts.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&kept.counts);
                for done in told {
                    // Who does not listen any more needs no word.
                    let _ = done.send(());
                }
            }
            Err(error) => {
                tracing::error!(%error, records = records.len(), "audit records are lost")
            }
        }
    }
}
