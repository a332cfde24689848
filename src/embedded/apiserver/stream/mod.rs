//! Streams over WebSocket: `pods/exec`, `pods/attach` and `pods/portforward`.
//!
//! A request is checked like any other, and refused with a `Status` like any other; then the connection changes to
//! WebSocket ([`upgrade`]) and a task of its own serves it until one of the two ends. Messages begin with the number
//! of a channel ([`channel`]): those of [`exec`] are a program's streams, those of [`forward`] connections.
//! kubectl forwards ports with SPDY frames instead ([`spdy`]).
//!
//! Invariants: a client that does not read is not read for, and a program that does not read is not written for:
//! a program's streams keep what one message holds, connections what their [`budget`] allows; a stream ends with the close code 1000, or says why not.

mod budget;
mod channel;
mod exec;
mod forward;
#[cfg(any(test, fuzzing))]
mod fuzz;
mod spdy;
mod upgrade;

#[cfg(test)]
mod tests;

pub(super) use channel::Version;
pub(super) use exec::{LARGEST as LARGEST_INPUT, serve as serve_session};
pub(super) use forward::{Connect, LARGEST as LARGEST_FORWARD, MOST_PORTS, serve as serve_ports};
#[cfg(any(test, fuzzing))]
pub(super) use fuzz::{channels as fuzz_channels, frames as fuzz_frames};
pub(super) use spdy::serve as serve_spdy;
pub(super) use upgrade::{Offer, refuse_without};
