//! A command that is run for the user: what is meant for it reaches it, and how it ends is passed on.

#[cfg(unix)]
mod terminal;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub use unix::{Signals, run};
#[cfg(windows)]
pub use windows::{Signals, run};
