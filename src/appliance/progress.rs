//! What a plan tells whoever watches it.

use std::time::Duration;

/// Something that happened to a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It began.
    Started,
    /// It is at it; a few words, for example `3 of 7 deployments ready`.
    Detail(String),
    /// How far one part of it is, for example a layer that is being downloaded; `total` is 0 while nobody knows it.
    Part {
        /// Which part.
        name: String,
        /// Bytes done.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// There was nothing to do.
    Unchanged,
    /// It is complete.
    Finished(Duration),
    /// It failed; the error follows as the plan's own result.
    Failed,
}

/// Watches a plan. Calls come from one thread at a time and must not block.
pub trait Progress: Send + Sync {
    /// The steps that follow, in a sensible order, as (step, title).
    fn plan(&self, steps: &[(String, String)]);
    /// Something happened to the step called `step`.
    fn event(&self, step: &str, event: Event);
    /// Something worth knowing that belongs to no step: what was chosen, and why.
    fn note(&self, text: &str);
}

/// Watches nothing.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Progress for Silent {
    fn plan(&self, _: &[(String, String)]) {}
    fn event(&self, _: &str, _: Event) {}
    fn note(&self, _: &str) {}
}
