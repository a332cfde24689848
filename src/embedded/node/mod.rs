//! The node: supervisor, shims, images, pods and the pod network.

pub mod network;
