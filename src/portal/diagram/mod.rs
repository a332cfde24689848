//! The live picture of a project: its components in a cell, what is around it, and who calls whom.
//!
//! [`graph`] reads what the observer and the API answer, [`layout`] finds places, [`svg`] draws.
//! Invariant: the same answers make the same picture, byte by byte.

pub(crate) mod direction;
pub(crate) mod graph;
mod layers;
mod layout;
mod spread;
pub(crate) mod svg;
mod traffic;

#[cfg(test)]
mod tests;
