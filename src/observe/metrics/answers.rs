//! How a component answers, for alerts.

use super::Store;
use super::ask::Window;
use super::requests::Asked;
use crate::asked::Place;
use crate::database::DatabaseError;

/// The requests of a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answers {
    /// Percent of the requests that failed: not those that the caller got wrong.
    pub failed: f64,
    /// What 99 of 100 answers took at most, in seconds. `None` when there was no answer.
    pub p99: Option<f64>,
}

impl Store {
    /// How the components of `place` answered between two moments in seconds since 1970. `None` when nothing was
    /// measured of requests. Blocks.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`].
    pub fn answers(
        &self,
        place: &Place,
        between: (i64, i64),
    ) -> Result<Option<Answers>, DatabaseError> {
        let step = (between.1 - between.0).max(1);
        let steps = self.requests(&Window { place: place.clone(), between, step })?.steps;
        let mut all: Option<Asked> = None;
        for step in steps.iter().flatten() {
            all.get_or_insert_default().join(step);
        }
        Ok(all.map(|all| Answers { failed: all.failing() * 100.0, p99: all.all.quantile(0.99) }))
    }
}
