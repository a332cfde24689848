//! Objects in memory, durable through a journal, watched through a window of recent events.
//!
//! - One global resourceVersion. A write is checked against the *latest* state (commits still on their way to the
//!   disk included), gets its resourceVersion, and queues; one thread commits everything that queued meanwhile in
//!   one durable step (group commit) and only then makes it visible. Readers and watchers never see, and writers
//!   are never told of, what a power cut could take back.
//! - Who has just been answered is likely to write again: the next commit waits for them a little, so that writers
//!   share one commit instead of taking turns with two ([`pace`]).
//! - If a commit fails, everything that queued behind it fails too, since it was checked against a state that
//!   never came to be. Reads go on.
//! - When nobody has written for a while, the journal may give space back.
//! - Watchers have no queues: each holds the resourceVersion that it has seen and pulls from the window. Who falls
//!   behind the window is told so (410).

mod journal;
mod object;
mod pace;
mod window;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex, RwLock};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::{oneshot, watch};

pub use journal::{Batch, Change, Journal, JournalError, Record, RedbJournal};
pub use object::{Key, Object};
use pace::Pace;
use window::Window;
pub use window::{Event, Limits};

macro_rules! locked {
    ($lock:expr) => {
        $lock.unwrap_or_else(std::sync::PoisonError::into_inner)
    };
}

mod derived;

pub(super) use derived::Derived;

/// Names a kind's objects: `group/plural`, for example `apps/deployments` or `/pods`.
pub type Table = Arc<str>;

/// Why a write did not happen.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WriteError {
    /// The object is not at the expected version any more: read it again and decide again.
    #[error("the object changed meanwhile")]
    Raced,
    /// What has to be written with the object is not at its expected version any more: decide about that again.
    #[error("what is written with the object changed meanwhile")]
    Overtaken,
    /// There is no room for it any more; the text says why.
    #[error("{0}")]
    Refused(String),
    /// The journal refused; the text says why.
    #[error("{0}")]
    Journal(Arc<JournalError>),
    /// The store is being closed.
    #[error("the API server is stopping")]
    Closed,
}

/// Why history cannot be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryError {
    /// Older than the window.
    TooOld {
        /// The oldest resourceVersion that still works.
        oldest: u64,
    },
    /// From the future.
    TooLarge {
        /// The current resourceVersion.
        current: u64,
    },
}

/// One object, and what is to become of it.
#[derive(Debug, Clone)]
pub struct Write {
    /// Where the object is.
    pub table: Table,
    /// Which object of the table.
    pub key: Key,
    /// The version that it must have; `None` = it must not exist.
    pub expected: Option<u64>,
    /// What it becomes, or its last state.
    pub value: Value,
    /// It goes.
    pub delete: bool,
}

struct Objects {
    live: BTreeMap<Key, Arc<Object>>,
    wake: watch::Sender<u64>,
}

impl Default for Objects {
    fn default() -> Self {
        Self { live: BTreeMap::new(), wake: watch::channel(0).0 }
    }
}

/// A write that is not durable yet: its resourceVersion, and the object unless it is a deletion.
type Pending = (u64, Option<Arc<Object>>);

#[derive(Default)]
struct State {
    /// Last resourceVersion given out.
    allocated: u64,
    /// Last resourceVersion that is durable and visible.
    committed: u64,
    tables: HashMap<Table, Objects>,
    /// Latest version of what is on its way to the disk; `None` is a deletion.
    pending: HashMap<(Table, Key), Pending>,
    window: Window,
}

struct Queued {
    table: Table,
    change: Change,
    object: Arc<Object>,
    /// Who waits for it, unless it belongs to the write before it.
    done: Option<oneshot::Sender<Result<Arc<Object>, WriteError>>>,
}

#[derive(Default)]
struct Queue {
    writes: Vec<Queued>,
    /// How many [`Held`] there are.
    held: usize,
    closed: bool,
}

/// What the commit thread does next.
enum Next {
    Commit(Vec<Queued>),
    TidyUp,
    End,
}

struct Shared {
    state: RwLock<State>,
    queue: Mutex<Queue>,
    queued: Condvar,
}

/// The object store. Cheap to share by `Arc`; dropping the last one flushes and closes the journal.
pub struct Store {
    shared: Arc<Shared>,
    committer: Mutex<Option<std::thread::JoinHandle<()>>>,
}

/// Nothing is committed while this exists: what is written meanwhile becomes one commit.
pub struct Held<'a>(&'a Shared);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        locked!(self.0.queue.lock()).held -= 1;
        self.0.queued.notify_all();
    }
}

/// A page of objects, all as of one resourceVersion.
#[derive(Debug)]
pub struct Page {
    /// The resourceVersion of the whole list.
    pub rv: u64,
    /// The objects in key order.
    pub objects: Vec<Arc<Object>>,
}

impl Store {
    /// Replays the journal and starts the commit thread.
    pub fn open(mut journal: Box<dyn Journal>, limits: Limits) -> Result<Self, JournalError> {
        let mut state = State { window: Window::new(limits), ..State::default() };
        let mut names: HashMap<String, Table> = HashMap::new();
        let mut history = Vec::new();
        let floor = journal.replay(&mut |rv, record| {
            let table =
                names.entry(record.table).or_insert_with_key(|name| name.as_str().into()).clone();
            let objects = state.tables.entry(table.clone()).or_default();
            let object = Arc::new(Object::stored(rv, record.key, record.bytes));
            let previous = match record.change {
                Change::Deleted => objects.live.remove(&object.key),
                _ => objects.live.insert(object.key.clone(), object.clone()),
            };
            history.push((table, Event { change: record.change, object, previous }));
            state.allocated = rv;
        })?;
        state.allocated = state.allocated.max(floor);
        state.committed = state.allocated;
        state.window.restore(floor, history);
        let shared = Arc::new(Shared {
            state: RwLock::new(state),
            queue: Mutex::default(),
            queued: Condvar::new(),
        });
        let committer = std::thread::Builder::new()
            .name("api-journal".into())
            .stack_size(256 << 10)
            .spawn({
                let shared = shared.clone();
                move || shared.commit_loop(journal, limits.idle)
            })
            .map_err(|source| JournalError::Io {
                action: "starting the thread that writes",
                path: Default::default(),
                source: Box::new(redb::Error::Io(source)),
            })?;
        Ok(Self { shared, committer: Mutex::new(Some(committer)) })
    }

    /// The committed object.
    pub fn get(&self, table: &Table, key: &Key) -> Option<Arc<Object>> {
        locked!(self.shared.state.read()).tables.get(table)?.live.get(key).cloned()
    }

    /// The object that a write must be based on: commits on their way to the disk included.
    pub fn latest(&self, table: &Table, key: &Key) -> Option<Arc<Object>> {
        locked!(self.shared.state.read()).latest(table, key)
    }

    /// The objects of a namespace that writes must be based on: commits on their way to the disk included.
    pub fn latest_in(&self, table: &Table, namespace: &str) -> Vec<Arc<Object>> {
        let state = locked!(self.shared.state.read());
        let committed =
            state.tables.get(table).into_iter().flat_map(|it| it.range(Some(namespace)));
        let mut all: BTreeMap<&Key, &Arc<Object>> = committed.map(|o| (&o.key, o)).collect();
        for ((of, key), (_, object)) in &state.pending {
            if of == table && &*key.namespace == namespace {
                match object {
                    Some(object) => all.insert(key, object),
                    None => all.remove(key),
                };
            }
        }
        all.into_values().cloned().collect()
    }

    /// The current resourceVersion.
    pub fn rv(&self) -> u64 {
        locked!(self.shared.state.read()).committed
    }

    /// The resourceVersion of the table's last change since start, 0 when there was none.
    pub fn changed(&self, table: &Table) -> u64 {
        locked!(self.shared.state.read())
            .tables
            .get(table)
            .map_or(0, |objects| *objects.wake.borrow())
    }

    /// How many objects the table holds.
    pub fn count(&self, table: &Table) -> usize {
        locked!(self.shared.state.read()).tables.get(table).map_or(0, |objects| objects.live.len())
    }

    /// All objects of the table in `namespace` (`None` = everywhere), as of now.
    pub fn list(&self, table: &Table, namespace: Option<&str>) -> Page {
        let state = locked!(self.shared.state.read());
        let objects =
            state.tables.get(table).map(|objects| objects.range(namespace).cloned().collect());
        Page { rv: state.committed, objects: objects.unwrap_or_default() }
    }

    /// The same, as of `rv`.
    pub fn list_at(
        &self,
        table: &Table,
        namespace: Option<&str>,
        rv: u64,
    ) -> Result<Page, HistoryError> {
        let state = locked!(self.shared.state.read());
        state.reachable(rv)?;
        let mut then: BTreeMap<Key, Option<Arc<Object>>> = BTreeMap::new();
        for event in state.window.after(table, rv) {
            then.entry(event.object.key.clone()).or_insert_with(|| event.previous.clone());
        }
        let wanted = |key: &Key| namespace.is_none_or(|ns| *key.namespace == *ns);
        let mut objects: Vec<_> = match state.tables.get(table) {
            Some(live) => {
                live.range(namespace).filter(|o| !then.contains_key(&o.key)).cloned().collect()
            }
            None => Vec::new(),
        };
        objects.extend(
            then.into_iter().filter(|(key, _)| wanted(key)).filter_map(|(_, object)| object),
        );
        objects.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(Page { rv, objects })
    }

    /// Writes `value` (or deletes, keeping `value` as the last state) if the latest version is `expected`
    /// (`None` = the object must not exist). Returns the stored version once it is durable.
    pub async fn write(
        &self,
        table: &Table,
        key: &Key,
        expected: Option<u64>,
        value: Value,
        delete: bool,
    ) -> Result<Arc<Object>, WriteError> {
        let (table, key) = (table.clone(), key.clone());
        self.queue(Write { table, key, expected, value, delete }, Vec::new())?.await
    }

    /// Queues a write together with others that belong to it: all of them are done, in one commit, or none. From here
    /// on they are the latest state; what is returned ends once they are durable.
    pub fn queue(
        &self,
        write: Write,
        with: Vec<Write>,
    ) -> Result<impl Future<Output = Result<Arc<Object>, WriteError>> + use<>, WriteError> {
        let (done, outcome) = oneshot::channel();
        let mut state = locked!(self.shared.state.write());
        let mut writes = Vec::with_capacity(1 + with.len());
        for mut write in std::iter::once(write).chain(with) {
            let latest = state.latest(&write.table, &write.key);
            if latest.as_ref().map(|o| o.rv) != write.expected {
                let itself = writes.is_empty();
                return Err(if itself { WriteError::Raced } else { WriteError::Overtaken });
            }
            let rv = state.allocated + 1 + writes.len() as u64;
            if let Some(metadata) = write.value.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.insert("resourceVersion".into(), rv.to_string().into());
            }
            let object = Arc::new(Object::new(rv, write.key, &write.value));
            let change = match (write.delete, latest.is_some()) {
                (true, _) => Change::Deleted,
                (false, true) => Change::Modified,
                (false, false) => Change::Added,
            };
            writes.push(Queued { table: write.table, change, object, done: None });
        }
        writes[0].done = Some(done);
        let mut queue = locked!(self.shared.queue.lock());
        if queue.closed {
            return Err(WriteError::Closed);
        }
        for write in writes {
            let rv = write.object.rv;
            let stays = (write.change != Change::Deleted).then(|| write.object.clone());
            state.allocated = rv;
            state.pending.insert((write.table.clone(), write.object.key.clone()), (rv, stays));
            queue.writes.push(write);
        }
        self.shared.queued.notify_one();
        Ok(async move { outcome.await.unwrap_or(Err(WriteError::Closed)) })
    }

    /// Events of the table after `rv`, at most `limit`, and the resourceVersion up to which they are complete.
    pub fn events(
        &self,
        table: &Table,
        rv: u64,
        limit: usize,
    ) -> Result<(Vec<Arc<Event>>, u64), HistoryError> {
        let state = locked!(self.shared.state.read());
        state.reachable(rv)?;
        let events: Vec<_> = state.window.after(table, rv).take(limit).cloned().collect();
        let complete =
            if events.len() < limit { state.committed } else { events[limit - 1].object.rv };
        Ok((events, complete))
    }

    /// Holds commits back.
    pub fn hold(&self) -> Held<'_> {
        locked!(self.shared.queue.lock()).held += 1;
        Held(&self.shared)
    }

    /// Commits what is queued and closes the journal. Reads go on, writes are refused from here on.
    pub fn close(&self) {
        locked!(self.shared.queue.lock()).closed = true;
        self.shared.queued.notify_all();
        if let Some(committer) = locked!(self.committer.lock()).take() {
            let _ = committer.join();
        }
    }

    /// Wakes whenever the table changes.
    pub fn wake(&self, table: &Table) -> watch::Receiver<u64> {
        if let Some(objects) = locked!(self.shared.state.read()).tables.get(table) {
            return objects.wake.subscribe();
        }
        locked!(self.shared.state.write()).tables.entry(table.clone()).or_default().wake.subscribe()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

impl Objects {
    fn range<'a>(&'a self, namespace: Option<&'a str>) -> impl Iterator<Item = &'a Arc<Object>> {
        let start = Key::new(namespace.unwrap_or(""), "");
        self.live
            .range(start..)
            .take_while(move |(key, _)| namespace.is_none_or(|ns| *key.namespace == *ns))
            .map(|(_, object)| object)
    }
}

impl State {
    fn latest(&self, table: &Table, key: &Key) -> Option<Arc<Object>> {
        if !self.pending.is_empty()
            && let Some((_, pending)) = self.pending.get(&(table.clone(), key.clone()))
        {
            return pending.clone();
        }
        self.tables.get(table)?.live.get(key).cloned()
    }

    fn reachable(&self, rv: u64) -> Result<(), HistoryError> {
        if rv < self.window.floor() {
            return Err(HistoryError::TooOld { oldest: self.window.floor() });
        }
        if rv > self.committed {
            return Err(HistoryError::TooLarge { current: self.committed });
        }
        Ok(())
    }

    fn apply(&mut self, write: &Queued) {
        let rv = write.object.rv;
        let objects = self.tables.entry(write.table.clone()).or_default();
        let previous = match write.change {
            Change::Deleted => objects.live.remove(&write.object.key),
            _ => objects.live.insert(write.object.key.clone(), write.object.clone()),
        };
        let pending = (write.table.clone(), write.object.key.clone());
        if self.pending.get(&pending).is_some_and(|(latest, _)| *latest == rv) {
            self.pending.remove(&pending);
        }
        let event = Event { change: write.change, object: write.object.clone(), previous };
        self.window.push(&write.table, Arc::new(event));
        self.committed = rv;
    }
}

/// Whatever ends the commit thread, a panic included: who waits for it, and who comes later, is told.
struct EndOfWriting<'a>(&'a Shared);

impl Drop for EndOfWriting<'_> {
    fn drop(&mut self) {
        let mut queue = locked!(self.0.queue.lock());
        queue.closed = true;
        queue.writes.clear();
    }
}

impl Shared {
    fn commit_loop(&self, mut journal: Box<dyn Journal>, idle: Duration) {
        let _end = EndOfWriting(self);
        let mut pace = Pace::default();
        let mut tidy = false;
        loop {
            let writes = match self.next(&pace, (!tidy).then_some(idle)) {
                Next::Commit(writes) => writes,
                Next::TidyUp => {
                    tidy = true;
                    match journal.compact() {
                        Ok(true) => tracing::info!("the object database has given space back"),
                        Ok(false) => {}
                        Err(error) => {
                            tracing::warn!(%error, "nothing is lost; the next quiet moment tries again")
                        }
                    }
                    continue;
                }
                Next::End => return,
            };
            tidy = false;
            let put = writes.iter().map(|write| {
                let record = Record {
                    change: write.change,
                    table: write.table.to_string(),
                    key: write.object.key.clone(),
                    bytes: write.object.bytes.clone(),
                };
                (write.object.rv, record)
            });
            let (drop, floor) = locked!(self.state.write()).window.trim();
            let (count, began) = (writes.len(), Instant::now());
            let outcome = journal.append(&Batch { put: put.collect(), drop: drop.clone(), floor });
            let took = began.elapsed();
            let queued = locked!(self.queue.lock()).writes.len();
            match outcome {
                Ok(()) => self.publish(writes),
                Err(error) => self.fail(writes, drop, error),
            }
            pace.committed(count, queued, took, Instant::now());
        }
    }

    /// Waits for something to do. Without a write for so long as `idle` says, that is tidying up.
    fn next(&self, pace: &Pace, idle: Option<Duration>) -> Next {
        let mut queue = locked!(self.queue.lock());
        loop {
            let wait = match (queue.writes.len(), queue.closed) {
                (0, true) => return Next::End,
                (_, true) => Some(Duration::ZERO),
                _ if queue.held > 0 => None,
                (0, false) => idle,
                (count, false) => Some(pace.wait(count, Instant::now())),
            };
            queue = match wait {
                None => locked!(self.queued.wait(queue)),
                Some(Duration::ZERO) => return Next::Commit(std::mem::take(&mut queue.writes)),
                Some(time) => {
                    let (queue, waited) = locked!(self.queued.wait_timeout(queue, time));
                    if waited.timed_out() && queue.writes.is_empty() && !queue.closed {
                        return Next::TidyUp;
                    }
                    queue
                }
            };
        }
    }

    fn publish(&self, writes: Vec<Queued>) {
        {
            let mut state = locked!(self.state.write());
            for write in &writes {
                state.apply(write);
            }
            for write in &writes {
                if let Some(objects) = state.tables.get(&write.table) {
                    objects.wake.send_replace(write.object.rv);
                }
            }
        }
        for write in writes {
            if let Some(done) = write.done {
                let _ = done.send(Ok(write.object));
            }
        }
    }

    fn fail(&self, mut writes: Vec<Queued>, drop: Vec<u64>, error: JournalError) {
        tracing::error!(%error, writes = writes.len(), "a commit failed; its writes are refused");
        {
            let mut state = locked!(self.state.write());
            state.window.untrim(drop);
            // Whatever queued meanwhile was checked against the state that has just failed.
            writes.append(&mut locked!(self.queue.lock()).writes);
            state.pending.clear();
        }
        let error = Arc::new(error);
        for write in writes {
            if let Some(done) = write.done {
                let _ = done.send(Err(WriteError::Journal(error.clone())));
            }
        }
    }
}
