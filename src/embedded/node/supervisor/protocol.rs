//! What node and supervisor say to each other, as JSON documents; see [`crate::node::wire`].

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Version of this protocol.
pub(crate) const VERSION: u32 = 3;

/// Supervisor → node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub(crate) enum ToNode {
    /// First message to a new node.
    Hello { version: u32 },
    /// A host listener; its descriptor comes along.
    Listener { role: ListenerRole, address: SocketAddr },
    /// A pod that runs already; the socket to its shim comes along.
    Shim { pod: String, pid: i32 },
    /// Everything was handed over.
    Ready,
    /// A shim was started, or not; the socket to it comes along. The answer to the request with this id.
    Started { id: u64, result: Result<i32, String> },
}

/// What a listener is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "role")]
pub(crate) enum ListenerRole {
    /// The API server.
    Api,
    /// The front door with this index in the settings.
    FrontDoor { index: usize },
}

/// Node → supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub(crate) enum ToSupervisor {
    /// Start a shim for a pod (by uid). Answered by [`ToNode::Started`] with the same id.
    Start { id: u64, pod: String },
    /// Start a process that stores the image that comes on the socket which comes along. It answers there; a socket that is
    /// closed without an answer is one, too.
    Store,
}
