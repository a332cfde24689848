//! SPDY/3.1 as `kubectl port-forward` speaks it inside a WebSocket: one session, many streams, two for each connection.
//!
//! Only what its client needs is here, and all of it is bounded: [`frame`] reads and writes frames, [`headers`] their
//! compressed headers, [`session`] serves. Frames and WebSocket messages have nothing to do with each other: a message
//! may hold a piece of a frame, or several. There is no flow control, because the client has none: it never sends
//! WINDOW_UPDATE and does not wait for any; a connection that is slow holds up its session.

mod frame;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod headers;
mod session;
#[cfg(test)]
mod tests;

pub(in crate::apiserver) use session::serve;
