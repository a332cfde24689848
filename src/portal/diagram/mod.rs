//! The live picture of a project: its components in a cell, what is around it, and who calls whom.
//!
//! [`graph`] reads what the observer and the API answer, [`layout`] finds places for boxes and [`labels`] for what
//! is written between them, [`svg`] draws.
//! Invariant: the same answers make the same picture, byte by byte.

mod canvas;
mod curve;
pub(crate) mod direction;
pub(crate) mod graph;
mod labels;
mod layers;
mod layout;
mod spread;
pub(crate) mod svg;
pub(crate) mod traffic;

#[cfg(test)]
mod tests;
