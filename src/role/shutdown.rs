//! Asking a role to end.

use std::io;

use curtain_machine::signals::Asks;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

/// A request to end that every task of a role can hear.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// Fires when this process is asked to end, by SIGTERM or SIGINT for example. Call it inside the runtime.
    pub fn on_signals() -> io::Result<Self> {
        let shutdown = Self::default();
        let mut asks = Asks::new()?;
        let token = shutdown.0.clone();
        tokio::spawn(async move {
            asks.next().await;
            token.cancel();
        });
        Ok(shutdown)
    }

    /// Asks everybody to end.
    pub fn trigger(&self) {
        self.0.cancel();
    }

    /// Whether the end was asked for.
    pub fn is_triggered(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Resolves when the end is asked for.
    pub fn wait(&self) -> WaitForCancellationFuture<'_> {
        self.0.cancelled()
    }

    /// The token itself, for libraries that take one.
    pub fn token(&self) -> CancellationToken {
        self.0.clone()
    }

    /// A shutdown that ends with this one but can be triggered alone.
    pub fn child(&self) -> Self {
        Self(self.0.child_token())
    }
}
