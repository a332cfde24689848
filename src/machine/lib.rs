//! What is asked of the operating system itself, in one place.
//!
//! Everything above speaks of private files, locks, processes and signals; only this room (and the embedded cluster,
//! which is Linux through and through) knows how a system spells them.
//!
//! Invariants:
//! - plain functions; one that a system has no answer to returns `None`, and the caller says so;
//! - on Linux only the kernel is asked, and a file for the machine's id;
//! - on Windows files are as private as the profile folder that they are in.
//!
//! Entry points: [`files`], [`lock`], [`process`], [`child`], [`signals`], [`resources`].

pub mod child;
pub mod files;
pub mod lock;
pub mod process;
pub mod resources;
pub mod signals;
