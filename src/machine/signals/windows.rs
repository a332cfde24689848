//! Ctrl-c, and what a console says when it is closed.

use std::io;

use tokio::signal::windows::{
    CtrlBreak, CtrlC, CtrlClose, CtrlShutdown, ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown,
};

use super::Ask;

/// Those who ask, from the moment they are listened to.
#[derive(Debug)]
pub struct Asks {
    interrupt: CtrlC,
    stop: CtrlBreak,
    close: CtrlClose,
    shutdown: CtrlShutdown,
}

impl Asks {
    /// Listens from now on. Call it inside a runtime.
    ///
    /// # Errors
    /// A system that does not let it.
    pub fn new() -> io::Result<Self> {
        let (interrupt, stop) = (ctrl_c()?, ctrl_break()?);
        Ok(Self { interrupt, stop, close: ctrl_close()?, shutdown: ctrl_shutdown()? })
    }

    /// The next one.
    pub async fn next(&mut self) -> Ask {
        tokio::select! {
            _ = self.interrupt.recv() => Ask::Interrupt,
            _ = self.stop.recv() => Ask::Terminate,
            _ = self.close.recv() => Ask::Terminate,
            _ = self.shutdown.recv() => Ask::Terminate,
        }
    }
}
