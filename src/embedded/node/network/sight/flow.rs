//! One connection, or one session of datagrams, while it lasts.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use jiff::Timestamp;

use super::ends::Ends;
use super::report::{Record, Requests, Verdict};
use super::series::Pair;
use super::tap::{Side, Tap};
use super::{Sight, add, lock};
use crate::node::network::decide::Refusal;
use crate::node::network::index::Protocol;
use crate::node::network::pods::Pod;

/// Counts what passes. When it is dropped, the connection is over.
pub(in crate::node::network) struct Flow {
    sight: Arc<Sight>,
    id: u64,
    pair: Arc<Pair>,
    /// The pods at its ends, whose totals it adds to.
    pods: [Option<Arc<Pod>>; 2],
    began: Timestamp,
    clock: Instant,
    sent: AtomicU64,
    received: AtomicU64,
    verdict: Mutex<Verdict>,
    /// Whether the tap is of use.
    looking: AtomicBool,
    tap: Mutex<(Tap, Requests)>,
}

impl Flow {
    /// Begins with what was decided. Until [`forwarded`](Self::forwarded) is called, nobody has accepted it.
    pub(super) fn open(
        sight: &Arc<Sight>,
        ends: Ends,
        pods: [Option<Arc<Pod>>; 2],
        refusal: Option<Refusal>,
    ) -> Arc<Self> {
        let verdict = refusal.map_or(Verdict::Failed(None), Verdict::Refused);
        let http = ends.protocol == Protocol::Tcp && refusal.is_none();
        let flow = Arc::new(Self {
            id: sight.next.fetch_add(1, Ordering::Relaxed),
            pair: sight.series.pair(ends),
            sight: sight.clone(),
            pods,
            began: Timestamp::now(),
            clock: Instant::now(),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            verdict: Mutex::new(verdict),
            looking: AtomicBool::new(http),
            tap: Mutex::new((Tap::new(), Requests::default())),
        });
        lock(&sight.open).insert(flow.id, Arc::downgrade(&flow));
        flow
    }

    /// The other end has accepted.
    pub(in crate::node::network) fn forwarded(&self) {
        *lock(&self.verdict) = Verdict::Forwarded(None);
        add(&self.pair.forwarded, 1);
    }

    /// It did not end in order.
    pub(in crate::node::network) fn broke(&self, error: &io::Error) {
        let mut verdict = lock(&self.verdict);
        if let Verdict::Forwarded(why) | Verdict::Failed(why) = &mut *verdict {
            *why = Some(error.kind());
        }
    }

    /// These bytes have come from `side`.
    pub(in crate::node::network) fn passed(&self, side: Side, bytes: &[u8]) {
        self.count(side, bytes.len());
        if !self.looking.load(Ordering::Relaxed) {
            return;
        }
        let (tap, requests) = &mut *lock(&self.tap);
        tap.feed(side, bytes, Instant::now(), &mut |one| {
            self.sight.series.count(&self.pair, &one);
            requests.add(one);
        });
        self.looking.store(!tap.is_blind(), Ordering::Relaxed);
    }

    /// So many bytes have come from `side`.
    pub(in crate::node::network) fn count(&self, side: Side, length: usize) {
        let length = length as u64;
        let [source, destination] = self.pods.each_ref().map(Option::as_deref);
        let (own, pair, from, to) = match side {
            Side::Client => (&self.sent, &self.pair.sent, source, destination),
            Side::Server => (&self.received, &self.pair.received, destination, source),
        };
        add(own, length);
        add(pair, length);
        if let Some(pod) = from {
            add(&pod.traffic.sent, length);
        }
        if let Some(pod) = to {
            add(&pod.traffic.received, length);
        }
    }

    /// What there is to tell of it by now.
    pub(super) fn record(&self) -> Record {
        Record {
            ends: self.pair.ends.clone(),
            began: self.began,
            duration: self.clock.elapsed(),
            verdict: *lock(&self.verdict),
            sent: self.sent.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
            requests: lock(&self.tap).1.clone(),
        }
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        lock(&self.sight.open).remove(&self.id);
        {
            let (tap, requests) = &mut *lock(&self.tap);
            tap.end(&mut |one| {
                self.sight.series.count(&self.pair, &one);
                requests.add(one);
            });
        }
        let record = self.record();
        match record.verdict {
            Verdict::Forwarded(_) => {}
            Verdict::Refused(refusal) if refusal.denies() => add(&self.pair.denied, 1),
            Verdict::Refused(_) | Verdict::Failed(_) => add(&self.pair.failed, 1),
        }
        // Whoever sends datagrams to nobody does so again and again: they are counted, and leave room for others.
        let refused = matches!(record.verdict, Verdict::Refused(_));
        if self.pair.ends.protocol == Protocol::Tcp || !refused {
            lock(&self.sight.ring).push(record);
        }
    }
}
