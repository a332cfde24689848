//! What Kubernetes knows about the shape of objects: the table of built-in kinds and the structural
//! schemas of custom resources, behind one cursor.
//!
//! * [`Node`] is that cursor. Patches, server-side apply, defaulting, pruning and validation all walk
//!   an object and a `Node` side by side and never ask where the schema came from.
//! * [`builtin`] serves the kinds that are compiled in. Their table is text in static memory, parsed
//!   once, on first use (about a millisecond), into names that borrow from it.
//! * [`crd`] compiles `openAPIV3Schema`, and defaults, prunes and validates with it.
//! * [`openapi`] writes the OpenAPI v3 documents that kubectl and Helm read.
//!
//! Invariants: nothing here does I/O, reads a clock or panics on input; objects are
//! [`serde_json::Value`] only while they pass through; every finding is a [`FieldError`] whose words are
//! those of Kubernetes, since people and scripts read them.

pub mod builtin;
pub mod crd;
mod error;
mod node;
pub mod openapi;

pub use error::{ErrorKind, FieldError, quote};
pub use node::{Kind, ListType, Node, Patch};
