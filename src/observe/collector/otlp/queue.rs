//! Where spans wait for the observer: bounded by their bytes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use curtain_role::Shutdown;
use http::Method;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::super::door::Door;
use super::super::ship::LAST_WORDS;
use crate::traces::wire::{Batch, Part, SPANS_PATH};

/// Bytes of requests and of what they became that may be here in all.
const WAITING: usize = 8 << 20;
/// A batch is sent at this size,
const BATCH_BYTES: usize = 512 << 10;
/// or when its first spans are this old.
const BATCH_AGE: Duration = Duration::from_millis(200);

/// Room for bytes, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Room(OwnedSemaphorePermit);

impl Room {
    /// Joins two of them.
    pub(super) fn with(&mut self, other: Room) {
        self.0.merge(other.0);
    }
}

struct Waiting {
    parts: Vec<Part>,
    bytes: usize,
    room: Room,
}

/// Where requests ask for room and leave their spans.
#[derive(Clone)]
pub(super) struct Inlet {
    room: Arc<Semaphore>,
    parts: mpsc::UnboundedSender<Waiting>,
}

impl Inlet {
    /// Room for so many bytes, if there is some now.
    pub(super) fn room(&self, bytes: usize) -> Option<Room> {
        let permits = u32::try_from(bytes).ok()?;
        self.room.clone().try_acquire_many_owned(permits).ok().map(Room)
    }

    /// Leaves spans that were read with `room`. False when nobody sends any more.
    pub(super) fn put(&self, parts: Vec<Part>, bytes: usize, room: Room) -> bool {
        self.parts.send(Waiting { parts, bytes, room }).is_ok()
    }
}

/// Posts what waits, in its order.
pub(super) struct Queue {
    door: Door,
    parts: mpsc::UnboundedReceiver<Waiting>,
}

impl Queue {
    pub(super) fn new(door: Door) -> (Queue, Inlet) {
        // Bounded by the bytes that the semaphore gives out.
        let (sender, parts) = mpsc::unbounded_channel();
        let inlet = Inlet { room: Arc::new(Semaphore::new(WAITING)), parts: sender };
        (Queue { door, parts }, inlet)
    }

    /// Posts until `shutdown`, then what is left, for as long as that may take.
    pub(super) async fn run(self, shutdown: Shutdown) {
        let late = async {
            shutdown.wait().await;
            tokio::time::sleep(LAST_WORDS).await;
        };
        tokio::select! {
            () = self.ship(&shutdown) => {}
            () = late => {}
        }
    }

    async fn ship(mut self, shutdown: &Shutdown) {
        loop {
            let first = tokio::select! {
                first = self.parts.recv() => first,
                () = shutdown.wait() => break,
            };
            let Some(first) = first else { return };
            let (batch, _room) = self.gather(first).await;
            if !self.door.deliver(SPANS_PATH, encode(batch), "spans", shutdown).await {
                break;
            }
        }
        while let Ok(first) = self.parts.try_recv() {
            let (batch, _room) = self.gather(first).await;
            if self.door.request(Method::POST, SPANS_PATH, encode(batch)).await.is_err() {
                return;
            }
        }
    }

    async fn gather(&mut self, first: Waiting) -> (Batch, Vec<Room>) {
        let deadline = tokio::time::Instant::now() + BATCH_AGE;
        let mut bytes = first.bytes;
        let (mut parts, mut rooms) = (first.parts, vec![first.room]);
        while bytes < BATCH_BYTES {
            match tokio::time::timeout_at(deadline, self.parts.recv()).await {
                Ok(Some(next)) => {
                    bytes += next.bytes;
                    parts.extend(next.parts);
                    rooms.push(next.room);
                }
                Ok(None) | Err(_) => break,
            }
        }
        (Batch { parts }, rooms)
    }
}

fn encode(batch: Batch) -> Bytes {
    // Strings, numbers and JSON: it cannot fail.
    serde_json::to_vec(&batch).unwrap_or_default().into()
}
