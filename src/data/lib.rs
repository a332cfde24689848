//! The data plane's two roles: the [cluster agent](agent), its only link to
//! the control plane, and the [gateway], a Gateway API proxy.

pub mod agent;
pub mod gateway;
