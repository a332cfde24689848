//! Tools for AI agents: MCP over streamable HTTP with bearer tokens.
//!
//! Protocol revisions 2025-11-25 and 2026-07-28 (and the older ones rmcp knows) are served on one URL, `/mcp`, without
//! sessions: every request stands for itself, so a restart disturbs no client and a session cannot be stolen. `Host`
//! and `Origin` are checked by the layer around the router, the token by [`crate::identity::bearer`].
//!
//! A server is a [`Toolbox`]: a table of [`Tool`]s and what they do. The plumbing (lists that follow permissions,
//! argument checks, annotations, output schemas) is shared; another role brings its own toolbox to [`router`].
//! [`ControlPlane`] is the control plane's. [`bridge`] joins several servers into one over stdin and stdout;
//! [`client`] asks one.
//!
//! Context is dear: descriptions are one sentence, results are compact JSON, lists have pages and say how to narrow
//! them.

mod arguments;
pub mod bridge;
pub mod client;
mod control;
pub mod economy;
mod options;
mod schema;
mod serve;
mod tool;
mod toolbox;

pub use arguments::{Arguments, Wrong};
pub use control::ControlPlane;
pub use serve::router;
pub use tool::{Access, Arg, ArgKind, Member, Members, Output, Tool};
pub use toolbox::{About, Call, CallError, Toolbox};
