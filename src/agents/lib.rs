//! Agents of the platform: they look at it as any outside agent does, and say what they think.
//!
//! [`sre`] finds the causes of alerts. An agent has an identity of its own, reaches the platform by the MCP servers only,
//! and may do what a person granted that identity, no more: to read, unless somebody allowed a kind of change.

pub mod platform;
pub mod sre;
