//! Bounds of one evaluation, and the caller's functions that it may call.
//!
//! The interpreter knows only plain function pointers, so what an evaluation carries along lives
//! in a thread-local for its duration. Evaluations nest (a function may evaluate again): a guard
//! restores the outer one.

use crate::env::Function;
use cel::ExecutionError;
use regex::Regex;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The loop steps all comprehensions of one evaluation may take together.
pub const MAX_ITERATIONS: u64 = 250_000;

/// Bytes of a string and items of a list that one operation may build.
pub(crate) const MAX_SIZE: usize = 1 << 20;

/// Bytes kept in lists and maps, or looked through, that cost as much as one loop step.
const BYTES_PER_STEP: usize = 100;

/// Values looked at one after the other that cost as much as one loop step.
const ITEMS_PER_STEP: usize = 20;

/// What every value takes, whatever is in it.
pub(crate) const OVERHEAD: usize = 32;

/// Bytes of values that are compared or copied as a whole, which cost as much as one loop step: those of small values that
/// many.
const COMPARED_PER_STEP: usize = ITEMS_PER_STEP * OVERHEAD;

/// Patterns that an evaluation knows to be paid for.
const PATTERNS: usize = 64;

#[derive(Clone)]
pub(crate) struct Scope {
    pub(crate) iterations_left: u64,
    /// Patterns that were paid for.
    pub(crate) patterns: BTreeMap<String, Regex>,
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

    /// What is left of the current scope's loop steps.
    pub(crate) fn left(&self) -> u64 {
        CURRENT.with(|current| current.borrow().as_ref().map_or(0, |scope| scope.iterations_left))
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
            None => {
                // Loops go on after an error that a later step may override: nothing more is to be had.
                scope.iterations_left = 0;
                Err(ExecutionError::InternalError(format!(
                    "the expression takes more than {MAX_ITERATIONS} loop steps, or builds as much"
                )))
            }
        }
    })
}

/// Takes what it costs to keep `bytes` from the current evaluation, so that neither doubling a list
/// nor collecting a large string over and over fills the memory.
pub(crate) fn keep(bytes: usize) -> Result<(), ExecutionError> {
    spend(bytes.div_ceil(BYTES_PER_STEP))
}

/// Takes what it costs to look through `bytes` of text from the current evaluation.
pub(crate) fn read(bytes: usize) -> Result<(), ExecutionError> {
    spend(bytes.div_ceil(BYTES_PER_STEP))
}

/// Takes what it costs to look at `items` from the current evaluation, whatever is in them.
pub(crate) fn look(items: usize) -> Result<(), ExecutionError> {
    spend(items.div_ceil(ITEMS_PER_STEP))
}

/// Takes what it costs to compare, or to copy, values of so many `bytes` from the current evaluation.
pub(crate) fn compare(bytes: usize) -> Result<(), ExecutionError> {
    spend(bytes.div_ceil(COMPARED_PER_STEP))
}

/// More bytes than this cost more than is left, whatever is done with them: nobody needs to count further.
pub(crate) fn room() -> usize {
    CURRENT.with(|current| {
        let left = current.borrow().as_ref().map(|scope| scope.iterations_left);
        let left = left.and_then(|left| usize::try_from(left).ok()).unwrap_or(usize::MAX);
        left.saturating_mul(COMPARED_PER_STEP)
    })
}

/// Refuses to build more than [`MAX_SIZE`] bytes or items, and takes what it costs to build so many from the current
/// evaluation.
pub(crate) fn fits(operation: &str, size: usize) -> Result<(), ExecutionError> {
    if size <= MAX_SIZE {
        return read(size);
    }
    Err(ExecutionError::InternalError(format!(
        "{operation} would build a value of {size} bytes or items, more than {MAX_SIZE}"
    )))
}

/// A pattern that the current evaluation has paid for.
pub(crate) fn pattern(text: &str) -> Option<Regex> {
    CURRENT.with(|current| current.borrow().as_ref()?.patterns.get(text).cloned())
}

/// Lets the current evaluation use a pattern again without paying, unless it has very many.
pub(crate) fn paid(text: &str, pattern: &Regex) {
    CURRENT.with(|current| {
        let mut current = current.borrow_mut();
        if let Some(scope) = current.as_mut().filter(|scope| scope.patterns.len() < PATTERNS) {
            scope.patterns.insert(text.to_owned(), pattern.clone());
        }
    });
}

/// Whether the dialect lets arithmetic mix int and double.
pub(crate) fn mixed_numbers() -> bool {
    CURRENT.with(|current| current.borrow().as_ref().is_some_and(|scope| scope.mixed_numbers))
}

/// A function the caller registered.
pub(crate) fn function(name: &str) -> Option<Function> {
    CURRENT.with(|current| current.borrow().as_ref()?.functions.get(name).cloned())
}
