//! Agents of the platform: they look at it as any outside agent does, and say what they think.
//!
//! [`sre`] finds the causes of alerts. [`model`] asks a language model, with tools that only read and with limits on
//! everything. An agent has an identity of its own, reaches the [platform] by the MCP servers only, and may do what a
//! person granted that identity, no more: to read, unless somebody allowed a kind of change. What a model says is an
//! answer to be checked, never an instruction.

pub mod model;
pub mod platform;
pub mod sre;
