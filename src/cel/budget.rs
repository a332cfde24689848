//! Bounds of one evaluation, and the caller's functions that it may call.
//!
//! The interpreter knows only plain function pointers, so what an evaluation carries along lives
//! in a thread-local for its duration. Evaluations nest (a function may evaluate again): a guard
//! restores the outer one.

use crate::env::Function;
use cel::ExecutionError;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The loop steps all comprehensions of one evaluation may take together.
pub const MAX_ITERATIONS: u64 = 250_000;

/// Bytes of a string and items of a list that `+` may build.
pub(crate) const MAX_SIZE: usize = 4 << 20;

#[derive(Clone)]
pub(crate) struct Scope {
    pub(crate) iterations_left: u64,
    pub(crate) functions: Arc<BTreeMap<String, Function>>,
    pub(crate) mixed_numbers: bool,
}

thread_local! {
    static CURRENT: RefCell<Option<Scope>> = const { RefCell::new(None) };
}

/// Makes a scope current until dropped.
pub(crate) struct Guard(Option<Scope>);

impl Guard {
    pub(crate) fn enter(scope: Scope) -> Guard {
        Guard(CURRENT.with(|current| current.borrow_mut().replace(scope)))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        CURRENT.with(|current| *current.borrow_mut() = self.0.take());
    }
}

/// Takes `count` loop steps from the current evaluation.
pub(crate) fn spend(count: usize) -> Result<(), ExecutionError> {
    CURRENT.with(|current| {
        let mut current = current.borrow_mut();
        let Some(scope) = current.as_mut() else { return Ok(()) };
        match scope.iterations_left.checked_sub(count as u64) {
            Some(left) => {
                scope.iterations_left = left;
                Ok(())
            }
            None => Err(ExecutionError::InternalError(format!(
                "the expression takes more than {MAX_ITERATIONS} loop steps"
            ))),
        }
    })
}

/// Whether the dialect lets arithmetic mix int and double.
pub(crate) fn mixed_numbers() -> bool {
    CURRENT.with(|current| current.borrow().as_ref().is_some_and(|scope| scope.mixed_numbers))
}

/// A function the caller registered.
pub(crate) fn function(name: &str) -> Option<Function> {
    CURRENT.with(|current| current.borrow().as_ref()?.functions.get(name).cloned())
}
