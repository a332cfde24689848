//! Being asked to end.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub use unix::Asks;
#[cfg(windows)]
pub use windows::Asks;

/// How this process is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// By somebody who presses ctrl-c.
    Interrupt,
    /// By whoever started it, or the system.
    Terminate,
}
