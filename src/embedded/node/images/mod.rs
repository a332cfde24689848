//! Images on disk: unpacked layers by content, found by reference.
//!
//! `load` reads archives as `docker save` or an OCI layout makes them. Layers are checked against the digests of the
//! image's configuration and become visible only together, with one replaced index file, under a lock: whatever goes
//! wrong, nothing half-stored is ever used. A layer directory is never changed once it has its name.
//!
//! Entry points: [`load`], [`load_if`], [`list`], [`find`].

mod archive;
mod decode;
mod error;
mod layer;
mod manifest;
mod reference;
mod store;
#[cfg(test)]
pub(super) mod tests;

pub use error::ImageError;
pub use manifest::ImageConfig;
pub use reference::Reference;
pub(crate) use store::{INDEX, store_dir as directory};
pub use store::{Image, LoadedImage, find, layers_dir, list, load, load_if};
