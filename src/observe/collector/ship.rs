//! Sending lines to the observer: bounded, in order, until it says that it has them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use curtain_role::{Backoff, Shutdown};
use http::Method;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::door::{Door, PATIENCE};
use crate::wire::{Batch, LINES_PATH, Line, POSITIONS_PATH, Part, Source, Stored};

/// Bytes of lines that may wait in all; then readers wait, and the containers' log files keep the rest.
const WAITING: usize = 4 << 20;
/// What a line costs beside its text.
const OVERHEAD: usize = 64;
/// A batch is sent at this size,
const BATCH_BYTES: usize = 512 << 10;
/// or when its first line is this old.
const BATCH_AGE: Duration = Duration::from_millis(100);
/// Time for the last lines once the end was asked for, whoever does not answer: what is not stored then is read again.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(1);

struct Waiting {
    source: Arc<Source>,
    line: Line,
    cost: usize,
    /// Gives its bytes back when the line has been stored.
    _permit: OwnedSemaphorePermit,
}

/// Where readers put their lines.
#[derive(Clone)]
pub(super) struct Inlet {
    room: Arc<Semaphore>,
    lines: mpsc::UnboundedSender<Waiting>,
}

impl Inlet {
    /// Waits until there is room. False when nobody sends any more.
    pub(super) async fn put(&self, source: &Arc<Source>, line: Line) -> bool {
        let cost = line.1.len() + OVERHEAD;
        let Ok(permits) = u32::try_from(cost.min(WAITING)) else { return false };
        let Ok(permit) = self.room.clone().acquire_many_owned(permits).await else { return false };
        self.lines.send(Waiting { source: source.clone(), line, cost, _permit: permit }).is_ok()
    }
}

/// Posts lines to the observer.
pub(super) struct Shipper {
    door: Door,
    lines: mpsc::UnboundedReceiver<Waiting>,
}

impl Shipper {
    pub(super) fn new(door: Door) -> (Shipper, Inlet) {
        // Bounded by the bytes that the semaphore gives out.
        let (sender, lines) = mpsc::unbounded_channel();
        let inlet = Inlet { room: Arc::new(Semaphore::new(WAITING)), lines: sender };
        (Shipper { door, lines }, inlet)
    }

    /// How far each container's log is stored; asks until it is told or `shutdown`.
    pub(super) async fn positions(&self, shutdown: &Shutdown) -> Option<Vec<Stored>> {
        let mut backoff = Backoff::default();
        loop {
            let answer = tokio::select! {
                answer = self.door.request(Method::GET, POSITIONS_PATH, Bytes::new()) => answer,
                () = shutdown.wait() => return None,
            };
            let error = match answer {
                Ok(body) => match serde_json::from_slice(&body) {
                    Ok(positions) => return Some(positions),
                    Err(error) => error.to_string(),
                },
                Err(error) => error.to_string(),
            };
            let pause = backoff.next().unwrap_or(PATIENCE);
            tracing::info!(error, retry_in = ?pause, "waiting for the observer");
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.wait() => return None,
            }
        }
    }

    /// Sends until `shutdown`, then what is left, for as long as that may take.
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
                first = self.lines.recv() => first,
                () = shutdown.wait() => break,
            };
            let Some(first) = first else { return };
            let batch = self.gather(first).await;
            if !self.door.deliver(LINES_PATH, encode(&batch), "lines", shutdown).await {
                break;
            }
        }
        while let Ok(first) = self.lines.try_recv() {
            let batch = self.gather(first).await;
            let body = encode(&batch);
            if self.door.request(Method::POST, LINES_PATH, body).await.is_err() {
                return;
            }
        }
    }

    async fn gather(&mut self, first: Waiting) -> Vec<Waiting> {
        let deadline = tokio::time::Instant::now() + BATCH_AGE;
        let mut bytes = first.cost;
        let mut batch = vec![first];
        while bytes < BATCH_BYTES {
            match tokio::time::timeout_at(deadline, self.lines.recv()).await {
                Ok(Some(next)) => {
                    bytes += next.cost;
                    batch.push(next);
                }
                Ok(None) | Err(_) => break,
            }
        }
        batch
    }
}

/// Lines by source, each in its order.
fn encode(batch: &[Waiting]) -> Bytes {
    let mut parts: Vec<Part> = Vec::new();
    let mut at: std::collections::HashMap<*const Source, usize> = std::collections::HashMap::new();
    for waiting in batch {
        let place = *at.entry(Arc::as_ptr(&waiting.source)).or_insert_with(|| {
            parts.push(Part { source: (*waiting.source).clone(), lines: Vec::new() });
            parts.len() - 1
        });
        parts[place].lines.push(waiting.line.clone());
    }
    // Strings and numbers only: it cannot fail.
    serde_json::to_vec(&Batch { parts }).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use http::Uri;

    use super::*;
    use crate::wire::Position;

    #[tokio::test]
    async fn readers_wait_when_the_buffer_is_full() {
        let (mut shipper, inlet) =
            Shipper::new(Door::new(Uri::from_static("http://127.0.0.1:1"), "none".into()));
        let source = Arc::new(Source::default());
        let line = || Line(Position::default(), "x".repeat(1 << 20));
        for _ in 0..3 {
            assert!(inlet.put(&source, line()).await);
        }
        let fourth =
            tokio::time::timeout(Duration::from_millis(50), inlet.put(&source, line())).await;
        assert!(fourth.is_err(), "a fourth megabyte with its overhead does not fit");
        drop(shipper.lines.recv().await);
        assert!(inlet.put(&source, line()).await);
    }

    #[tokio::test]
    async fn an_observer_that_does_not_answer_is_not_waited_for_in_the_end() {
        let deaf = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let token = tempfile::NamedTempFile::new().unwrap();
        let address = format!("http://{}", deaf.local_addr().unwrap());
        let (shipper, inlet) =
            Shipper::new(Door::new(address.parse().unwrap(), token.path().to_owned()));
        let line = Line(Position::default(), "x".to_owned());
        assert!(inlet.put(&Arc::new(Source::default()), line).await);
        let shutdown = Shutdown::default();
        let shipping = tokio::spawn(shipper.run(shutdown.clone()));
        // It is sending when the end is asked for.
        let _asked = deaf.accept().await.unwrap();
        shutdown.trigger();
        let ended = tokio::time::timeout(PATIENCE / 2, shipping).await;
        ended.expect("it ends before the observer's time is over").unwrap();
    }
}
