//! CEL with the libraries that Kubernetes and OpenChoreo expressions rely on.
//!
//! The `cel` crate parses and interprets; this room adds what it leaves out (two-variable
//! comprehensions, `cel.bind`, sets, regex, the Kubernetes libraries) and what an engine that
//! evaluates other people's expressions needs: bounds, determinism and errors that say which
//! expression failed.
//!
//! Invariants:
//! - Whole JSON numbers become `int` (never `uint` unless they do not fit), so `n + 1` works, and
//!   doubles without a fraction come back as JSON integers.
//! - Maps are iterated in key order: the same input gives the same bytes.
//! - An expression is at most [`MAX_EXPRESSION`] bytes, and an evaluation takes at most
//!   [`MAX_ITERATIONS`] loop steps; what it builds, keeps and goes through counts as such.
//! - A name that nobody declared is an error even in a branch that is not taken, as in cel-go.
//!
//! Entry points: [`Env`] (one per dialect, cheap to clone), [`Program::compile`],
//! [`Program::eval`] with [`Vars`], which gives a [`Value`].
//!
//! ```
//! use curtain_cel::{Env, Program, Vars};
//! let env = Env::kubernetes();
//! let program = Program::compile(&env, "self.replicas <= self.max")?;
//! let object = serde_json::json!({"replicas": 2, "max": 3});
//! assert!(program.eval_bool(&Vars::new().with("self", &object))?);
//! # Ok::<(), curtain_cel::Error>(())
//! ```

mod budget;
mod charges;
mod env;
mod error;
mod functions;
mod kubernetes;
mod macros;
mod names;
mod program;
mod rewrite;
mod value;
mod vars;

pub use budget::MAX_ITERATIONS;
pub use env::{Env, EnvBuilder};
pub use error::Error;
pub use kubernetes::{Authorizer, Check, escape_property, is_reserved};
pub use program::{MAX_EXPRESSION, Program};
pub use value::Value;
pub use vars::Vars;

#[cfg(test)]
mod tests;
