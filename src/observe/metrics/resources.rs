//! What components use, over time.

use super::Store;
use super::ask::Window;
use super::names::{
    CPU, CPU_LIMIT, CPU_REQUEST, MEMORY, MEMORY_LIMIT, MEMORY_REQUEST, RECEIVED, SENT,
};
use super::scan::Measured;
use super::wire::Value;
use crate::database::DatabaseError;

/// A series of the contract.
pub(super) struct Kind {
    /// Its name there.
    pub(super) name: &'static str,
    /// Its name here, and how much one of its units is there. `None` for what no node tells.
    kept: Option<(&'static str, f64)>,
    pub(super) unit: &'static str,
    /// Which series is the most that it may be.
    pub(super) limit: Option<usize>,
}

const fn kind(name: &'static str, kept: &'static str, scale: f64, unit: &'static str) -> Kind {
    Kind { name, kept: Some((kept, scale)), unit, limit: None }
}

/// All of them. Counted bytes are those of a step.
pub(super) static KINDS: [Kind; 10] = [
    Kind { limit: Some(2), ..kind("cpuUsage", CPU, 1e-9, "cores") },
    kind("cpuRequests", CPU_REQUEST, 1e-9, "cores"),
    kind("cpuLimits", CPU_LIMIT, 1e-9, "cores"),
    Kind { limit: Some(5), ..kind("memoryUsage", MEMORY, 1.0, "bytes") },
    kind("memoryRequests", MEMORY_REQUEST, 1.0, "bytes"),
    kind("memoryLimits", MEMORY_LIMIT, 1.0, "bytes"),
    kind("networkReceiveBytes", RECEIVED, 1.0, "bytes"),
    kind("networkTransmitBytes", SENT, 1.0, "bytes"),
    Kind { name: "diskReadBytes", kept: None, unit: "bytes", limit: None },
    Kind { name: "diskWriteBytes", kept: None, unit: "bytes", limit: None },
];

/// Values by step; `None` where nothing was measured.
pub(super) type Points = Vec<Option<f64>>;

/// The series of [`KINDS`], in their order; empty where there is nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Resources(pub(super) [Points; KINDS.len()]);

impl Store {
    /// What the components of a place use together.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`].
    pub(super) fn resources(&self, window: &Window) -> Result<Resources, DatabaseError> {
        let kind = |name: &str| {
            KINDS.iter().position(|kind| kind.kept.is_some_and(|(kept, _)| kept == name))
        };
        self.scan(
            &window.place,
            window.between,
            |name| kind(name).is_some(),
            |connection, scan| {
                let steps = window.steps();
                let kinds: Vec<Option<usize>> =
                    scan.series.iter().map(|series| kind(&series.name)).collect();
                let mut measured: Vec<Measured> = Vec::new();
                measured.resize_with(steps, Measured::default);
                let mut sums: [Vec<f64>; KINDS.len()] = Default::default();
                scan.each(
                    connection,
                    |_, moment| measured[window.step_of(moment)].add(moment),
                    |moment, series, value| {
                        let Some(kind) = kinds[series] else { return };
                        let sums = &mut sums[kind];
                        sums.resize(steps, 0.0);
                        sums[window.step_of(moment)] += match value {
                            Value::Gauge(value) => value * moment.ticks as f64,
                            Value::Increase(value) => value,
                            Value::Requests(_) => return,
                        };
                    },
                )?;
                let mut all = Resources::default();
                for (kind, sums) in sums.into_iter().enumerate() {
                    let Some((kept, scale)) = KINDS[kind].kept else { continue };
                    let counted = [RECEIVED, SENT].contains(&kept);
                    let points = sums.into_iter().zip(&measured).map(|(sum, measured)| {
                        let ticks = measured.ticks();
                        let over = if counted { 1.0 } else { ticks as f64 };
                        (ticks > 0).then(|| sum * scale / over)
                    });
                    all.0[kind] = points.collect();
                }
                Ok(all)
            },
        )
    }
}
