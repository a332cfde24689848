//! Lines on their way to the observer, and how far it has them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use curtain_role::{Backoff, Shutdown};
use http::Method;

use super::door::{Door, PATIENCE};
use super::queue::{Inlet, Load};
use crate::wire::{Batch, LINES_PATH, Line, POSITIONS_PATH, Part, Source, Stored};

/// What a line costs beside its text.
const OVERHEAD: usize = 64;

/// A line of a container.
pub(super) struct Shipped {
    source: Arc<Source>,
    line: Line,
}

impl Load for Shipped {
    const PATH: &'static str = LINES_PATH;
    const WHAT: &'static str = "lines";
    /// Then readers wait, and the containers' log files keep the rest.
    const WAITING: usize = 4 << 20;
    const AGE: Duration = Duration::from_millis(100);

    /// By source, each in its order.
    fn encode(batch: Vec<Self>) -> Bytes {
        let mut parts: Vec<Part> = Vec::new();
        let mut at: HashMap<*const Source, usize> = HashMap::new();
        // The sources live as long as all of this: no address comes twice.
        for Shipped { source, line } in &batch {
            let place = *at.entry(Arc::as_ptr(source)).or_insert_with(|| {
                parts.push(Part { source: (**source).clone(), lines: Vec::new() });
                parts.len() - 1
            });
            parts[place].lines.push(line.clone());
        }
        // Strings and numbers only: it cannot fail.
        serde_json::to_vec(&Batch { parts }).unwrap_or_default().into()
    }
}

impl Inlet<Shipped> {
    /// Waits until there is room for a line. False when nobody sends any more.
    pub(super) async fn ship(&self, source: &Arc<Source>, line: Line) -> bool {
        let bytes = line.1.len() + OVERHEAD;
        let Some(room) = self.wait(bytes).await else { return false };
        self.put(Shipped { source: source.clone(), line }, bytes, room)
    }
}

/// How far each container's log is stored; asks until it is told or `shutdown`.
pub(super) async fn positions(door: &Door, shutdown: &Shutdown) -> Option<Vec<Stored>> {
    let mut backoff = Backoff::default();
    loop {
        let answer = tokio::select! {
            answer = door.request(Method::GET, POSITIONS_PATH, Bytes::new()) => answer,
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
