//! How much of their limits components use, for alerts.

use std::time::Duration;

use super::Store;
use super::names::{CPU, CPU_LIMIT, MEMORY, MEMORY_LIMIT};
use super::wire::Value;
use crate::asked::Place;
use crate::database::DatabaseError;

/// A rate of processor time is taken over this at least.
const SHORTEST: Duration = Duration::from_secs(120);
/// What was measured longer ago is not what is there at the moment, in seconds.
const PRESENT: i64 = 60;

/// Percent of limits, over all pods together. `None` where there are no limits.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Processor time over the window.
    pub cpu: Option<f64>,
    /// Memory at the moment.
    pub memory: Option<f64>,
}

impl Store {
    /// How much of their limits the pods of `place` use, in a window of time (at least two minutes of it) that ends at
    /// `now`, in seconds since 1970. `None` when nothing was measured in the last minute. Blocks.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`].
    pub fn usage_of_limits(
        &self,
        place: &Place,
        window: Duration,
        now: i64,
    ) -> Result<Option<Usage>, DatabaseError> {
        let window = i64::try_from(window.max(SHORTEST).as_secs()).unwrap_or(i64::MAX);
        let names = [CPU, CPU_LIMIT, MEMORY, MEMORY_LIMIT];
        let between = (now.saturating_sub(window), now);
        self.scan(
            place,
            between,
            |name| names.contains(&name),
            |connection, scan| {
                let mut last = None;
                scan.each(
                    connection,
                    |_, moment| last = last.max(Some(moment.time)),
                    |_, _, _| {},
                )?;
                let Some(last) = last.filter(|last| *last >= now - PRESENT) else {
                    return Ok(None);
                };
                let [mut cpu, mut cpu_limit, mut memory, mut memory_limit] = [0.0; 4];
                scan.each(
                    connection,
                    |_, _| {},
                    |moment, series, value| {
                        let Value::Gauge(value) = value else { return };
                        let over = value * moment.ticks as f64;
                        let present = moment.time == last;
                        match scan.series[series].name.as_str() {
                            CPU => cpu += over,
                            CPU_LIMIT => cpu_limit += over,
                            MEMORY if present => memory += value,
                            MEMORY_LIMIT if present => memory_limit += value,
                            _ => {}
                        }
                    },
                )?;
                let percent = |part: f64, whole: f64| (whole > 0.0).then(|| 100.0 * part / whole);
                Ok(Some(Usage {
                    cpu: percent(cpu, cpu_limit),
                    memory: percent(memory, memory_limit),
                }))
            },
        )
    }
}
