//! How a component answers, for alerts.

use super::requests::{Asked, Http};

/// The requests of a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Answers {
    /// Percent of the requests that failed: not those that the caller got wrong.
    pub(crate) failed: f64,
    /// What 99 of 100 answers took at most, in seconds. `None` when there was no answer.
    pub(crate) p99: Option<f64>,
}

impl Answers {
    /// Of all steps together; `None` when nothing was measured in any.
    pub(super) fn of(found: &Http) -> Option<Answers> {
        let mut all: Option<Asked> = None;
        for step in found.steps.iter().flatten() {
            all.get_or_insert_default().join(step);
        }
        all.map(|all| Answers { failed: all.failing() * 100.0, p99: all.all.quantile(0.99) })
    }
}
