//! The data plane's two roles: the [cluster agent](agent), its only link to
//! the control plane, and the Gateway API proxy in front of applications.

pub mod agent;
