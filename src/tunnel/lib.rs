//! The tunnel between a plane's agent and the control plane: an HTTP/2
//! connection inside a WebSocket, with the roles turned around.
//!
//! The agent dials out (mTLS, `GET /ws`), so a plane needs no way in. After
//! the upgrade the *agent* is the HTTP/2 server and the hub its client: each
//! request, watch or log follow is a stream with flow control and
//! cancellation, and neither end needs frames of its own.
//!
//! Invariants: both ends name the protocol's [`VERSION`] in the header
//! [`VERSION_HEADER`] and refuse any other; a silent peer is found out by
//! HTTP/2 pings within [`SILENCE`].
//!
//! Entry points: [`dial`] and [`serve`] for the agent, [`accept`] and
//! [`connect`] for the hub; [`certs`] reads mounted certificates for both.

pub mod certs;

mod agent;
mod hub;
mod plane;
mod stream;
#[cfg(test)]
mod tests;
mod tied;

use std::time::Duration;

pub use agent::{DialError, dial, serve};
pub use hub::{AcceptError, Accepted, Requests, accept, connect};
pub use plane::{PlaneId, PlaneType, UnknownPlane};
pub use stream::WsStream;

/// Version of what is spoken after the upgrade.
pub const VERSION: &str = "1";

/// Header in which both ends name the [`VERSION`].
pub const VERSION_HEADER: &str = "curtain-tunnel-version";

/// Pause between pings on an idle connection.
pub const PING: Duration = Duration::from_secs(30);

/// How long a ping may go without an answer.
pub const SILENCE: Duration = Duration::from_secs(20);

/// Streams of one connection at a time; every watch of the control plane is one.
const MAX_STREAMS: u32 = 1024;

/// What one stream may have on its way before the reader takes it.
const STREAM_WINDOW: u32 = 256 * 1024;

/// What all streams together may have on their way.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
