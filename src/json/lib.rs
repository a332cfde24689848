//! Patches over JSON documents: JSON Patch, merge patch, strategic merge and server-side apply.
//!
//! Everything works on [`serde_json::Value`] in place and without I/O. The schema, where one is needed,
//! is a [`curtain_schema::Node`], so built-in kinds and custom resources take the same path.
//!
//! * [`json_patch()`] — RFC 6902, with the one deviation Kubernetes clients rely on;
//! * [`merge_patch`] — RFC 7396;
//! * [`strategic_merge`] — lists merged by key, with the directives that kubectl sends;
//! * [`managed`] — server-side apply, and the bookkeeping of field managers for all other writes.
//!
//! A document may be so deep ([`MAX_DEPTH`]) that it can be read again with all that is written around it.
//!
//! A patch that fails may leave the document half changed: work on a copy and drop it.

mod depth;
mod json_patch;
#[cfg(test)]
mod laws;
pub mod managed;
mod merge;
mod strategic;

pub use depth::{MAX_DEPTH, deeper_than};
pub use json_patch::{JsonPatchError, MAX_COPIED, MAX_OPERATIONS, json_patch};
pub use merge::merge_patch;
pub use strategic::{StrategicError, strategic_merge};
