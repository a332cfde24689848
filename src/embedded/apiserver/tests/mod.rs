//! The server as its clients see it: in process, over TLS, killed and reopened.

mod access;
mod admission;
mod again;
mod autoscaling;
mod custom;
mod durability;
mod ephemeral;
pub(crate) mod harness;
mod hooks;
mod linear;
mod malformed;
mod metrics;
mod names;
mod networking;
mod objects;
mod options;
mod policy;
mod protocol;
mod proxy;
mod reading;
mod readme;
mod storage;
mod streams;
mod validating;
mod validating_params;
mod webhook;
mod workloads;
