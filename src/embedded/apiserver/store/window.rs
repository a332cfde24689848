//! The window of recent events, from which watches resume and past lists are rebuilt.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::{Change, Object, Table};

/// One change, as watchers see it.
#[derive(Debug)]
pub struct Event {
    /// What happened.
    pub change: Change,
    /// The new state; the last state of a deleted object.
    pub object: Arc<Object>,
    /// The state before.
    pub previous: Option<Arc<Object>>,
}

/// How much history is kept, and when is tidied up.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// At most so many events.
    pub events: usize,
    /// At most so many bytes of states that nothing but the window holds, as long as `at_least` events remain.
    pub bytes: usize,
    /// So many events are kept whatever they weigh.
    pub at_least: usize,
    /// After so long without a write the journal may give space back.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { events: 8192, bytes: 4 << 20, at_least: 512, idle: Duration::from_secs(1) }
    }
}

#[derive(Default)]
pub(super) struct Window {
    limits: Limits,
    /// Everything up to here has left the window.
    floor: u64,
    bytes: usize,
    order: VecDeque<(Table, Arc<Event>)>,
    tables: HashMap<Table, VecDeque<Arc<Event>>>,
    /// Journal records that only a failed commit would have removed; the next one takes them along.
    unremoved: Vec<u64>,
}

/// What the window alone keeps alive: the state before, and a deleted object's last state.
fn weight(event: &Event) -> usize {
    let last = if event.change == Change::Deleted { event.object.bytes.len() } else { 0 };
    event.previous.as_ref().map_or(0, |p| p.bytes.len()) + last
}

impl Window {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    pub(super) fn floor(&self) -> u64 {
        self.floor
    }

    pub(super) fn restore(&mut self, floor: u64, history: Vec<(Table, Event)>) {
        self.floor = floor;
        for (table, event) in history {
            if event.object.rv > floor {
                self.push(&table, Arc::new(event));
            }
        }
    }

    pub(super) fn push(&mut self, table: &Table, event: Arc<Event>) {
        self.bytes += weight(&event);
        self.order.push_back((table.clone(), event.clone()));
        self.tables.entry(table.clone()).or_default().push_back(event);
    }

    /// Lets the oldest events go until the limits hold. Returns the journal records that nothing needs any more
    /// (the superseded state of each, and tombstones) and the new floor.
    pub(super) fn trim(&mut self) -> (Vec<u64>, u64) {
        let mut drop = std::mem::take(&mut self.unremoved);
        while self.order.len() > self.limits.events
            || (self.bytes > self.limits.bytes && self.order.len() > self.limits.at_least)
        {
            let Some((table, event)) = self.order.pop_front() else { break };
            if let Some(events) = self.tables.get_mut(&table) {
                events.pop_front();
            }
            self.bytes -= weight(&event);
            self.floor = event.object.rv;
            drop.extend(event.previous.as_ref().map(|previous| previous.rv));
            if event.change == Change::Deleted {
                drop.push(event.object.rv);
            }
        }
        (drop, self.floor)
    }

    /// The commit that should have removed these records failed.
    pub(super) fn untrim(&mut self, records: Vec<u64>) {
        self.unremoved = records;
    }

    /// Events of the table after `rv`, oldest first.
    pub(super) fn after(&self, table: &Table, rv: u64) -> impl Iterator<Item = &Arc<Event>> {
        let events = self.tables.get(table);
        let start =
            events.map_or(0, |events| events.partition_point(|event| event.object.rv <= rv));
        events.into_iter().flat_map(move |events| events.range(start..))
    }
}
