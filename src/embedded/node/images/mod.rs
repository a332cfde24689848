//! Images on disk: unpacked layers by content, found by reference.
//!
//! `load` reads archives as `docker save` or an OCI layout makes them. Layers are checked against the digests of the
//! image's configuration and become visible only together, with one replaced index file, under a lock: whatever goes
//! wrong, nothing half-stored is ever used. A layer directory is never changed once it has its name.
//!
//! What the node pulls goes the same way: the node, which could not make a layer's files, sends an OCI layout to a process
//! of root's that is started for it and [receives](store_image) it as any other archive.
//!
//! What is not needed any more is taken out of the index first and out of the directory of layers next; a layer that a
//! container runs from is [held](hold()) by its shim, and stays.
//!
//! Entry points: [`load`], [`load_if`], [`list`], [`find`], [`remove()`], [`prune`].

mod archive;
mod budget;
mod decode;
mod error;
mod headers;
mod hold;
mod layer;
mod manifest;
mod receive;
mod reference;
mod remove;
mod store;
#[cfg(test)]
pub(super) mod tests;

pub(super) use budget::{free, reserve};
pub(super) use decode::Digest;
pub use error::ImageError;
pub(crate) use headers::Headers;
pub(in crate::node) use hold::hold;
pub use manifest::ImageConfig;
pub(super) use manifest::{ConfigDocument, Descriptor, Index, Manifest, machine};
pub(super) use receive::Outcome;
pub use receive::store_image;
pub use reference::Reference;
pub use remove::{Freed, prune, remove};
pub(crate) use store::{INDEX, pulls_dir, store_dir as directory};
pub use store::{Image, LoadedImage, find, layers_dir, list, load, load_if};
