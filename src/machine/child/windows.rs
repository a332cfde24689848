//! The command shares the console: who presses ctrl-c there reaches it as well as this process.

use std::{io, process::Command, time::Duration};

use crate::signals::Asks;

/// What asks this process to end, from the moment it is listened to.
#[derive(Debug)]
pub struct Signals(Asks);

impl Signals {
    /// Listens from now on. Call it inside a runtime.
    ///
    /// # Errors
    /// A system that does not let it.
    pub fn new() -> io::Result<Self> {
        Asks::new().map(Self)
    }

    /// Waits for the next one.
    pub async fn asked(&mut self) {
        self.0.next().await;
    }
}

/// Runs `command` to its end and returns its code. From the first request to end on it has `grace`, and then it is
/// killed.
///
/// # Errors
/// A command that cannot be started.
pub async fn run(command: Command, grace: Duration, signals: &mut Signals) -> io::Result<u8> {
    let mut child = tokio::process::Command::from(command).spawn()?;
    let ended = tokio::select! {
        status = child.wait() => Some(status?),
        () = signals.asked() => None,
    };
    let status = match ended {
        Some(status) => status,
        None => match tokio::time::timeout(grace, child.wait()).await {
            Ok(status) => status?,
            Err(_) => {
                child.kill().await?;
                child.wait().await?
            }
        },
    };
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX))
}
