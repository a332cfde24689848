//! SIGINT and SIGTERM.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Ask;

/// Those who ask, from the moment they are listened to.
#[derive(Debug)]
pub struct Asks {
    terminate: Signal,
    interrupt: Signal,
}

impl Asks {
    /// Listens from now on. Call it inside a runtime.
    ///
    /// # Errors
    /// A system that does not let it.
    pub fn new() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The next one.
    pub async fn next(&mut self) -> Ask {
        tokio::select! {
            _ = self.terminate.recv() => Ask::Terminate,
            _ = self.interrupt.recv() => Ask::Interrupt,
        }
    }
}
