//! What a client is told beside the answer to its write, as `Warning` headers.

use std::sync::{Arc, Mutex, PoisonError};

/// So many bytes of warnings, and not more, go into the head of an answer.
const MOST: usize = 4 << 10;

/// Warnings of one request; clones share them.
#[derive(Debug, Clone, Default)]
pub(in crate::apiserver) struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    /// Says it once; what no longer fits is left out.
    pub(super) fn add(&self, warning: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let size: usize = all.iter().map(String::len).sum();
        if size + warning.len() <= MOST && !all.iter().any(|other| other == warning) {
            all.push(warning.to_owned());
        }
    }

    /// All of them, which are then gone.
    pub(in crate::apiserver) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
