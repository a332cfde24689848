//! When connections are served: not before the node knows where they go.
//!
//! After a restart, connections wait in accept queues while Services are
//! listed and pods are attached again. Serving them earlier would refuse them.

use std::sync::Arc;

use tokio::sync::watch;

/// Closed while anybody holds it. Clones share it.
#[derive(Clone)]
pub(super) struct Gate(Arc<watch::Sender<usize>>);

/// Keeps connections waiting until it is dropped.
#[must_use = "connections wait only as long as this is kept"]
pub struct Hold(Gate);

impl Gate {
    /// An open gate.
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    pub(super) fn hold(&self) -> Hold {
        self.0.send_modify(|holds| *holds += 1);
        Hold(self.clone())
    }

    /// Wait until nobody holds the gate.
    pub(super) async fn passed(&self) {
        // The sender lives in `self`, so this cannot fail.
        let _ = self.0.subscribe().wait_for(|holds| *holds == 0).await;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.0.send_modify(|holds| *holds -= 1);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn the_last_hold_opens() {
        let gate = Gate::new();
        gate.passed().await;
        let (one, two) = (gate.hold(), gate.hold());
        drop(one);
        assert!(timeout(Duration::from_millis(20), gate.passed()).await.is_err());
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.passed().await }
        });
        drop(two);
        waiting.await.unwrap();
    }
}
